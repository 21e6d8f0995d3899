import Messages
import Testing

@testable import Decisions

/// How the update that ends connections is found, and what is not held against one.
@Suite struct SuspicionTests {
  private func next(_ outbox: inout Outbox, at now: Instant) -> [Int64] {
    var ids: [Int64] = []
    while let entry = outbox.next(at: now) { ids.append(entry.id.number) }
    return ids
  }

  /// An outbox whose first update has been sent alone after a disagreement; connected at `now`.
  private func probing(_ count: Int = 1, at now: Instant = at(0)) -> Outbox {
    var outbox = Outbox(window: 8)
    for number in 1...count { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    outbox.connected(at: now)
    _ = next(&outbox, at: now)
    _ = outbox.answered(errors("value_error"), at: now)
    outbox.connectionLost(disagreeing: true, at: now)
    outbox.connected(at: now)
    #expect(next(&outbox, at: now) == [1])
    return outbox
  }

  @Test func aConnectionThatIsLostLaterDoesNotTellOnTheUpdate() {
    var outbox = probing()
    var now = at(0)
    for _ in 0..<20 {
      now = now + Outbox.probation + .milliseconds(1)
      #expect(outbox.connectionLost(disagreeing: false, at: now) == nil)
      outbox.connected(at: now)
      #expect(next(&outbox, at: now) == [1])
    }
  }

  @Test func oneThatIsLostAtOnceThreeTimesOverDoes() {
    var outbox = probing()
    outbox.enqueue(entry(9, job(1), .accepted))
    var now = at(0)
    for loss in 1...3 {
      let dead = outbox.connectionLost(disagreeing: false, at: now + Outbox.probation)
      #expect(dead?.id == (loss == 3 ? UpdateID(1) : nil))
      now = now + .seconds(100)
      outbox.connected(at: now)
      // It waits until the connection is known to work without it.
      if loss < 3 {
        #expect(next(&outbox, at: now).isEmpty)
        #expect(outbox.nextDeadline == now + Outbox.probation)
        now = now + Outbox.probation
        #expect(next(&outbox, at: now) == [1])
      }
    }
    outbox.buried(job(1))
    // Its job goes on, and nothing is held against what follows.
    #expect(next(&outbox, at: now) == [9])
    #expect(outbox.count == 1)
  }

  @Test func aRefusalThatNamesTheAuthenticationIsNotTheUpdates() {
    var outbox = probing()
    guard case .disagreement = outbox.answered(errors("auth.not_authenticated"), at: at(0)) else {
      Issue.record("counted against the update")
      return
    }
    outbox.connectionLost(disagreeing: true, at: at(0))
    #expect(outbox.report(limit: 1).map(\.attempts) == [0])
  }

  @Test func anAnswerClearsWhatWasHeldAgainstAnUpdate() {
    var outbox = probing(3)
    guard case .retry(let refused, let due, _) = outbox.answered(errors("job.not_found"), at: at(0)) else {
      Issue.record("not refused")
      return
    }
    #expect(!refused.suspect && !refused.outcomeUnknown)
    for id: Int64 in [2, 3] {
      #expect(next(&outbox, at: at(0)) == [id])
      _ = outbox.answered(.success, at: at(0))
    }
    outbox.enqueue(entry(4, job(4), .received))
    // It goes with the others again, not alone.
    #expect(next(&outbox, at: due).sorted() == [1, 4])
  }

  @Test func whatIsGivenUpOnIsADeadLetterInTheRecord() {
    let uplink = UplinkUnderTest()
    for number in 1...5 { uplink.request(job(number)) }
    uplink.settle()
    uplink.listener(1, .hello(job(1)))
    uplink.update(1, 1, .accepted)
    uplink.settle()
    var steps = 0
    while uplink.record.queuedCount > 0, steps < 50 {
      steps += 1
      uplink.pass(31)
      var sent = uplink.connect().sent
      while uplink.core.session.isReady, uplink.record.queuedCount > 0 {
        if sent.isEmpty {
          // The suspect is tried once the connection is known to work.
          uplink.pass(5)
          sent = uplink.does(.timeReached).sent
          guard !sent.isEmpty else { break }
        }
        if sent.removeFirst() == FacilitatorModel.Update(job: job(1), status: .received) {
          uplink.does(.lost(reason: "cut", connection: uplink.connection))
        } else {
          sent += uplink.facilitator(.success).sent
        }
        sent += uplink.settle().sent
      }
    }
    #expect(uplink.record.dead.map(\.status) == [.received] && uplink.record.dead.map(\.job) == [job(1)])
    #expect(uplink.record.queued.isEmpty)
    #expect(
      uplink.core.state(at: uplink.now).dead == 1 && uplink.core.queued == 0
        && uplink.core.figures.updatesDelivered == 5)
  }

  /// An update that takes the facilitator down with it: the attempts that fail while it comes up again say nothing
  /// about the update, neither for it nor against it.
  @Test func failedAttemptsInBetweenDoNotClearAnUpdateThatEndsConnections() {
    var outbox = Outbox(window: 4)
    for number in 1...20 { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    var now = at(0)
    var delivered: Set<Int64> = []
    var connections = 0
    while delivered.count < 19, connections < 100 {
      connections += 1
      now = now + .seconds(61)
      outbox.connected(at: now)
      delivered.formUnion(outbox.answerAll(until: job(1), at: &now))
      outbox.connectionLost(disagreeing: false, at: now)
      // One attempt at the next connection fails: nothing was in flight.
      outbox.connectionLost(disagreeing: false, at: now + .seconds(1))
    }
    #expect(delivered == Set(2...20), "after \(connections) connections")
  }
}
