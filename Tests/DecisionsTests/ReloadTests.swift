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

  /// Its word is asked for: one that started with what it cannot use would end the service.
  @Test func itWaitsForAnUplinkThatIsReady() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    // It opens its record, and has been told its settings.
    #expect(supervisor.does(.reloadRequested).isEmpty)
    #expect(configured(supervisor.exits(.uplink, .signal(9))) == nil)
    #expect(configured(supervisor.pass(60)) == 256)
    #expect(supervisor.uplink(.ready).suffix(2) == [.notifyReloading, .readConfiguration])
    let reload = read(supervisor)
    #expect(supervisor.does(.configurationRead(reload)) == [.toUplink(.reload(reload.settings.uplink))])
    #expect(supervisor.uplink(.reloaded(problem: nil)) == [.useConfiguration, .notifyReady])
  }

  /// The file that the old settings name may have gone. The next one has the new ones, and cannot end the service.
  @Test func anUplinkThatCannotStartAgainStartsWithIt() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.exits(.uplink, .signal(9))
    #expect(supervisor.does(.reloadRequested).isEmpty)
    #expect(supervisor.exits(.uplink, .code(78)) == [.notifyReloading, .readConfiguration])
    #expect(supervisor.does(.configurationRead(read(supervisor))) == [.useConfiguration, .notifyReady])
    #expect(configured(supervisor.pass(60)) == 7)
    #expect(supervisor.exits(.uplink, .code(78)).isEmpty)
    supervisor.does(.reloadRequested)
    // It starts while the file is read: what it has not been told waits for its word.
    supervisor.pass(60)
    #expect(supervisor.does(.configurationRead(read(supervisor, window: 8))) == [.notifyReady])
    #expect(supervisor.uplink(.ready).contains(.readConfiguration))
  }

  @Test func oneFollowsTheOther() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    supervisor.does(.configurationRead(read(supervisor)))
    #expect(supervisor.does(.reloadRequested).isEmpty)
    // What is used is what Uplink has taken.
    #expect(
      supervisor.uplink(.reloaded(problem: nil))
        == [.useConfiguration, .notifyReady, .notifyReloading, .readConfiguration])
    supervisor.does(.configurationRead(read(supervisor, window: 8)))
    #expect(supervisor.uplink(.reloaded(problem: "no key")) == [.notifyReady])
    #expect(configured(supervisor.exits(.uplink, .signal(9))) == 7)
  }

  @Test func oneThatIsAskedForMeanwhileOutlivesUplink() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    supervisor.does(.configurationRead(read(supervisor)))
    supervisor.does(.reloadRequested)
    let died = supervisor.exits(.uplink, .signal(6))
    #expect(died.contains(.notifyReady) && !died.contains(.notifyReloading))
    #expect(supervisor.uplink(.ready).contains(.readConfiguration))
  }

  @Test func aStopIsNotTakenForReadyAgain() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.reloadRequested)
    supervisor.does(.configurationRead(read(supervisor)))
    supervisor.does(.stopRequested)
    #expect(!supervisor.uplink(.reloaded(problem: nil)).contains(.notifyReady))
  }

  @Test func aStopHasNoUseForIt() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.stopRequested)
    #expect(supervisor.does(.reloadRequested).isEmpty)
  }
}
