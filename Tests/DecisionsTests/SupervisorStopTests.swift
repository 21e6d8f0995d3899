import Messages
import Testing

@testable import Decisions

@Suite struct SupervisorStopTests {
  private let one = ChildKey.listener(.job(job(1)))
  private let killed = CommandExit(code: nil, signal: 15)
  /// 8 s for commands, twice 5 s to hand over, 11 s for Listeners, 30 s to drain, 5 s to close, 10 s for what is killed.
  private let stopping = SupervisorCore.Action.notifyStopping(within: .seconds(74))

  @Test func itStopsInOrderEachStepOnceTheOneBeforeIsDone() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(
      supervisor.does(.stopRequested) == [
        stopping, .toUplink(.stop(.refuseJobs)), .signalCommand(job(1), signal: 15),
      ])
    #expect(supervisor.uplink(.stopped(.refuseJobs)).isEmpty)
    // Its last updates and its exit are taken before anything is closed.
    #expect(supervisor.does(.commandExited(job(1), killed)) == [.toListener(.job(job(1)), .commandExited(killed))])
    #expect(supervisor.uplink(.exitStored(job(1))) == [.toUplink(.stop(.closeJobs))])
    let listeners = supervisor.uplink(.stopped(.closeJobs))
    #expect(listeners == [.toListener(.job(job(1)), .stop), .toListener(.specs, .stop)])
    // Its socket waits for the next start.
    #expect(supervisor.exits(one, .code(0)).isEmpty)
    #expect(supervisor.exits(.listener(.specs), .code(0)) == [.toUplink(.stop(.drain))])
    #expect(supervisor.uplink(.stopped(.drain)).isEmpty)
    #expect(supervisor.exits(.uplink, .code(0)) == [.exit(0)])
    #expect(supervisor.pass(1000).isEmpty)
  }

  @Test func withNothingToWaitForItGoesStraightOn() {
    var supervisor = SupervisorUnderTest.ready()
    let actions = supervisor.does(.stopRequested)
    #expect(actions == [stopping, .toUplink(.stop(.refuseJobs)), .toUplink(.stop(.closeJobs))])
  }

  @Test func nothingIsStartedOnceItStops() {
    var supervisor = SupervisorUnderTest.listening(job(1))
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .accepted)))
    supervisor.listener(.job(job(2)), .ready)
    supervisor.uplink(.dispatch(job(2), body: [], beginBy: 0))
    supervisor.does(.commandStarted(job(2), SupervisorUnderTest.command))
    supervisor.does(.stopRequested)
    let late = supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0))
    #expect(!late.contains(.spawnCommand(job(1), body: [], beginBy: 0)))
    guard case .toUplink(.dispatchFailed(job(1), let reason)) = late.first else {
      Issue.record("\(late)")
      return
    }
    #expect(!reason.isEmpty)
  }

  /// Nobody does anything but die of SIGKILL: each step ends by its own deadline.
  private func runOut(_ supervisor: inout SupervisorUnderTest, hurryAfter: Int? = nil) -> (code: Int32?, seconds: Int) {
    var actions = supervisor.does(.stopRequested)
    let start = supervisor.now
    var steps = 0
    while actions.exitCode == nil, steps < 300 {
      steps += 1
      for signal in actions.signals {
        switch signal {
        case .signalChild(let key, _, signal: 9): actions += supervisor.exits(key, .signal(9))
        case .signalCommand(let job, signal: 9):
          actions += supervisor.does(.commandExited(job, CommandExit(code: nil, signal: 9)))
        default: break
        }
      }
      if let code = actions.exitCode { return (code, (supervisor.now - start).wholeSeconds) }
      actions = []
      if steps == hurryAfter {
        for _ in 0..<3 { actions += supervisor.does(.stopRequested) }
      }
      guard let due = supervisor.core.nextDeadline else { break }
      if due > supervisor.now { supervisor.now = due }
      actions += supervisor.does(.timeReached)
    }
    return (actions.exitCode, (supervisor.now - start).wholeSeconds)
  }

  @Test func itEndsAlsoWhenNobodyListens() {
    var supervisor = SupervisorUnderTest.running(job(1))
    let (code, seconds) = runOut(&supervisor)
    #expect(code == 0)
    // Command 8 s and 5 to hand over, closing 5, Listeners 10, draining 30 and 5, and 5 from SIGTERM to SIGKILL.
    #expect(seconds <= 8 + 5 + 5 + 10 + 30 + 5 + 5)
  }

  @Test func itEndsAlsoWhenUplinkNeverGetsReady() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    let (code, seconds) = runOut(&supervisor)
    #expect(code == 0 && seconds <= 60)
  }

  @Test func asksInARowHurry() {
    var patient = SupervisorUnderTest.running(job(1))
    var hurried = SupervisorUnderTest.running(job(1))
    let (_, long) = runOut(&patient)
    let (code, short) = runOut(&hurried, hurryAfter: 1)
    #expect(code == 0 && short < long)
  }

  @Test func aSecondAskSkipsTheCommandsGrace() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(supervisor.does(.stopRequested).signals == [.signalCommand(job(1), signal: 15)])
    #expect(supervisor.does(.stopRequested).signals == [.signalCommand(job(1), signal: 9)])
  }

  @Test func anUplinkThatDiesOnTheWayIsToldHowFarTheStopHasCome() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.does(.stopRequested)
    supervisor.exits(.uplink, .signal(9))
    #expect(supervisor.uplink(.ready).contains(.toUplink(.stop(.refuseJobs))))
    supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))
    supervisor.uplink(.inventoryComplete)
    supervisor.does(.commandExited(job(1), killed))
    #expect(supervisor.uplink(.exitStored(job(1))).contains(.toUplink(.stop(.closeJobs))))
    supervisor.exits(.uplink, .signal(9))
    supervisor.pass(1)
    #expect(supervisor.uplink(.ready).contains(.toUplink(.stop(.closeJobs))))
    #expect(supervisor.uplink(.stopped(.closeJobs)).contains(.toListener(.specs, .stop)))
    supervisor.exits(one, .code(0))
    #expect(supervisor.exits(.listener(.specs), .code(0)) == [.toUplink(.stop(.drain))])
    // Dead while it drains: what is left is sent after the next start.
    #expect(supervisor.exits(.uplink, .signal(9)) == [.exit(0)])
  }

  @Test func aWrongConfigurationStopsTheServiceAndIsPassedUp() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    let actions = supervisor.exits(.uplink, .code(78))
    #expect(actions.contains(stopping))
    #expect(!actions.contains { if case .spawnUplink = $0 { true } else { false } })
    #expect(actions.contains(.toListener(.specs, .stop)))
    #expect(supervisor.exits(.listener(.specs), .code(0)) == [.exit(78)])
  }

  @Test func exit78OfAnUplinkThatWasReadyIsADeathLikeOthers() {
    var supervisor = SupervisorUnderTest.ready()
    let actions = supervisor.exits(.uplink, .code(78))
    #expect(actions.first == .spawnUplink(Generation(3)))
    #expect(!actions.contains(stopping))
  }

  @Test func aStopIsSaidToSystemdOnce() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(supervisor.does(.stopRequested).contains(stopping))
    #expect(!supervisor.does(.stopRequested).contains(stopping))
  }
}
