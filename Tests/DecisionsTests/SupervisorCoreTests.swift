import Messages
import Testing

@testable import Decisions

@Suite struct SupervisorCoreTests {
  private let one = ChildKey.listener(.job(job(1)))
  private let exit = CommandExit(code: 3, signal: nil)

  private func assign(_ job: JobID?) -> SupervisorToListener {
    .assign(ListenerSettings(job: job, uplinkSocket: "/run/uplink.sock", maxFrameBytes: 1 << 20))
  }

  // MARK: Children

  @Test func atTheStartUplinkAndTheSpecsListenerAreSpawnedAndToldWhatTheyNeed() {
    var supervisor = SupervisorUnderTest()
    #expect(
      supervisor.does(.timeReached) == [
        .spawnUplink(Generation(1)), .toUplink(.configure(supervisor.settings.uplink)),
        .spawnListener(.specs, Generation(2)), .toListener(.specs, assign(nil)),
      ])
    #expect(supervisor.does(.timeReached).isEmpty)
  }

  @Test func theServiceIsReadyWithUplinkAndSaysSoOnce() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    #expect(supervisor.listener(.specs, .ready).isEmpty)
    #expect(supervisor.uplink(.ready) == [.notifyReady])
    supervisor.exits(.uplink, .signal(9))
    #expect(supervisor.uplink(.ready).isEmpty)
  }

  /// As with a damaged record: the unit is up, and its status line says what it does not do.
  @Test func anUplinkThatCannotStartLeavesTheServiceUpAndDegraded() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    #expect(supervisor.exits(.uplink, .code(74)) == [.notifyReady])
    supervisor.pass(60)
    #expect(supervisor.exits(.uplink, .code(74)).isEmpty)
    supervisor.pass(60)
    #expect(supervisor.uplink(.ready).isEmpty)
    // A wrong configuration is no such case: systemd must hear of it.
    var wrong = SupervisorUnderTest()
    wrong.does(.timeReached)
    #expect(!wrong.exits(.uplink, .code(78)).contains(.notifyReady))
  }

  @Test func aDeadUplinkIsReplacedAtOnceAndThenWithDelays() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.pass(1)
    #expect(
      supervisor.exits(.uplink, .signal(9)) == [
        .spawnUplink(Generation(3)), .toUplink(.configure(supervisor.settings.uplink)),
      ])
    supervisor.uplink(.ready)
    supervisor.pass(1)
    #expect(supervisor.exits(.uplink, .code(1)).isEmpty)
    guard let due = supervisor.core.nextDeadline else {
      Issue.record("never restarted")
      return
    }
    #expect(due > supervisor.now && due <= supervisor.now + .milliseconds(250))
    supervisor.now = due
    #expect(supervisor.does(.timeReached).first == .spawnUplink(Generation(4)))
  }

  @Test func aChildThatCannotBeSpawnedIsTriedForEver() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.exits(.listener(.specs), .code(1))
    for attempt in 0..<200 {
      let key = ChildKey.listener(.specs)
      guard let run = supervisor.core.specs.run else {
        Issue.record("not spawned, attempt \(attempt)")
        return
      }
      supervisor.does(.spawnFailed(key, run.generation, reason: "no such file"))
      // What the double keeps for it is not a process.
      supervisor.does(.childExited(key, Generation(0), .code(0)))
      guard let due = supervisor.core.specs.nextDeadline else {
        Issue.record("given up after \(attempt)")
        return
      }
      #expect(due <= supervisor.now + .seconds(30))
      supervisor.now = due
      supervisor.does(.timeReached)
    }
    #expect(supervisor.core.specs.lastDeath.contains("no such file"))
  }

  @Test func aHungChildIsAbortedKilledAndReplaced() {
    var supervisor = SupervisorUnderTest.ready()
    let pid = supervisor.pid(.uplink)
    let pinged = supervisor.pass(10)
    #expect(pinged.contains { if case .toUplink(.ping) = $0 { true } else { false } })
    #expect(pinged.contains { if case .toListener(.specs, .ping) = $0 { true } else { false } })
    supervisor.listener(.specs, .pong(0))
    #expect(supervisor.pass(9).signals.isEmpty)
    #expect(supervisor.pass(1).signals == [.signalChild(.uplink, pid: pid, signal: 6)])
    supervisor.listener(.specs, .pong(0))
    #expect(supervisor.pass(5).signals == [.signalChild(.uplink, pid: pid, signal: 9)])
    #expect(supervisor.exits(.uplink, .signal(9)).first == .spawnUplink(Generation(3)))
  }

  @Test func aChildThatSaysWhatCannotBeIsReplaced() {
    var supervisor = SupervisorUnderTest.ready()
    #expect(
      supervisor.does(.misbehaved(.listener(.specs), Generation(2), reason: "nonsense"))
        == [.signalChild(.listener(.specs), pid: supervisor.pid(.listener(.specs)), signal: 6)])
    #expect(supervisor.exits(.listener(.specs), .signal(6)).first == .spawnListener(.specs, Generation(3)))
  }

  @Test func lateWordsOfDeadGenerationsAreNothing() {
    var supervisor = SupervisorUnderTest.listening(job(1))
    supervisor.exits(.uplink, .signal(9))
    supervisor.exits(one, .signal(9))
    let old = Generation(1)
    #expect(supervisor.does(.fromUplink(.ready, old)).isEmpty)
    #expect(supervisor.does(.fromUplink(.dispatch(job(1), body: [], beginBy: 0), old)).isEmpty)
    #expect(supervisor.does(.fromUplink(.openJob(OpenJob(job: job(9), phase: .accepted)), old)).isEmpty)
    #expect(supervisor.does(.fromListener(.job(job(1)), .ready, Generation(3))).isEmpty)
    #expect(supervisor.does(.childExited(.uplink, old, .signal(9))).isEmpty)
    #expect(supervisor.does(.childExited(one, Generation(3), .signal(9))).isEmpty)
    #expect(supervisor.does(.spawnFailed(.uplink, old, reason: "")).isEmpty)
    #expect(supervisor.does(.misbehaved(.uplink, old, reason: "")).isEmpty)
    #expect(supervisor.does(.childSpawned(.uplink, old, pid: 1)).isEmpty)
    #expect(!supervisor.core.uplink.isReady)
    // Words of and about jobs that there are none of.
    #expect(supervisor.does(.fromListener(.job(job(5)), .ready, Generation(9))).isEmpty)
    #expect(supervisor.does(.childExited(.listener(.job(job(5))), Generation(9), .code(0))).isEmpty)
    #expect(supervisor.does(.commandExited(job(5), exit)).isEmpty)
  }

  @Test func everyGenerationIsANumberOfItsOwn() {
    var supervisor = SupervisorUnderTest.ready()
    var seen: Set<Generation> = []
    for number in 1...50 {
      supervisor.uplink(.openJob(OpenJob(job: job(number), phase: .accepted)))
      for (generation, _) in supervisor.running.values { seen.insert(generation) }
      supervisor.exits(.listener(.job(job(number))), .code(1))
    }
    #expect(seen.count == 52)
  }

  // MARK: A job

  @Test func anOpenedJobGetsItsListenerAndUplinkHearsOfItOnceItIsReady() {
    var supervisor = SupervisorUnderTest.ready()
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted))) == [
        .spawnListener(.job(job(1)), Generation(3)), .toListener(.job(job(1)), assign(job(1))),
      ])
    #expect(supervisor.listener(.job(job(1)), .ready) == [.toUplink(.listenerReady(job(1), Generation(3)))])
    #expect(
      supervisor.uplink(.dispatch(job(1), body: [1, 2], beginBy: 0)) == [
        .spawnCommand(job(1), body: [1, 2], beginBy: 0)
      ])
    let command = SupervisorUnderTest.command
    #expect(supervisor.does(.commandStarted(job(1), command)) == [.toUplink(.commandStarted(job(1), command))])
    #expect(supervisor.does(.commandExited(job(1), exit)) == [.toListener(.job(job(1)), .commandExited(exit))])
    #expect(supervisor.uplink(.exitStored(job(1))).isEmpty)
    #expect(supervisor.listener(.job(job(1)), .finished).isEmpty)
    #expect(supervisor.exits(one, .code(0)) == [.removeIngress(job(1))])
    #expect(supervisor.core.jobs.isEmpty)
    #expect(supervisor.pass(1000).allSatisfy { if case .spawnListener(.job, _) = $0 { false } else { true } })
  }

  @Test func aCommandIsNeverStartedTwice() {
    var supervisor = SupervisorUnderTest.listening(job(1))
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)) == [.spawnCommand(job(1), body: [], beginBy: 0)])
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
    supervisor.does(.commandStarted(job(1), SupervisorUnderTest.command))
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
    supervisor.does(.commandExited(job(1), exit))
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
    #expect(supervisor.uplink(.dispatch(job(2), body: [], beginBy: 0)).isEmpty)
  }

  @Test func aCommandThatCannotBeStartedIsReportedAlsoToTheNextUplink() {
    var supervisor = SupervisorUnderTest.listening(job(1))
    supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0))
    let failed = SupervisorCore.Action.toUplink(.dispatchFailed(job(1), reason: "no such file"))
    #expect(supervisor.does(.commandFailed(job(1), reason: "no such file")) == [failed])
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    #expect(supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching))).contains(failed))
  }

  @Test func theExitIsToldToEachListenerUntilItIsStored() {
    var supervisor = SupervisorUnderTest.running(job(1))
    let told = SupervisorCore.Action.toListener(.job(job(1)), .commandExited(exit))
    #expect(supervisor.does(.commandExited(job(1), exit)) == [told])
    for _ in 0..<3 {
      supervisor.exits(one, .signal(9))
      supervisor.pass(31)
      let again = supervisor.listener(.job(job(1)), .ready)
      #expect(again.contains(told))
    }
    supervisor.uplink(.exitStored(job(1)))
    supervisor.exits(one, .signal(9))
    supervisor.pass(31)
    #expect(!supervisor.listener(.job(job(1)), .ready).contains(told))
  }

  @Test func anExitDuringTheListenersAbsenceWaitsForItsSuccessor() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.exits(one, .signal(9))
    #expect(supervisor.does(.commandExited(job(1), exit)).isEmpty)
    #expect(
      supervisor.listener(.job(job(1)), .ready) == [
        .toListener(.job(job(1)), .commandExited(exit)), .toUplink(.listenerReady(job(1), Generation(4))),
      ])
  }

  @Test func aListenersDeathIsNotItsCommands() {
    var supervisor = SupervisorUnderTest.running(job(1))
    let after = supervisor.exits(one, .signal(11))
    #expect(after.signals.isEmpty)
    #expect(after.first == .spawnListener(.job(job(1)), Generation(4)))
  }

  @Test func aJobThatHasEndedLosesItsCommandToo() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.listener(.job(job(1)), .finished)
    #expect(
      supervisor.exits(one, .code(0)) == [.removeIngress(job(1)), .signalCommand(job(1), signal: 15)])
    #expect(supervisor.passAnswering(7).signals.isEmpty)
    #expect(supervisor.passAnswering(1).signals == [.signalCommand(job(1), signal: 9)])
    supervisor.does(.commandExited(job(1), exit))
    #expect(supervisor.core.jobs.isEmpty)
  }

  @Test func stoppingACommandIsBoundedAndEndsWithItsExit() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(supervisor.uplink(.stopCommand(job(1))) == [.signalCommand(job(1), signal: 15)])
    #expect(supervisor.uplink(.stopCommand(job(1))).isEmpty)
    supervisor.does(.commandExited(job(1), exit))
    #expect(supervisor.passAnswering(20).signals.isEmpty)
    #expect(supervisor.uplink(.stopCommand(job(1))).isEmpty)
    #expect(supervisor.uplink(.stopCommand(job(9))).isEmpty)
  }

  @Test func aLaunchersSuccessMeansStartedElsewhere() {
    var supervisor = SupervisorUnderTest.running(job(1), launcher: true)
    #expect(supervisor.does(.commandExited(job(1), CommandExit(code: 0, signal: nil))).isEmpty)
    #expect(supervisor.core.jobs[job(1)] != nil)
    var failing = SupervisorUnderTest.running(job(1), launcher: true)
    #expect(failing.does(.commandExited(job(1), exit)) == [.toListener(.job(job(1)), .commandExited(exit))])
  }

  // MARK: Adoption

  @Test func aNewUplinkIsToldWhatIsKnownOfEachCommand() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .accepted)))
    supervisor.listener(.job(job(2)), .ready)
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    let command = SupervisorUnderTest.command
    // Started, and the record does not know the process.
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching))) == [
        .toUplink(.listenerReady(job(1), Generation(3))), .toUplink(.commandKnowledge(job(1), .started)),
        .toUplink(.commandStarted(job(1), command)),
      ])
    // Asked to be started by an Uplink that did not live to say so.
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .dispatching))) == [
        .toUplink(.listenerReady(job(2), Generation(4))), .toUplink(.commandKnowledge(job(2), .neverStarted)),
      ])
    #expect(supervisor.uplink(.dispatch(job(2), body: [], beginBy: 0)) == [.spawnCommand(job(2), body: [], beginBy: 0)])
    // Nobody's process is taken for a leftover.
    #expect(supervisor.uplink(.inventoryComplete) == [.keepIngress(only: [job(1), job(2)])])
  }

  @Test func aCommandThatHasExitedCountsAsStarted() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.does(.commandExited(job(1), exit))
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    let told = supervisor.uplink(
      .openJob(OpenJob(job: job(1), phase: .dispatching, command: SupervisorUnderTest.command)))
    #expect(told.contains(.toUplink(.commandKnowledge(job(1), .started))))
    #expect(!told.contains { if case .toUplink(.commandStarted) = $0 { true } else { false } })
  }

  @Test func aNewSupervisorOpensWhatWasAcceptedAndKnowsNothingOfWhatWasDispatched() {
    var supervisor = SupervisorUnderTest()
    supervisor.does(.timeReached)
    supervisor.uplink(.ready)
    let command = SupervisorUnderTest.command
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted))).first
        == .spawnListener(.job(job(1)), Generation(3)))
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .dispatching, command: command))) == [
        .killLeftover(job(2), command), .toUplink(.commandKnowledge(job(2), .unknown)),
      ])
    #expect(supervisor.uplink(.openJob(OpenJob(job: job(3), phase: .ended))).isEmpty)
    #expect(supervisor.uplink(.openJob(OpenJob(job: job(4), phase: .closed))).isEmpty)
    #expect(supervisor.uplink(.inventoryComplete) == [.keepIngress(only: [job(1)])])
    #expect(supervisor.uplink(.dispatch(job(2), body: [], beginBy: 0)).isEmpty)
  }

  @Test func aNewSupervisorHearsLaunchedJobsAgain() {
    var supervisor = SupervisorUnderTest(launcher: true)
    supervisor.does(.timeReached)
    supervisor.uplink(.ready)
    let adopted = supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))
    #expect(adopted.first == .toUplink(.commandKnowledge(job(1), .unknown)))
    #expect(adopted.contains(.spawnListener(.job(job(1)), Generation(3))))
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
    #expect(supervisor.uplink(.inventoryComplete) == [.keepIngress(only: [job(1)])])
  }

  @Test func aDrainedServiceTellsItsNextUplinkFromTheStart() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(supervisor.does(.controlQuery(1, .drain(true))).contains(.toUplink(.refuseJobs(true))))
    func refuses(_ actions: [SupervisorCore.Action]) -> Bool? {
      actions.compactMap { if case .toUplink(.configure(let settings)) = $0 { settings.refuseJobs } else { nil } }.first
    }
    #expect(refuses(supervisor.exits(.uplink, .signal(9))) == true)
    // Taken back while it opens its record.
    #expect(supervisor.does(.controlQuery(2, .drain(false))).contains(.toUplink(.refuseJobs(false))))
    supervisor.uplink(.ready)
    supervisor.now = supervisor.now + .seconds(100)
    supervisor.does(.timeReached)
    #expect(refuses(supervisor.exits(.uplink, .signal(9))) == false)
  }

  /// It may be a job that ended a while ago, whose Listener still serves a worker: that is between the Listener and Uplink.
  @Test func whatUplinkDoesNotTellOfEndsByItsListener() {
    var supervisor = SupervisorUnderTest.running(job(1))
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .accepted)))
    supervisor.exits(.uplink, .signal(9))
    supervisor.uplink(.ready)
    supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .accepted)))
    let complete = supervisor.uplink(.inventoryComplete)
    #expect(complete == [.keepIngress(only: [job(1), job(2)])])
    supervisor.listener(.job(job(1)), .finished)
    let ended = supervisor.exits(one, .code(0))
    #expect(ended.contains(.removeIngress(job(1))) && ended.contains(.signalCommand(job(1), signal: 15)))
    supervisor.does(.commandExited(job(1), exit))
    #expect(supervisor.core.jobs.keys.sorted() == [job(2)])
  }

  @Test func commandsStartedWhileUplinkIsAwayAreToldToTheNext() {
    var supervisor = SupervisorUnderTest.listening(job(1))
    supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0))
    supervisor.exits(.uplink, .signal(9))
    #expect(supervisor.does(.commandStarted(job(1), SupervisorUnderTest.command)).isEmpty)
    supervisor.uplink(.ready)
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching)))
        .contains(.toUplink(.commandStarted(job(1), SupervisorUnderTest.command))))
  }

  @Test func aListenerThatGetsReadyWhileUplinkIsAwayIsToldToTheNext() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted)))
    supervisor.exits(.uplink, .signal(9))
    #expect(supervisor.listener(.job(job(1)), .ready).isEmpty)
    supervisor.uplink(.ready)
    #expect(
      supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted)))
        == [.toUplink(.listenerReady(job(1), Generation(3)))])
  }

  // MARK: Questions

  private func answers(_ actions: [SupervisorCore.Action]) -> [(UInt64, [ChildReport], UplinkReport?)] {
    actions.compactMap {
      if case .answerControl(let number, let children, let report) = $0 { (number, children, report) } else { nil }
    }
  }

  private let report = UplinkReport(
    state: UplinkState(session: "ready", lastLoss: "", openJobs: 0, queued: 0, inFlight: 0, delivered: 0, dead: 0))

  @Test func aQuestionIsAnsweredWithUplinksReport() {
    var supervisor = SupervisorUnderTest.running(job(1))
    #expect(supervisor.does(.controlQuery(5, .jobs)) == [.toUplink(.query(5, .jobs))])
    let answer = answers(supervisor.uplink(.report(5, report)))
    #expect(answer.count == 1 && answer[0].0 == 5 && answer[0].2 == report)
    let children = answer[0].1
    #expect(children.map(\.name) == ["uplink", "specs-listener", "listener", "command"])
    #expect(children.map(\.state) == ["ready", "ready", "ready", "running"])
    #expect(children.map(\.job) == [nil, nil, job(1), job(1)])
    #expect(children[0].pid == Int(supervisor.pid(.uplink)) && children[3].pid == 77)
    #expect(answers(supervisor.uplink(.report(5, report))).isEmpty)
  }

  @Test func aQuestionIsAnsweredWithoutUplinkWhenThatDoesNotAnswer() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.controlQuery(5, .status))
    #expect(answers(supervisor.pass(1.9)).isEmpty)
    var answer = answers(supervisor.pass(0.2))
    #expect(answer.count == 1 && answer[0].0 == 5 && answer[0].2 == nil)
    // A late one is nobody's.
    #expect(answers(supervisor.uplink(.report(5, report))).isEmpty)
    supervisor.does(.controlQuery(6, .status))
    answer = answers(supervisor.exits(.uplink, .signal(9)))
    #expect(answer.count == 1 && answer[0].0 == 6 && answer[0].2 == nil)
    answer = answers(supervisor.does(.controlQuery(7, .status)))
    #expect(answer.count == 1 && answer[0].2 == nil)
    #expect(answer[0].1[0].restartsLastHour == 1 && answer[0].1[0].lastDeath.contains("signal 9"))
  }
}
