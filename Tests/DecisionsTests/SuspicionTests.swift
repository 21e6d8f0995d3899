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

  /// An outbox whose updates are suspect after a disagreement, the first of them in flight; connected at `now`.
  private func probing(_ count: Int = 1, at now: Instant = at(0)) -> Outbox {
    var outbox = Outbox(window: 8)
    for number in 1...count { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    outbox.connected(at: now)
    _ = next(&outbox, at: now)
    _ = outbox.answered(errors("value_error"), at: now)
    outbox.connectionLost(.disagreement, at: now)
    outbox.connected(at: now)
    #expect(next(&outbox, at: now) == [1])
    return outbox
  }

  /// Nothing gets through: the one that is tried waits longer each time, and is never given up on.
  @Test func aSuspectThatNothingSpeaksAgainstIsTriedForEver() {
    var outbox = probing()
    var now = at(0)
    var waits: [Int] = []
    for _ in 0..<100 {
      outbox.connectionLost(.lost, at: now)
      outbox.connected(at: now)
      let before = now
      if next(&outbox, at: now).isEmpty {
        now = outbox.nextDeadline ?? now
        #expect(next(&outbox, at: now) == [1])
      }
      waits.append((now - before).wholeSeconds)
    }
    #expect(waits.prefix(5) == [0, 1, 10, 75, 75] && waits.last == 75)
    #expect(outbox.takeJudged().isEmpty && outbox.count == 1)
  }

  /// A message that is not in the record may be what ends the connection.
  @Test func aSuspectIsSentBesideNothing() {
    var outbox = probing()
    outbox.connectionLost(.lost, at: at(0))
    outbox.connected(at: at(0))
    outbox.sentEphemeral(job(9), at: at(0))
    #expect(next(&outbox, at: at(0)).isEmpty)
    _ = outbox.answered(.success, at: at(0))
    #expect(next(&outbox, at: at(0)) == [1])
    #expect(!outbox.hasRoomForEphemeral)
  }

  /// The connection ends at it alone, and on the next others are taken, three times over.
  @Test func aSuspectThatOthersSpeakAgainstIsGivenUpOn() {
    var outbox = probing()
    outbox.enqueue(entry(9, job(1), .accepted))
    var now = at(0)
    for loss in 1...3 {
      outbox.connectionLost(.lost, at: now)
      outbox.connected(at: now)
      outbox.enqueue(entry(Int64(10 + loss), job(10 + loss), .received))
      // The others go first.
      #expect(next(&outbox, at: now) == [Int64(10 + loss)])
      #expect(outbox.takeJudged().isEmpty)
      _ = outbox.answered(.success, at: now)
      let judged = outbox.takeJudged()
      guard loss < 3 else {
        guard case .dead(let dead, .lost) = judged.first else {
          Issue.record("\(judged)")
          return
        }
        #expect(dead.id == UpdateID(1) && !dead.isRefusedForGood)
        continue
      }
      guard case .counted(_, .lost) = judged.first else {
        Issue.record("\(judged)")
        return
      }
      now = now + .seconds(1)
      #expect(next(&outbox, at: now) == [1])
    }
    #expect(next(&outbox, at: now).isEmpty)
    outbox.buried(job(1))
    // Its job goes on, and nothing is held against what follows.
    #expect(next(&outbox, at: now) == [9])
    #expect(outbox.count == 1)
  }

  /// Suspects take turns, so that each speaks for or against the others.
  @Test func suspectsAreEachOthersEvidence() {
    var outbox = probing(3)
    var now = at(0)
    var taken: [Int64] = []
    var dead: [Int64] = []
    var connections = 0
    // The first ends connections, and there are new ones all the time.
    var number: Int64 = 3
    var sent: [Int64] = [1]
    while dead.isEmpty, connections < 50 {
      if sent.isEmpty {
        guard let due = outbox.nextDeadline else { break }
        now = due
        sent += next(&outbox, at: now)
        continue
      }
      let first = sent.removeFirst()
      if first == 1 {
        connections += 1
        number += 1
        outbox.connectionLost(.lost, at: now)
        outbox.enqueue(entry(number, job(Int(number)), .received))
        outbox.connected(at: now)
        sent = []
      } else {
        _ = outbox.answered(.success, at: now)
        taken.append(first)
      }
      for case .dead(let entry, _) in outbox.takeJudged() { dead.append(entry.id.number) }
      sent += next(&outbox, at: now)
    }
    #expect(dead == [1] && Set(taken).isSuperset(of: [2, 3]), "\(taken) after \(connections) connections")
  }

  /// An outage has made all of them suspect: well again, the facilitator gets them in a few round trips.
  @Test func suspectsAreSentTwiceAsManyAtATimeWhileTheyAreTaken() {
    var outbox = Outbox(window: 64)
    for number in 1...200 { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    while outbox.hasSendable {
      outbox.connected(at: at(0))
      _ = next(&outbox, at: at(0))
      outbox.connectionLost(.disagreement, at: at(0))
    }
    outbox.connected(at: at(0))
    var trips = 0
    while outbox.count > 0, trips < 100 {
      trips += 1
      let sent = next(&outbox, at: at(100))
      #expect(sent.count <= 64)
      for _ in sent { _ = outbox.answered(.success, at: at(100)) }
    }
    #expect(trips <= 10)
  }

  @Test func aRefusalThatNamesTheAuthenticationIsNotTheUpdates() {
    var outbox = probing()
    guard case .disagreement = outbox.answered(errors("auth.not_authenticated"), at: at(0)) else {
      Issue.record("counted against the update")
      return
    }
    outbox.connectionLost(.disagreement, at: at(0))
    #expect(outbox.report(limit: 1).map(\.attempts) == [0])
  }

  /// What is ended here says nothing about what was in flight.
  @Test func aReloadSpeaksAgainstNothing() {
    var outbox = probing(2)
    for _ in 0..<10 {
      #expect(outbox.connectionLost(.ours, at: at(0)) == nil)
      outbox.connected(at: at(0))
      #expect(next(&outbox, at: at(0)).count == 1)
    }
    _ = outbox.answered(.success, at: at(0))
    #expect(outbox.takeJudged().isEmpty)
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

  /// One that the facilitator cannot read goes alone again: beside others its refusal would be nobody's.
  @Test func anUpdateThatIsNotUnderstoodStaysAlone() {
    var outbox = probing()
    guard case .retry(_, let due, _) = outbox.answered(errors("value_error"), at: at(0)) else {
      Issue.record("not refused")
      return
    }
    outbox.enqueue(entry(4, job(4), .received))
    #expect(next(&outbox, at: due) == [4])
    _ = outbox.answered(.success, at: due)
    #expect(next(&outbox, at: due + .seconds(5)) == [1])
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
      // Others come all the time.
      uplink.request(job(100 + steps))
      uplink.settle()
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
        && uplink.core.figures.updatesDelivered == 5 + steps)
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
      outbox.connectionLost(.lost, at: now)
      // One attempt at the next connection fails: nothing was in flight.
      outbox.connectionLost(.lost, at: now + .seconds(1))
    }
    #expect(delivered == Set(2...20), "after \(connections) connections")
  }
}
