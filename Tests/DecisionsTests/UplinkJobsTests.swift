import Messages
import Testing

@testable import Decisions

@Suite struct UplinkJobsTests {
  let one = ConnectionID(1)
  func stored(_ number: UInt64) -> UplinkToListener { .stored(SequenceNumber(number)) }
  let exit = CommandExit(code: 3, signal: nil, stderrTail: Array("oh no".utf8))

  // MARK: From the request to the dispatch

  @Test func aNewRecordBeginsWithNothing() {
    let uplink = UplinkUnderTest(started: false)
    #expect(
      uplink.start() == [
        .toSupervisor(.ready), .toSupervisor(.inventoryComplete),
        .load(after: UpdateID(0), limit: 1024, passingOver: false),
      ])
  }

  @Test func aJobIsOpenedOnlyOnceItIsStored() {
    let uplink = UplinkUnderTest()
    let actions = uplink.request(job(1), hash: [7])
    #expect(actions.said.isEmpty)
    guard case .commit(let operations, _) = actions.effects.first, actions.effects.count == 1,
      case .insertJob(let new) = operations.first, case .insertUpdate(let entry) = operations.last
    else {
      Issue.record("\(actions)")
      return
    }
    #expect(operations.count == 2)
    #expect(
      new.job == job(1) && new.signatureHash == [7] && new.limitSeconds == 100 && new.body == Array("request".utf8))
    #expect(entry.job == job(1) && entry.status == .received && entry.metadata == nil)
    #expect(uplink.settle().said == [.toSupervisor(.openJob(OpenJob(job: job(1), phase: .accepted)))])
  }

  @Test func aJobIsDispatchedOnceItsListenerIsReadyAndThatIsStored() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1), limitSeconds: 100)
    uplink.settle()
    uplink.pass(50)
    let actions = uplink.supervisor(.listenerReady(job(1), Generation(4)))
    #expect(actions.said.isEmpty)
    let deadline = Deadline(
      boot: at(750), bootID: "boot", wall: WallTime(milliseconds: 1_000_000_000 + 750_000))
    #expect(
      actions.effects == [.commit([.setDispatching(job(1), deadline, isTask: false)], then: .dispatching(job(1)))])
    // A second Listener that gets ready dispatches nothing.
    #expect(uplink.supervisor(.listenerReady(job(1), Generation(5))).effects.isEmpty)
    #expect(uplink.settleOne().effects == [.loadBody(job(1))])
    // Who begins later than its limits before the deadline cannot end in time.
    let dispatch = UplinkToSupervisor.dispatch(job(1), body: Array("request".utf8), beginBy: 1_000_000_000 + 650_000)
    #expect(uplink.settleOne().said == [.toSupervisor(dispatch)])
    #expect(uplink.supervisor(.listenerReady(job(1), Generation(6))).effects.isEmpty)
    let command = CommandRecord(pid: 9, startTime: 8, bootID: "boot")
    uplink.supervisor(.commandStarted(job(1), command))
    uplink.settle()
    #expect(uplink.record.jobs[job(1)]?.command == command)
    #expect(uplink.dispatched == [job(1)])
  }

  @Test func readinessOfUnknownJobsIsNothing() {
    let uplink = UplinkUnderTest()
    #expect(uplink.supervisor(.listenerReady(job(5), Generation(1))).effects.isEmpty)
    #expect(uplink.supervisor(.commandStarted(job(5), CommandRecord(pid: 1, startTime: 1, bootID: ""))).effects.isEmpty)
    #expect(uplink.supervisor(.dispatchFailed(job(5), reason: "")).effects.isEmpty)
    #expect(uplink.supervisor(.commandKnowledge(job(5), .neverStarted)).effects.isEmpty)
  }

  @Test func aKnownUUIDStartsNothingTwice() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    #expect(uplink.request(job(1)).effects.isEmpty)
    uplink.settle()
    let again = uplink.request(job(1))
    #expect(again.effects.isEmpty)
    #expect(
      again.contains {
        if case .log(let entry) = $0 { entry.priority == .warning && entry.job == job(1) } else { false }
      })
    // Also when it is in the record alone.
    uplink.connect()
    uplink.run(job(2))
    uplink.update(1, 1, .completed)
    uplink.settle()
    for _ in 0..<8 {
      uplink.facilitator(.success)
      uplink.settle()
    }
    #expect(uplink.record.jobs[job(2)]?.phase == .closed)
    uplink.pass(10_000)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.request(job(2)).effects.isEmpty)
  }

  @Test func aBadSignatureIsRejectedWithoutARowAndDoesNotStandForTheTrueOne() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    let effects = uplink.request(job(1), hash: [7], refusal: "not from whom it says").effects
    guard case .send(job(1), .rejected, metadata: .some(let metadata)) = effects.first, effects.count == 1 else {
      Issue.record("\(effects)")
      return
    }
    let text = String(decoding: metadata, as: UTF8.self)
    #expect(text.contains(#""rejected_by":"validator","reason":"invalid_signature""#))
    #expect(text.contains("not from whom it says"))
    #expect(uplink.record.jobs.isEmpty && uplink.core.state(at: uplink.now).queued == 0)
    uplink.request(job(1), hash: [7])
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received])
  }

  @Test func aKnownSignatureUnderANewUUIDIsAReplay() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.request(job(1), hash: [7])
    // Before its commit, behind it, and when another Uplink looks.
    #expect(uplink.request(job(2), hash: [7]).sent == [.init(job: job(2), status: .rejected)])
    uplink.settle()
    #expect(uplink.request(job(3), hash: [7]).sent == [.init(job: job(3), status: .rejected)])
    uplink.settle()
    let other = UplinkUnderTest(record: uplink.record)
    other.connect()
    #expect(other.request(job(4), hash: [7]).sent.contains(.init(job: job(4), status: .rejected)))
    #expect(other.record.jobs.count == 1)
    // Unverified requests have no signature to go by.
    uplink.request(job(5))
    uplink.request(job(6))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(6)) == [.received])
  }

  @Test func beyondTheLimitJobsAreTurnedAwayAndNotStored() {
    let uplink = UplinkUnderTest(.test(maxOpenJobs: 2))
    uplink.connect()
    uplink.run(job(1), listener: 1)
    uplink.run(job(2), listener: 2)
    let turnedAway = uplink.request(job(3)).effects
    guard case .send(job(3), .rejected, metadata: .some(let metadata)) = turnedAway.first else {
      Issue.record("\(turnedAway)")
      return
    }
    #expect(turnedAway.count == 1)
    #expect(String(decoding: metadata, as: UTF8.self).contains(#""reason":"busy""#))
    #expect(uplink.record.jobs[job(3)] == nil)
    // Its answer is taken for what it is: the two before and the one behind it are not confused.
    uplink.update(1, 1, .accepted)
    uplink.settle()
    for answer in [FacilitatorAnswer.success, .success, errors("job.not_found"), .success] {
      uplink.facilitator(answer)
      uplink.settle()
    }
    #expect(uplink.record.queued.isEmpty)
    // Once one has ended there is room again.
    uplink.update(2, 1, .completed)
    uplink.settle()
    uplink.request(job(3))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(3)) == [.received])
  }

  // MARK: Updates

  @Test func anUpdateIsAcknowledgedAndSentOnlyOnceItIsStored() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.facilitator(.success)
    uplink.settle()
    #expect(uplink.update(1, 1, .executorReady, metadata: [1, 2]).said.isEmpty)
    let actions = uplink.settle().said
    #expect(actions == [.toListener(one, stored(1)), .send(job(1), .executorReady, metadata: [1, 2])])
    #expect(uplink.facilitator(.success).effects.count == 1)
    uplink.settle()
    #expect(uplink.record.queued.isEmpty)
  }

  @Test func theSameStatusAgainIsAcknowledgedAndChangesNothing() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .accepted, metadata: [1])
    // While the first is on its way, the answer to the second waits behind it.
    #expect(uplink.update(1, 2, .accepted, metadata: [2]).said.isEmpty)
    #expect(uplink.settleOne().said == [.toListener(one, stored(1))])
    #expect(uplink.settleOne().said == [.toListener(one, stored(2))])
    #expect(uplink.update(1, 3, .accepted, metadata: [3]).effects == [.toListener(one, stored(3))])
    #expect(uplink.update(1, 4, .received).effects == [.toListener(one, stored(4))])
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted])
    #expect(uplink.record.updates.last?.entry.metadata == [1])
  }

  @Test func nothingNewFollowsATerminalStatus() {
    for terminal in JobStatus.allCases.filter(\.isTerminal) {
      let uplink = UplinkUnderTest()
      uplink.run(job(1))
      uplink.update(1, 1, terminal)
      // While it is on its way to the record a successor may still have the job open: told once it is durable.
      let early = uplink.update(1, 2, .executionDone)
      #expect(early.said.isEmpty)
      let told = uplink.settle().said
      #expect(told.prefix(2) == [.toListener(one, stored(1)), .toListener(one, .ended)])
      guard case .toListener(one, .refused(SequenceNumber(2), .jobClosed, _)) = told.last, told.count == 3 else {
        Issue.record("\(told)")
        continue
      }
      for (index, status) in JobStatus.allCases.enumerated() where status != terminal && status != .received {
        let late = uplink.update(1, UInt64(10 + index), status).effects
        guard case .toListener(one, .refused(_, .jobClosed, let text)) = late.first, late.count == 1 else {
          Issue.record("\(status) behind \(terminal): \(late)")
          continue
        }
        #expect(!text.isEmpty)
      }
      // The terminal status itself can be asked for again.
      #expect(uplink.update(1, 40, terminal).effects == [.toListener(one, stored(40))])
      #expect(uplink.record.jobs[job(1)]?.phase == .ended)
    }
  }

  @Test func aLostAcknowledgementCanBeAskedForAlsoWhenTheJobIsClosed() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.update(1, 1, .completed)
    uplink.settle()
    for _ in 0..<2 {
      uplink.facilitator(.success)
      #expect(!uplink.settle().contains(.toListener(one, .unknownJob)))
    }
    #expect(uplink.record.jobs[job(1)]?.phase == .closed)
    #expect(uplink.update(1, 2, .completed).effects == [.toListener(one, stored(2))])
    // By the Listener's successor, and of Uplink's.
    #expect(
      uplink.listener(2, .hello(job(1)), generation: 2).said.contains(
        .toListener(ConnectionID(2), .welcome(ended: true))))
    uplink.pass(9)
    uplink.restart()
    uplink.settle()
    #expect(uplink.listener(3, .hello(job(1))).said == [.toListener(ConnectionID(3), .welcome(ended: true))])
    #expect(uplink.update(3, 1, .completed).effects == [.toListener(ConnectionID(3), stored(1))])
  }

  @Test func closedJobsAreForgottenAfterAWhile() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.update(1, 1, .completed)
    uplink.settle()
    for _ in 0..<2 {
      uplink.facilitator(.success)
      uplink.settle()
    }
    uplink.does(.listenerGone(one))
    uplink.pass(61)
    uplink.does(.timeReached)
    #expect(uplink.core.jobs.isEmpty && uplink.core.remembered.isEmpty)
    // Whoever comes late is answered from the record.
    uplink.listener(9, .hello(job(1)))
    #expect(uplink.settle().said == [.toListener(ConnectionID(9), .welcome(ended: true))])
    #expect(uplink.update(9, 1, .completed).effects == [.toListener(ConnectionID(9), stored(1))])
  }

  // MARK: How a job ends

  @Test func aWorkerThatExitsWithoutATerminalStatusEndsInOneHordeFailed() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .accepted)
    #expect(uplink.listener(1, .commandExited(exit)).said.isEmpty)
    // Told again by a successor, before and after it is stored.
    uplink.listener(2, .hello(job(1)), generation: 2)
    uplink.listener(2, .commandExited(exit), generation: 2)
    let actions = uplink.settle().said
    #expect(actions.contains(.toSupervisor(.exitStored(job(1)))))
    #expect(actions.contains(.toListener(ConnectionID(2), .exitStored)))
    #expect(actions.contains(.toListener(ConnectionID(2), .ended)))
    uplink.listener(2, .commandExited(exit), generation: 2)
    #expect(uplink.settle().said == [.toListener(ConnectionID(2), .exitStored), .toSupervisor(.exitStored(job(1)))])
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted, .hordeFailed])
    let metadata = uplink.record.metadata(of: job(1), .hordeFailed) ?? ""
    for part in [#""reported_by":"validator""#, #""exit_code":3"#, "oh no", "code 3"] {
      #expect(metadata.contains(part), "\(part) is missing from \(metadata)")
    }
  }

  @Test func aSignalIsNamedInTheDetails() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.listener(1, .commandExited(CommandExit(code: nil, signal: 9, stderrTail: [0xff])))
    uplink.settle()
    #expect(uplink.record.metadata(of: job(1), .hordeFailed)?.contains(#""signal":9"#) == true)
  }

  @Test func anExitBehindATerminalStatusIsOnlyStored() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .completed)
    uplink.listener(1, .commandExited(exit))
    #expect(
      uplink.settle().said == [
        .toListener(one, stored(1)), .toListener(one, .ended), .toListener(one, .exitStored),
        .toSupervisor(.exitStored(job(1))),
      ])
    #expect(uplink.record.statuses(of: job(1)) == [.received, .completed])
    #expect(uplink.record.jobs[job(1)]?.exit == exit)
  }

  @Test func aDeadlineEndsAJobAndStopsItsCommand() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1), listener: 1, limitSeconds: 100)
    uplink.run(job(2), listener: 2, limitSeconds: 200)
    #expect(uplink.core.earliestDeadline == at(700))
    uplink.pass(699)
    uplink.does(.timeReached)
    #expect(uplink.settle().said.isEmpty)
    uplink.pass(1)
    #expect(uplink.does(.timeReached).contains { if case .commit = $0 { true } else { false } })
    #expect(uplink.settle().said == [.toListener(one, .ended), .toSupervisor(.stopCommand(job(1)))])
    #expect(uplink.record.metadata(of: job(1), .hordeFailed)?.contains("unhandled_timeout") == true)
    #expect(uplink.record.statuses(of: job(2)) == [.received])
    // The other's is still to come.
    #expect(uplink.core.earliestDeadline == at(800))
    uplink.pass(100)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(2)) == [.received, .hordeFailed])
    // Neither ends twice.
    uplink.pass(10_000)
    uplink.does(.timeReached)
    uplink.settle()
  }

  @Test func aJobThatEndedInTimeIsNotFailedByItsDeadline() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .completed)
    uplink.pass(10_000)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .completed])
  }

  @Test func aCommandThatCannotBeStartedEndsItsJob() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.supervisor(.dispatchFailed(job(1), reason: "no such file"))
    uplink.supervisor(.dispatchFailed(job(1), reason: "no such file"))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
    #expect(uplink.record.metadata(of: job(1), .hordeFailed)?.contains("no such file") == true)
  }

  // MARK: Restarts

  @Test func afterAStartOpenJobsAreToldAndThenThatTheyAreAll() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1), listener: 1)
    uplink.request(job(2))
    uplink.run(job(3), listener: 3)
    let command = CommandRecord(pid: 9, startTime: 8, bootID: "boot")
    uplink.supervisor(.commandStarted(job(3), command))
    uplink.update(1, 1, .completed)
    uplink.settle()
    #expect(
      uplink.restart() == [
        .toSupervisor(.ready), .toSupervisor(.openJob(OpenJob(job: job(1), phase: .ended))),
        .toSupervisor(.openJob(OpenJob(job: job(2), phase: .accepted))),
        .toSupervisor(.openJob(OpenJob(job: job(3), phase: .dispatching, command: command))),
        .toSupervisor(.inventoryComplete), .load(after: UpdateID(0), limit: 1024, passingOver: false),
      ])
    uplink.settle()
    #expect(uplink.connect().sent.count == 3)
  }

  @Test func aJobThatWasNeverStartedIsStartedNow() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    uplink.settle()
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    // Killed between the commit and the dispatch.
    uplink.restart(durable: 1)
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.supervisor(.commandKnowledge(job(1), .neverStarted))
    uplink.settle()
    #expect(uplink.dispatched == [job(1)])
  }

  @Test func aJobThatRunsGoesOn() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.restart()
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.supervisor(.commandKnowledge(job(1), .started))
    uplink.settle()
    #expect(uplink.dispatched == [job(1)] && uplink.record.statuses(of: job(1)) == [.received])
    uplink.pass(700)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
  }

  @Test func aJobOfWhichNothingIsKnownCountsAsHavingRun() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.restart()
    uplink.supervisor(.commandKnowledge(job(1), .unknown))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
    #expect(uplink.dispatched == [job(1)])
  }

  @Test func aLaunchersJobGoesOnElsewhere() {
    let uplink = UplinkUnderTest(.test(launcher: true))
    uplink.run(job(1))
    uplink.restart()
    uplink.supervisor(.commandKnowledge(job(1), .unknown))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received] && uplink.dispatched == [job(1)])
    uplink.listener(5, .hello(job(1)))
    uplink.update(5, 1, .completed)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .completed])
  }

  @Test func deadlinesHoldAcrossBootsByTheWallClock() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1), limitSeconds: 100)
    uplink.pass(300)
    uplink.bootID = "another"
    uplink.now.boot = at(10)
    uplink.restart()
    uplink.settle()
    #expect(uplink.core.earliestDeadline == at(410))
  }
}
