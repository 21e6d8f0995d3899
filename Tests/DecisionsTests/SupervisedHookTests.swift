import Messages
import Testing

@testable import Decisions

@Suite struct SupervisedHookTests {
  private let run = HookRun(.statusUpdate, first: 2)
  private let items = [TaskOrder.Task(id: "a", argument: [])]
  private let done = CommandExit(code: 0, signal: nil)

  /// A Supervisor whose hook runs, and whose Uplink was killed and has a successor since.
  private func withNewUplink() -> SupervisorUnderTest {
    var supervisor = SupervisorUnderTest.ready()
    #expect(supervisor.uplink(.runHook(run, last: 2, items)).contains(.spawnHook(run, items)))
    supervisor.exits(.uplink, .signal(9))
    supervisor.pass(1)
    supervisor.uplink(.ready)
    supervisor.uplink(.inventoryComplete)
    return supervisor
  }

  @Test func aRunOutlivesTheUplinkThatAskedForIt() {
    var supervisor = withNewUplink()
    #expect(!supervisor.uplink(.runHook(run, last: 5, items)).contains(.spawnHook(run, items)))
    #expect(supervisor.does(.hookExited(run, done)).contains(.toUplink(.hookExited(run, last: 2, done))))
  }

  /// The end of its predecessor's run would be taken for that of the run which it is about to ask for: two runs would have
  /// updates of one job. Found by the simulation.
  @Test func anUplinkThatHasNotAskedYetIsNotToldOfTheEnd() {
    var supervisor = withNewUplink()
    #expect(supervisor.does(.hookExited(run, done)).isEmpty)
    #expect(supervisor.uplink(.runHook(run, last: 5, items)).contains(.spawnHook(run, items)))
    #expect(supervisor.does(.hookExited(run, done)).contains(.toUplink(.hookExited(run, last: 5, done))))
  }
}
