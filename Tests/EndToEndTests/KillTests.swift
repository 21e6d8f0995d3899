import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

extension EndToEnd {
  /// What is acknowledged arrives in order and once, whoever is killed.
  @Suite struct Kills {
    /// A kill between any two updates, and after the last one.
    @Test(arguments: Victim.allCases, 0...reported.count)
    func aKillBetweenTwoUpdatesLosesNothing(victim: Victim, position: Int) throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        for (index, status) in reported.enumerated() {
          if index == position { try rehearsal.kill(victim, job) }
          try worker.acknowledged(status)
        }
        if position == reported.count {
          try rehearsal.kill(victim, job)
          // Whoever has not read its last acknowledgement can still ask for it.
          try rehearsal.worker(job).acknowledged(.completed)
        }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    /// Kills while updates are on their way, at moments that a seed decides.
    @Test(arguments: Victim.allCases)
    func killsWhileUpdatesAreOnTheirWayLoseNothing(victim: Victim) throws {
      let seed = testSeed("kills of \(victim)")
      try onStage { rehearsal in
        for round in 0..<5 {
          let job = try rehearsal.startJob()
          let child = try rehearsal.readyChild(
            victim.rawValue, job: victim == .listener ? job : nil)
          let delay = (seed >> UInt64(round * 8)) & 0xff
          let before = rehearsal.facilitator.events.count
          try BackgroundThread.start {
            // Up to a quarter of a millisecond a step: the whole exchange takes a few milliseconds.
            usleep(useconds_t(delay * 25))
            ProcessTable.signal(pid_t(child.pid), SIGKILL)
          }
          let answers = try rehearsal.worker(job).send(reported.map { WorkerClient.Update($0) })
          #expect(answers == Array(repeating: .stored, count: reported.count))
          try rehearsal.expectAccepted(job, [.received] + reported)
          // What the facilitator sends to a connection that is dying is its own to repeat.
          if victim == .uplink { try rehearsal.waitUntilConnected(from: before) }
        }
      }
    }

    @Test func aKilledSupervisorIsFollowedByOneThatGoesOn() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        try worker.acknowledged(reported[0])
        try rehearsal.killSupervisor()
        try rehearsal.startSupervisor()
        for status in reported.dropFirst() { try worker.acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    @Test func aCommandNeverRunsTwiceAndItsLeftoversAreKilled() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/bin/sleep", "600"]
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let command = try rehearsal.runningCommand(job)
        try rehearsal.killSupervisor()
        #expect(ProcessTable.isRunning(command))
        try rehearsal.startSupervisor()
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
        #expect(!ProcessTable.isRunning(command))
      }
    }

    /// Stopped, they run no more and do not die either: both are killed and replaced, and nothing is lost.
    @Test func whatHangsIsReplaced() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        try worker.acknowledged(reported[0])
        let hung = [try rehearsal.readyChild("uplink"), try rehearsal.readyChild("listener", job: job)]
        for child in hung { ProcessTable.signal(pid_t(child.pid), SIGSTOP) }
        for child in hung {
          _ = try rehearsal.readyChild(child.name, job: child.job, after: child.generation, milliseconds: 60_000)
          #expect(!ProcessTable.isRunning(pid_t(child.pid)))
        }
        for status in reported.dropFirst() { try worker.acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    /// Both of them at every step of a job that starts: nothing is dispatched twice and nothing is forgotten.
    @Test func killsWhileJobsStartLoseNoJob() throws {
      let seed = testSeed("kills while jobs start")
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = [settings.programs + "/hordelink-demo-worker"]
      } _: { rehearsal in
        for round in 0..<5 {
          let child = try rehearsal.readyChild("uplink")
          let delay = (seed >> UInt64(round * 8)) & 0xff
          let job = JobID.random()
          let before = rehearsal.facilitator.events.count
          try rehearsal.facilitator.sendJob(job, arguments: ["true"])
          // From here on the job is on record: a request that was not answered is the facilitator's to repeat.
          try rehearsal.expectAccepted(job, [.received])
          try BackgroundThread.start {
            usleep(useconds_t(delay * 50))
            ProcessTable.signal(pid_t(child.pid), SIGKILL)
          }
          try rehearsal.expectAccepted(job, [.received] + reported)
          try rehearsal.waitUntilConnected(from: before)
        }
      }
    }
  }
}

/// Whom a test kills.
enum Victim: String, Sendable, CaseIterable, CustomTestStringConvertible {
  case uplink
  case listener

  var testDescription: String { rawValue }
}

extension Rehearsal {
  func kill(_ victim: Victim, _ job: JobID) throws {
    try kill(victim.rawValue, job: victim == .listener ? job : nil)
  }
}
