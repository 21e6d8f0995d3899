import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

extension SystemdTests {
  /// `systemctl restart` while jobs run whose workers live outside of the unit.
  @Suite struct Restarts {
    /// A worker's life: what it was told, and how often it found nobody.
    private struct Life: Sendable {
      var job: JobID
      var acknowledged: [JobStatus] = []
      var refused: [String] = []
    }

    /// Reports on a thread of its own, with pauses in between, so that a restart falls anywhere.
    private func live(_ job: JobID, _ service: Service, seed: UInt64, into lives: Mailbox<Life>) throws {
      let socket = service.workerSocket(job)
      try BackgroundThread.start {
        var random = SplitMix64(state: seed)
        let worker = WorkerClient(socketPath: socket, job: job, patienceMilliseconds: 60_000)
        let refusals = Mailbox<String>()
        worker.onRetry = { if [ECONNREFUSED, ENOENT].contains($0.code) { refusals.put("\($0)") } }
        var life = Life(job: job)
        for status in reported {
          // What is waited for is nothing: work takes its time.
          usleep(.random(in: 0...200_000, using: &random))
          if (try? worker.send(status)) == .stored { life.acknowledged.append(status) }
        }
        refusals.close()
        life.refused = refusals.takeUntilClosed()
        lives.put(life)
      }
    }

    @Test func noWorkerIsRefusedAndNothingIsLost() throws {
      var random = SplitMix64(state: testSeed("restarts under load"))
      let restarts = Int(ProcessTable.environment["HORDELINK_RESTARTS"] ?? "") ?? 3
      try Service.with { service in
        var jobs: [JobID] = []
        let lives = Mailbox<Life>()
        for _ in 0..<restarts {
          let started = try (0..<8).map { _ in try service.startJob() }
          for job in started { try live(job, service, seed: random.next(), into: lives) }
          jobs += started
          usleep(.random(in: 0...300_000, using: &random))
          let before = service.facilitator.events.count
          _ = try service.machine.run("systemctl", "restart", "hordelink").checked()
          try service.waitUntilConnected(from: before)
        }
        var told: [Life] = []
        while told.count < jobs.count {
          let (more, _) = try #require(lives.takeAll())
          told += more
        }
        for life in told {
          #expect(life.acknowledged == reported && life.refused.isEmpty, "\(life)")
          try service.expectAccepted(life.job, [.received] + reported)
        }
        print("\(restarts) restarts, \(jobs.count) jobs, \(told.reduce(0) { $0 + $1.acknowledged.count }) acknowledged")
      }
    }
  }
}
