import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// Everything at once, and the facilitator gone: nothing acknowledged is lost, and each update arrives once, in order.
@Suite(.serialized) struct OutageTests {
  /// Killed together, the processes leave what was acknowledged on the disk, and a new service takes it on.
  @Test func everythingKilledAtOnceLosesNothing() throws {
    try onStage { settings in
      settings.more["stop"] = "drain_seconds = 0"
    } _: { rehearsal in
      let jobs = try (0..<3).map { _ in try rehearsal.startJob() }
      try rehearsal.facilitatorGoesAway()
      for job in jobs { for status in reported.prefix(3) { try rehearsal.worker(job).acknowledged(status) } }
      let children = try #require(try rehearsal.report()?.children)
      // Stopped first, so that none of them sees another's death.
      let supervisor = try #require(rehearsal.supervisor)
      let pids = [supervisor.pid] + children.filter { $0.pid > 1 }.map { pid_t($0.pid) }
      for pid in pids { ProcessTable.signal(pid, SIGSTOP) }
      for pid in pids { ProcessTable.signal(pid, SIGKILL) }
      _ = try #require(try supervisor.wait(milliseconds: 5000))
      let before = rehearsal.facilitator.events.count
      try rehearsal.facilitatorComesBack()
      try rehearsal.startSupervisor()
      try rehearsal.waitUntilConnected(from: before)
      for job in jobs {
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }
  }

  /// A machine that stood still for a while goes on where it was.
  @Test func everythingStoppedForAWhileGoesOn() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      try rehearsal.worker(job).acknowledged(reported[0])
      let children = try #require(try rehearsal.report()?.children)
      let supervisor = try #require(rehearsal.supervisor)
      let pids = [supervisor.pid] + children.filter { $0.pid > 1 }.map { pid_t($0.pid) }
      for pid in pids { ProcessTable.signal(pid, SIGSTOP) }
      // Connects to the backlog, and has no answer.
      let worker = WorkerClient(socketPath: rehearsal.workerSocket(job), job: job, patienceMilliseconds: 1000)
      #expect(throws: WorkerClient.Failure.self) { try worker.send(reported[1]) }
      for pid in pids { ProcessTable.signal(pid, SIGCONT) }
      for status in reported.dropFirst() { try rehearsal.worker(job).acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported)
    }
  }

  /// The outage of a facilitator uses up no retries: what several jobs have reported meanwhile arrives after it.
  @Test func anOutageOverSeveralAttemptsLosesNothing() throws {
    try onStage { rehearsal in
      let jobs = try (0..<3).map { _ in try rehearsal.startJob() }
      try rehearsal.facilitatorGoesAway()
      // In turns, so that the updates of the jobs lie between one another.
      for status in reported { for job in jobs { try rehearsal.worker(job).acknowledged(status) } }
      try rehearsal.expectLog("the next attempt is in", times: 5, milliseconds: 60_000)
      for job in jobs { #expect(rehearsal.facilitator.accepted(job) == [.received]) }
      try rehearsal.facilitatorComesBack()
      for job in jobs { try rehearsal.expectAccepted(job, [.received] + reported, milliseconds: 60_000) }
      #expect(try rehearsal.report()?.uplink?.state.dead == 0)
    }
  }

  /// One that no longer answers at all is left, and what it did not answer is sent again.
  @Test func aFacilitatorThatStoodStillGetsEverythingOnce() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      rehearsal.facilitator.process.signal(SIGSTOP)
      for status in reported.prefix(2) { try rehearsal.worker(job).acknowledged(status) }
      try rehearsal.kill("uplink")
      for status in reported.dropFirst(2) { try rehearsal.worker(job).acknowledged(status) }
      rehearsal.facilitator.process.signal(SIGCONT)
      try rehearsal.expectAccepted(job, [.received] + reported, milliseconds: 60_000)
    }
  }
}
