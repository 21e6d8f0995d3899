import Messages
import Testing

@testable import Decisions

@Suite struct ReloadTests {
  private func read(_ supervisor: SupervisorUnderTest, window: Int = 7) -> Reload {
    var settings = supervisor.settings
    settings.uplink.window = window
    return Reload(settings: settings, applied: ["[outbox]"], waiting: ["dispatch.kind"])
  }

  private func configured(_ actions: [SupervisorCore.Action]) -> Int? {
    for case .toUplink(.configure(let settings)) in actions { return settings.window }
    return nil
  }

  @Test func itIsInEffectOnceUplinkHasTakenIt() {
    var supervisor = SupervisorUnderTest.ready()
    #expect(supervisor.does(.reloadRequested) == [.notifyReloading, .readConfiguration])
    let reload = read(supervisor)
    #expect(supervisor.does(.configurationRead(reload)) == [.toUplink(.reload(reload.settings.uplink))])
    #expect(supervisor.uplink(.reloaded(problem: nil)) == [.useConfiguration, .notifyReady])
    #expect(configured(supervisor.exits(.uplink, .signal(9))) == 7)
  }

  @Test func whatUplinkCannotUseChangesNothing() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    supervisor.does(.configurationRead(read(supervisor)))
    #expect(supervisor.uplink(.reloaded(problem: "no key")) == [.notifyReady])
    #expect(configured(supervisor.exits(.uplink, .signal(9))) == 256)
  }

  @Test func whatCannotBeReadChangesNothing() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    #expect(supervisor.does(.configurationUnusable(["h.toml:3: what"])) == [.notifyReady])
    #expect(supervisor.uplink(.reloaded(problem: nil)).isEmpty)
  }

  @Test func anUplinkThatDiesOfItIsReplacedByOneWithTheOldSettings() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    supervisor.does(.configurationRead(read(supervisor)))
    let died = supervisor.exits(.uplink, .signal(6))
    #expect(died.contains(.notifyReady) && configured(died) == 256)
    // A late word of the dead.
    #expect(supervisor.uplink(.reloaded(problem: nil)).isEmpty)
  }

  @Test func withoutAnUplinkTheNextOneStartsWithIt() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    supervisor.exits(.uplink, .signal(9))
    supervisor.does(.reloadRequested)
    #expect(supervisor.does(.configurationRead(read(supervisor))).contains(.useConfiguration))
    #expect(configured(supervisor.pass(60)) == 7)
  }

  @Test func aStopHasNoUseForIt() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.stopRequested)
    #expect(supervisor.does(.reloadRequested).isEmpty)
  }
}
