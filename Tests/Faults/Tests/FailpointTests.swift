import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// A process that dies at a step of an update's way is followed by one that takes the update on from there: each
/// arrives once, in order, and every one is acknowledged.
@Suite(.serialized) struct FailpointTests {
  /// When the step is come to.
  enum Stretch {
    case jobStarts, updateTravels, jobEnds
  }

  @Test(arguments: [
    ("supervisor.spawned", Stretch.jobStarts), ("uplink.dispatching", .jobStarts),
    ("supervisor.dispatching", .jobStarts), ("supervisor.dispatched", .jobStarts),
    ("listener.received", .updateTravels), ("uplink.committing", .updateTravels), ("uplink.stored", .updateTravels),
    ("listener.answering", .updateTravels), ("listener.answered", .updateTravels), ("uplink.sending", .updateTravels),
    ("uplink.sent", .updateTravels), ("uplink.accepted", .updateTravels), ("uplink.retired", .updateTravels),
    ("listener.finishing", .jobEnds),
  ])
  func aDeathAtThisStepLosesNothing(step: String, stretch: Stretch) throws {
    try onStage { settings in
      settings.failpoints = true
    } _: { rehearsal in
      let file = "\(rehearsal.folder)/failpoints/\(step)"
      if stretch == .jobStarts { try Rehearsal.write([], to: file, mode: 0o600) }
      let job = JobID.random()
      try rehearsal.facilitator.sendJob(job)
      if step.hasPrefix("supervisor.") {
        let ending = try rehearsal.supervisor?.wait(milliseconds: 20_000)
        #expect(ending?.signal == SIGKILL)
        try rehearsal.startSupervisor()
      }
      try rehearsal.expectAccepted(job, [.received])
      _ = try rehearsal.readyChild("listener", job: job)
      if stretch == .jobStarts { try rehearsal.until(step) { _, _ in access(file, F_OK) != 0 } }

      if stretch != .jobStarts { try Rehearsal.write([], to: file, mode: 0o600) }
      do {
        // Its connection ends with it, and so the Listener's wait.
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
      }
      try rehearsal.expectAccepted(job, [.received] + reported)
      try rehearsal.until(step) { _, _ in access(file, F_OK) != 0 }
      guard stretch == .jobEnds else { return }
      try rehearsal.until("the end of its Listener") { rehearsal, _ in
        try rehearsal.report()?.children.contains { $0.job == job } == false
      }
    }
  }
}
