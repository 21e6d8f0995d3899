import Messages
import Testing

@testable import Decisions

/// Sockets that systemd has kept while the Supervisor was away.
@Suite struct InheritedSocketTests {
  private func started(launcher: Bool = true, inherited: Set<JobID>) -> SupervisorUnderTest {
    var supervisor = SupervisorUnderTest(launcher: launcher, inherited: inherited)
    supervisor.does(.timeReached)
    supervisor.uplink(.ready)
    return supervisor
  }

  private func spawned(_ actions: [SupervisorCore.Action]) -> [Channel] {
    actions.compactMap { if case .spawnListener(let channel, _) = $0 { channel } else { nil } }
  }

  @Test func aJobThatGoesOnElsewhereHasItsListenerOnTheSameSocket() {
    var supervisor = started(inherited: [job(1)])
    #expect(spawned(supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))) == [.job(job(1))])
    #expect(supervisor.uplink(.inventoryComplete) == [.keepIngress(only: [job(1)])])
  }

  /// Its worker's last acknowledgement may have been lost with the Supervisor.
  @Test func aJobThatHasEndedIsHeardOnceMore() {
    for phase in [JobPhase.ended, .closed] {
      var supervisor = started(inherited: [job(1)])
      #expect(spawned(supervisor.uplink(.openJob(OpenJob(job: job(1), phase: phase)))) == [.job(job(1))])
      supervisor.uplink(.inventoryComplete)
      supervisor.listener(.job(job(1)), .ready)
      supervisor.listener(.job(job(1)), .finished)
      #expect(supervisor.exits(.listener(.job(job(1))), .code(0)) == [.removeIngress(job(1))])
      #expect(supervisor.core.jobs.isEmpty)
    }
  }

  /// Its Listener may have been killed with the Supervisor before it took what it had stored out of Redis.
  @Test func aJobThatHasEndedIsHeardOnceMoreForItsKeys() {
    for layer in RedisLayer.allCases {
      var supervisor = SupervisorUnderTest(redis: layer)
      supervisor.does(.timeReached)
      supervisor.uplink(.ready)
      let expected: [Channel] = layer == .core ? [.job(job(1))] : []
      #expect(spawned(supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .ended)))) == expected)
      supervisor.uplink(.inventoryComplete)
      // Those that end under this Supervisor are heard to their end.
      #expect(spawned(supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .ended)))).isEmpty)
    }
  }

  /// Uplink holds no job in memory that ended a while ago: what becomes of it is between its Listener and the record.
  @Test func aJobThatUplinkDoesNotTellOfIsAskedForByAListener() {
    var supervisor = started(inherited: [job(1), job(2)])
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .dispatching)))
    let complete = supervisor.uplink(.inventoryComplete)
    #expect(spawned(complete) == [.job(job(1))])
    #expect(complete.contains(.keepIngress(only: [job(1), job(2)])))
    // A second Uplink finds nothing left to start.
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .dispatching)))
    #expect(spawned(supervisor.uplink(.inventoryComplete)).isEmpty)
  }

  @Test func aCommandThatMayHaveRunBeforeNeverRunsHowOftenUplinkDies() {
    for launcher in [false, true] {
      var supervisor = started(launcher: launcher, inherited: [job(1)])
      for _ in 0..<3 {
        let told = supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))
        #expect(told.contains(.toUplink(.commandKnowledge(job(1), .unknown))))
        supervisor.uplink(.inventoryComplete)
        #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
        supervisor.exits(.uplink, .signal(9))
        supervisor.pass(60)
        supervisor.uplink(.ready)
      }
    }
  }

  @Test func aStopLeavesTheSocketsOfJobsThatGoOn() {
    var supervisor = SupervisorUnderTest.running(job(1), launcher: true)
    supervisor.does(.commandExited(job(1), CommandExit(code: 0, signal: nil)))
    supervisor.does(.stopRequested)
    supervisor.uplink(.stopped(.closeJobs))
    #expect(!supervisor.exits(.listener(.job(job(1))), .code(0)).contains(.removeIngress(job(1))))
  }

  @Test func aStopBeforeTheInventoryLeavesWhatWasInherited() {
    var supervisor = started(inherited: [job(1), job(2)])
    supervisor.does(.stopRequested)
    #expect(spawned(supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))).isEmpty)
    #expect(supervisor.uplink(.inventoryComplete).contains(.keepIngress(only: [job(1), job(2)])))
  }
}
