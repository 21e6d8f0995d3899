import Messages
import Testing

@testable import Decisions

/// Jobs that are tasks in a Celery queue.
@Suite struct TaskDispatchTests {
  private let tasks = TaskSettings(queueSeconds: 60)
  private let away = CommandExit(code: ExitCode.temporary, signal: nil, stderrTail: Array("no broker\n".utf8))
  private let done = CommandExit(code: 0, signal: nil)
  private let record = SupervisorUnderTest.command

  private func dispatching(_ supervisor: inout SupervisorUnderTest) {
    let asked = supervisor.uplink(.dispatch(job(1), body: [1], beginBy: 5))
    #expect(asked == [.spawnCommand(job(1), body: [1], beginBy: 5)])
    #expect(supervisor.does(.commandStarted(job(1), record)).isEmpty)
  }

  // MARK: The Supervisor

  @Test func itIsStartedOnceTheTaskIsInTheQueue() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    #expect(supervisor.does(.commandExited(job(1), done)) == [.toUplink(.commandStarted(job(1), record))])
  }

  @Test func aBrokerThatIsAwayIsAskedAgainByUplinkAfterAWhile() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    for _ in 0..<20 {
      dispatching(&supervisor)
      // Why is told before the job's deadline may pass; the attempt is asked for within the cap, once.
      #expect(
        supervisor.does(.commandExited(job(1), away)) == [.toUplink(.dispatchDelayed(job(1), reason: "no broker"))])
      #expect(
        supervisor.passAnswering(31).filter { $0 == .toUplink(.commandKnowledge(job(1), .neverStarted)) }.count == 1)
    }
  }

  @Test(arguments: [CommandExit(code: nil, signal: 9), CommandExit(code: 70, signal: nil)])
  func whatDiesOnTheWayIsDoneAgain(_ exit: CommandExit) {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    let reason = "what puts it there \(exit)"
    #expect(supervisor.does(.commandExited(job(1), exit)) == [.toUplink(.dispatchDelayed(job(1), reason: reason))])
    #expect(supervisor.passAnswering(31).contains(.toUplink(.commandKnowledge(job(1), .neverStarted))))
  }

  @Test func whatCanNeverBeATaskFailsTheJob() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    let exit = CommandExit(code: ExitCode.data, signal: nil, stderrTail: Array("no request".utf8))
    #expect(supervisor.does(.commandExited(job(1), exit)) == [.toUplink(.dispatchFailed(job(1), reason: "no request"))])
  }

  @Test func oneThatHangsIsKilledAndDoneAgain() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    #expect(supervisor.passAnswering(59).signals.isEmpty)
    #expect(supervisor.passAnswering(2).signals == [.signalCommand(job(1), signal: 9)])
    let killed = supervisor.does(.commandExited(job(1), CommandExit(code: nil, signal: 9)))
    #expect(killed.contains { if case .toUplink(.dispatchDelayed) = $0 { true } else { false } })
    #expect(supervisor.passAnswering(31).contains(.toUplink(.commandKnowledge(job(1), .neverStarted))))
  }

  @Test func aNewUplinkHearsOfItOnlyWhatIsSo() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    let open = UplinkToSupervisor.openJob(OpenJob(job: job(1), phase: .dispatching))
    func knowledge(_ supervisor: inout SupervisorUnderTest) -> [SupervisorCore.Action] {
      supervisor.uplink(open).filter { if case .toUplink(.listenerReady) = $0 { false } else { true } }
    }
    // On its way: it will be told how it ends.
    #expect(knowledge(&supervisor) == [.toUplink(.commandKnowledge(job(1), .started))])
    supervisor.does(.commandExited(job(1), away))
    let delayed = SupervisorCore.Action.toUplink(.dispatchDelayed(job(1), reason: "no broker"))
    #expect(knowledge(&supervisor) == [delayed])
    _ = supervisor.passAnswering(31)
    #expect(knowledge(&supervisor) == [delayed, .toUplink(.commandKnowledge(job(1), .neverStarted))])
    dispatching(&supervisor)
    supervisor.does(.commandExited(job(1), done))
    #expect(
      knowledge(&supervisor) == [
        .toUplink(.commandKnowledge(job(1), .started)), .toUplink(.commandStarted(job(1), record)),
      ])
  }

  @Test func aNewSupervisorAsksAgainForWhatIsNotKnownToBeInTheQueue() {
    var supervisor = SupervisorUnderTest.ready(tasks: tasks)
    let unsure = supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching, isTask: true)))
    #expect(unsure.contains(.toUplink(.commandKnowledge(job(1), .neverStarted))))
    // Nobody listens yet.
    #expect(
      supervisor.uplink(.dispatch(job(1), body: [1], beginBy: 5))
        == [.toUplink(.dispatchDelayed(job(1), reason: "its Listener is not ready"))])
    supervisor.listener(.job(job(1)), .ready)
    #expect(supervisor.passAnswering(1).contains(.toUplink(.commandKnowledge(job(1), .neverStarted))))
    dispatching(&supervisor)
    let sure = supervisor.uplink(.openJob(OpenJob(job: job(2), phase: .dispatching, isTask: true, command: record)))
    #expect(sure.contains(.toUplink(.commandKnowledge(job(2), .unknown))))
    #expect(supervisor.uplink(.dispatch(job(2), body: [], beginBy: 0)).isEmpty)
    // Dispatched as a command, before the configuration was another: that may have run.
    let other = supervisor.uplink(.openJob(OpenJob(job: job(3), phase: .dispatching)))
    #expect(other.contains(.toUplink(.commandKnowledge(job(3), .unknown))))
  }

  @Test func aTaskGoesOnWhenJobsAreCommandsNow() {
    var supervisor = SupervisorUnderTest.ready()
    let actions = supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .dispatching, isTask: true, command: record)))
    #expect(actions.contains { if case .spawnListener(.job(job(1)), _) = $0 { true } else { false } })
    let before = uplink()
    let after = UplinkUnderTest(record: before.record)
    after.supervisor(.commandKnowledge(job(1), .unknown))
    after.supervisor(.stop(.closeJobs))
    after.settle()
    #expect(after.record.statuses(of: job(1)) == [.received])
  }

  @Test func aStopEndsItWithoutAnotherAttempt() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    dispatching(&supervisor)
    #expect(supervisor.does(.stopRequested).signals == [.signalCommand(job(1), signal: 15)])
    let ended = supervisor.does(.commandExited(job(1), CommandExit(code: nil, signal: 15)))
    #expect(!ended.contains { if case .toUplink(.dispatchFailed) = $0 { true } else { false } })
    // Nor does one that the stop has overtaken fail the job.
    #expect(supervisor.uplink(.dispatch(job(1), body: [], beginBy: 0)).isEmpty)
  }

  @Test func thatATaskHasFailedGoesTheWayOfAnExitUntilItIsStored() {
    var supervisor = SupervisorUnderTest.listening(job(1), tasks: tasks)
    let exit = CommandExit(code: nil, signal: nil, task: TaskEnd(state: "FAILURE", error: "ValueError"))
    dispatching(&supervisor)
    // Found while its dispatch is still under way: found again later.
    #expect(supervisor.uplink(.taskEnded(job(1), exit)).isEmpty)
    supervisor.does(.commandExited(job(1), done))
    #expect(supervisor.uplink(.taskEnded(job(1), exit)) == [.toListener(.job(job(1)), .commandExited(exit))])
    #expect(supervisor.uplink(.taskEnded(job(1), exit)).isEmpty)
    supervisor.exits(.listener(.job(job(1))), .signal(9))
    let told = supervisor.listener(.job(job(1)), .ready)
    #expect(told.contains(.toListener(.job(job(1)), .commandExited(exit))))
  }

  // MARK: Uplink

  private func uplink() -> UplinkUnderTest {
    var settings = UplinkSettings.test(launcher: true)
    settings.tasks = tasks
    let uplink = UplinkUnderTest(settings)
    uplink.run(job(1), limitSeconds: 100)
    return uplink
  }

  private func terminal(_ actions: [UplinkCore.Action]) -> String? {
    for case .commit(_, then: .ownTerminal(let entry)) in actions {
      return entry.metadata.map { String(decoding: $0, as: UTF8.self) }
    }
    return nil
  }

  @Test func aDelayedDispatchIsRepeatedUntilNoWorkerCouldEndInTime() {
    let uplink = uplink()
    let grace = Double(uplink.settings.graceSeconds) + 60
    #expect(uplink.dispatched.count == 1)
    uplink.pass(grace - 1)
    uplink.supervisor(.dispatchDelayed(job(1), reason: "no broker"))
    uplink.supervisor(.commandKnowledge(job(1), .neverStarted))
    uplink.settle()
    #expect(uplink.dispatched.count == 2)
    uplink.pass(1)
    let text = terminal(uplink.supervisor(.dispatchDelayed(job(1), reason: "no broker")))
    #expect(text?.contains("its task could not be put into the queue in time: no broker") == true)
    uplink.settle()
    #expect(uplink.dispatched.count == 2)
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
    // Late words change nothing.
    #expect(uplink.supervisor(.dispatchDelayed(job(1), reason: "no broker")).effects.isEmpty)
  }

  /// However long the wait for the next attempt is.
  @Test func aDelayedDispatchEndsWithItsReasonWhenNoWorkerCouldEndInTime() {
    let uplink = uplink()
    uplink.supervisor(.dispatchDelayed(job(1), reason: "no broker"))
    uplink.pass(Double(uplink.settings.graceSeconds) + 60)
    #expect(uplink.core.nextDeadline.map { $0 <= uplink.now.boot } == true)
    let text = terminal(uplink.does(.timeReached))
    #expect(text?.contains("its task could not be put into the queue in time: no broker") == true)
  }

  /// An attempt that is under way may yet succeed. Should it not end either, the reason of the last one is told.
  @Test func theDeadlineOfAJobThatIsBeingDispatchedNamesTheLastFailure() {
    let uplink = uplink()
    uplink.supervisor(.dispatchDelayed(job(1), reason: "no broker"))
    uplink.supervisor(.commandKnowledge(job(1), .neverStarted))
    uplink.settle()
    uplink.pass(Double(uplink.settings.graceSeconds) + 60)
    #expect(terminal(uplink.does(.timeReached)) == nil)
    uplink.pass(100)
    let text = terminal(uplink.does(.timeReached))
    #expect(text?.contains("; its task was not put into the queue: no broker") == true)
  }

  @Test func theDeadlineOfAJobThatWasNotBegunSaysSo() {
    let uplink = uplink()
    uplink.request(job(2), limitSeconds: 100)
    uplink.settle()
    uplink.pass(Double(uplink.settings.graceSeconds) + 160)
    uplink.does(.timeReached)
    uplink.settle()
    func text(_ id: JobID) -> String { uplink.record.metadata(of: id, .hordeFailed) ?? "" }
    #expect(text(job(1)).contains("; its task is not known to be in the queue"))
    #expect(text(job(2)).contains("; its command was not started: its Listener was not ready"))
  }

  @Test func theDeadlineAllowsForTheQueue() {
    let uplink = uplink()
    uplink.pass(Double(uplink.settings.graceSeconds) + 60 + 99)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received])
    uplink.pass(1)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
  }

  @Test func aFailedTaskEndsItsJobWithItsError() {
    let uplink = uplink()
    let exit = CommandExit(code: nil, signal: nil, task: TaskEnd(state: "FAILURE", error: "ValueError: no"))
    uplink.listener(1, .commandExited(exit))
    uplink.settle()
    let last = uplink.record.updates.first { $0.entry.status == .hordeFailed }?.entry.metadata
    let text = String(decoding: last ?? [], as: UTF8.self)
    #expect(text.contains("the job's task ended as FAILURE without a terminal status: ValueError: no"))
  }
}
