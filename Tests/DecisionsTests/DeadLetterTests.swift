import Messages
import Testing

@testable import Decisions

/// What a person can do about dead letters.
@Suite struct DeadLetterTests {
  /// A job whose `accepted` the facilitator has refused for good.
  private func withDeadLetter(last status: JobStatus? = nil) -> UplinkUnderTest {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.facilitator(.success)
    uplink.update(1, 1, .accepted)
    if let status { uplink.update(1, 2, status) }
    uplink.settle()
    uplink.refuseForGood()
    return uplink
  }

  private func report(_ actions: [UplinkCore.Action]) -> UplinkReport? {
    actions.compactMap { if case .toSupervisor(.report(7, let report)) = $0 { report } else { nil } }.first
  }

  private func ask(_ uplink: UplinkUnderTest, _ query: UplinkQuery) -> (UplinkReport?, [UplinkCore.Action]) {
    let actions = uplink.supervisor(.query(7, query)) + uplink.settle()
    return (report(actions), actions)
  }

  @Test func aRetriedOneIsSentAgainAsIfItWereNew() {
    let uplink = withDeadLetter()
    #expect(uplink.record.dead.map(\.status) == [.accepted] && uplink.core.dead == 1)
    let (report, actions) = ask(uplink, .retry([2]))
    #expect(report?.done == 1 && report?.refusals == [])
    #expect(actions.contains(.send(job(1), .accepted, metadata: nil)))
    #expect(uplink.core.dead == 0 && uplink.core.queued == 1)
    uplink.facilitator(.success)
    uplink.settle()
    #expect(uplink.record.queued.isEmpty && uplink.record.dead.isEmpty && uplink.core.room.rows == 0)
  }

  @Test func aRetriedOneGoesBeforeWhatItsJobStoredLater() {
    let uplink = withDeadLetter()
    uplink.update(1, 2, .executorReady)
    uplink.update(1, 3, .volumesReady)
    uplink.settle()
    // In flight by now, and it stays first.
    let (_, actions) = ask(uplink, .retry([2]))
    #expect(actions.effects.allSatisfy { if case .send = $0 { false } else { true } })
    let next = uplink.facilitator(.success)
    #expect(next.contains(.send(job(1), .accepted, metadata: nil)))
    #expect(uplink.facilitator(.success).contains(.send(job(1), .volumesReady, metadata: nil)))
  }

  @Test func nothingFollowsAnAcceptedTerminalStatus() {
    let uplink = withDeadLetter(last: .completed)
    // Its terminal status is on its way.
    let (early, _) = ask(uplink, .retry([2]))
    #expect(early?.done == 0 && early?.refusals.first?.reason.contains("may have been sent") == true)
    #expect(uplink.record.dead.map(\.status) == [.accepted] && uplink.core.dead == 1)
    uplink.facilitator(.success)
    uplink.settle()
    let (report, _) = ask(uplink, .retry([2]))
    #expect(report?.done == 0 && report?.refusals.first?.reason.contains("has the terminal status") == true)
    #expect(uplink.record.dead.count == 1)
  }

  /// The facilitator may have it: nobody has heard its answer, and a successor does not even know that it was sent.
  @Test func nothingFollowsATerminalStatusWhoseAnswerWasLost() {
    let uplink = withDeadLetter(last: .completed)
    uplink.does(.lost(reason: "cut", connection: uplink.connection))
    let (lost, _) = ask(uplink, .retry([2]))
    #expect(lost?.done == 0 && lost?.refusals.first?.reason.contains("may have been sent") == true)
    uplink.restart()
    uplink.settle()
    let (restarted, _) = ask(uplink, .retry([2]))
    #expect(restarted?.done == 0 && restarted?.refusals.count == 1)
    #expect(uplink.connect().contains(.send(job(1), .completed, metadata: nil)))
  }

  /// It waits here and was never sent: the dead letter goes in its place before it.
  @Test func whatStandsBeforeATerminalStatusThatWasNotSentCanBeRetried() {
    let uplink = withDeadLetter()
    uplink.does(.lost(reason: "cut", connection: uplink.connection))
    uplink.update(1, 2, .completed)
    uplink.settle()
    let (report, _) = ask(uplink, .retry([2]))
    #expect(report?.done == 1 && uplink.core.dead == 0)
    uplink.pass(2)
    #expect(uplink.connect().contains(.send(job(1), .accepted, metadata: nil)))
    #expect(uplink.facilitator(.success).contains(.send(job(1), .completed, metadata: nil)))
  }

  /// The terminal status goes out between the question and the commit.
  @Test func aTerminalStatusThatIsSentMeanwhileIsNotFollowed() {
    let uplink = withDeadLetter()
    uplink.does(.lost(reason: "cut", connection: uplink.connection))
    uplink.update(1, 2, .completed)
    uplink.settle()
    uplink.supervisor(.query(7, .retry([2])))
    // What the record has found is known, and its commit asked for.
    uplink.settleOne()
    uplink.pass(2)
    #expect(uplink.connect().contains(.send(job(1), .completed, metadata: nil)))
    let actions = uplink.settle()
    #expect(self.report(actions)?.done == 0 && uplink.core.dead == 1)
    #expect(!actions.contains(.send(job(1), .accepted, metadata: nil)))
    #expect(uplink.record.dead.map(\.status) == [.accepted])
  }

  /// The record is asked, and before it has answered the worker's last word is on its way into it.
  @Test func nothingFollowsATerminalStatusThatIsBeingWritten() {
    let uplink = withDeadLetter()
    uplink.supervisor(.query(7, .retry([2])))
    uplink.update(1, 2, .completed)
    let actions = uplink.settle()
    #expect(report(actions)?.done == 0)
    #expect(!actions.contains(.send(job(1), .accepted, metadata: nil)))
  }

  /// The facilitator has answered for it, and does not have it.
  @Test func whatStandsBeforeATerminalStatusThatWasRefusedCanBeRetried() {
    let uplink = withDeadLetter(last: .completed)
    // No connection of this test outlives two pings.
    uplink.does(.lost(reason: "cut", connection: uplink.connection))
    uplink.pass(2)
    uplink.connect()
    uplink.refuseForGood()
    #expect(uplink.record.dead.map(\.status) == [.accepted, .completed])
    let (report, actions) = ask(uplink, .retry([3, 2]))
    #expect(report?.done == 2)
    #expect(actions.contains(.send(job(1), .accepted, metadata: nil)))
    #expect(uplink.facilitator(.success).contains(.send(job(1), .completed, metadata: nil)))
  }

  @Test func aDeadTerminalStatusCanBeRetried() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.facilitator(.success)
    uplink.update(1, 1, .completed)
    uplink.settle()
    uplink.refuseForGood()
    #expect(uplink.record.jobs[job(1)]?.phase == .closed)
    uplink.pass(100)
    uplink.restart()
    uplink.settle()
    uplink.connect()
    let (report, actions) = ask(uplink, .retry([2]))
    #expect(report?.done == 1)
    #expect(actions.contains(.send(job(1), .completed, metadata: nil)))
    uplink.facilitator(.success)
    uplink.settle()
    #expect(uplink.record.dead.isEmpty && uplink.record.queued.isEmpty)
  }

  @Test func aDroppedOneIsForgotten() {
    let uplink = withDeadLetter()
    let (report, _) = ask(uplink, .drop([2, 3]))
    #expect(report?.done == 1 && report?.refusals.map(\.id) == [3])
    #expect(uplink.record.dead.isEmpty && uplink.core.dead == 0 && uplink.core.room.rows == 0)
    // Its status is still taken: a worker's second report changes nothing.
    uplink.update(1, 9, .accepted)
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted])
  }

  @Test func twoWhoRetryTheSameOneSendItOnce() {
    let uplink = withDeadLetter()
    let first = uplink.supervisor(.query(7, .retry([2])))
    let second = uplink.supervisor(.query(8, .retry([2])))
    #expect(first.effects.count == 1 && second.effects.count == 1)
    let actions = uplink.settle()
    #expect(report(actions)?.done == 1)
    #expect(uplink.core.queued == 1 && uplink.core.dead == 0)
    #expect(actions.count { $0 == .send(job(1), .accepted, metadata: nil) } == 1)
  }

  /// While a backlog is read page by page, a revived one is in one of the pages or put back, and never both.
  @Test func aRetriedOneOfALongBacklogIsSentOnce() {
    let uplink = withDeadLetter()
    var record = uplink.record
    for number in 10..<3000 {
      record.carryOut(
        .insertJob(
          NewJob(
            job: job(number), receivedAt: uplink.now.wall, body: [], signatureHash: nil, limitSeconds: 1)))
      record.carryOut(.insertUpdate(entry(Int64(number), job(number), .rejected)))
      record.carryOut(.end(job(number), at: uplink.now.wall))
    }
    let behind = UplinkUnderTest(record: record)
    behind.connect()
    behind.supervisor(.query(7, .retry([2])))
    behind.settle()
    var sent: [JobID] = []
    var actions: [UplinkCore.Action] = behind.does(.timeReached)
    var answered = 0
    while behind.record.queuedCount > 0, answered < 10_000 {
      actions += behind.facilitator(.success)
      actions += behind.settle()
      answered += 1
    }
    for case .send(let job, _, _) in actions { sent.append(job) }
    #expect(sent.count { $0 == job(1) } <= 1)
    #expect(behind.record.queued.isEmpty && behind.record.dead.isEmpty)
  }
}
