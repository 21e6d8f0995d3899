import Messages
import Testing

@testable import Decisions

@Suite struct OutboxTests {
  private func next(_ outbox: inout Outbox, at now: Instant = at(0)) -> [Int64] {
    var ids: [Int64] = []
    while let entry = outbox.next(at: now) { ids.append(entry.id.number) }
    return ids
  }

  private func outbox(_ entries: [OutboxEntry], window: Int = 256) -> Outbox {
    var outbox = Outbox(window: window)
    for entry in entries { outbox.enqueue(entry) }
    return outbox
  }

  @Test func withinAJobOneIsInFlightAndTheOrderIsKept() {
    var outbox = outbox([
      entry(1, job(1), .received), entry(2, job(1), .accepted), entry(3, job(1), .completed),
    ])
    for id: Int64 in 1...3 {
      #expect(next(&outbox) == [id])
      #expect(outbox.inFlight == 1)
      guard case .delivered(let delivered, already: false) = outbox.answered(.success, at: at(0)) else {
        Issue.record("not delivered")
        return
      }
      #expect(delivered.id == UpdateID(id))
    }
    #expect(next(&outbox).isEmpty && outbox.count == 0 && outbox.bytes == 0 && outbox.inFlight == 0)
  }

  @Test func overAllJobsAsManyAsTheWindowAreInFlight() {
    var outbox = outbox((1...10).map { entry(Int64($0), job($0), .received) }, window: 4)
    #expect(next(&outbox) == [1, 2, 3, 4])
    _ = outbox.answered(.success, at: at(0))
    #expect(next(&outbox) == [5])
    for _ in 0..<4 { _ = outbox.answered(.success, at: at(0)) }
    #expect(next(&outbox) == [6, 7, 8, 9])
  }

  @Test func overAllJobsNoMoreBytesAreInFlightThanTheLimitAndOneMore() {
    let half = [UInt8](repeating: 0, count: Outbox.bytesInFlightLimit / 2)
    var outbox = outbox((1...5).map { entry(Int64($0), job($0), .received, metadata: half) })
    #expect(next(&outbox) == [1, 2])
    _ = outbox.answered(.success, at: at(0))
    #expect(next(&outbox) == [3])
  }

  @Test func answersAreForWhatWasSentFirst() {
    var outbox = outbox([
      entry(1, job(1), .received), entry(2, job(2), .received), entry(3, job(3), .received),
    ])
    _ = next(&outbox)
    guard case .delivered(let first, _) = outbox.answered(.success, at: at(0)),
      case .retry(let second, _, _) = outbox.answered(errors("job.not_found"), at: at(0)),
      case .delivered(let third, _) = outbox.answered(.success, at: at(0))
    else {
      Issue.record("other outcomes")
      return
    }
    #expect([first, second, third].map(\.id.number) == [1, 2, 3])
  }

  @Test func theSameStatusTwiceMeansDelivered() {
    var outbox = outbox([entry(1, job(1), .received), entry(2, job(1), .completed)])
    _ = next(&outbox)
    guard
      case .delivered(let delivered, already: true) = outbox.answered(
        errors("job.integrity_error"), at: at(0))
    else {
      Issue.record("not delivered")
      return
    }
    #expect(delivered.id == UpdateID(1) && delivered.attempts == 0)
    #expect(next(&outbox) == [2])
  }

  @Test func aRefusedUpdateWaitsLongerEachTimeAndThenIsDead() {
    var outbox = outbox([entry(1, job(1), .received), entry(2, job(1), .completed)])
    var now = 0.0
    for (attempt, wait) in [1.0, 10, 60].enumerated() {
      #expect(next(&outbox, at: at(now)) == [1])
      guard case .retry(let entry, let due, let error) = outbox.answered(errors("job.not_found"), at: at(now))
      else {
        Issue.record("not retried")
        return
      }
      #expect(entry.id == UpdateID(1) && entry.attempts == attempt)
      #expect(due == at(now + wait) && outbox.nextDeadline == due)
      #expect(error.type == "job.not_found")
      // Another job goes on meanwhile, by which it counts.
      guard case .counted(let counted, .refused) = deliver(&outbox, Int64(attempt) + 10, at: at(now)).first else {
        Issue.record("not counted")
        return
      }
      #expect(counted.id == UpdateID(1) && counted.attempts == attempt + 1)
      // Its own job waits with it.
      #expect(next(&outbox, at: at(now + wait - 0.1)).isEmpty)
      now += wait
    }
    #expect(next(&outbox, at: at(now)) == [1] && outbox.nextDeadline == nil)
    _ = outbox.answered(errors("job.not_found"), at: at(now))
    guard case .dead(let dead, .refused(let error)) = deliver(&outbox, 20, at: at(now)).first else {
      Issue.record("not dead")
      return
    }
    #expect(dead.id == UpdateID(1) && dead.attempts == 4 && error.type == "job.not_found")
    // Its job goes on once that is on record, and not before.
    #expect(next(&outbox, at: at(now)).isEmpty)
    outbox.buried(job(1))
    #expect(next(&outbox, at: at(now)) == [2])
    _ = outbox.answered(.success, at: at(now))
    #expect(outbox.count == 0 && outbox.bytes == 0 && outbox.nextDeadline == nil)
  }

  /// Sends an update of a job of its own, which is taken.
  private func deliver(_ outbox: inout Outbox, _ id: Int64, at now: Instant) -> [Outbox.Judgement] {
    outbox.enqueue(entry(id, job(Int(id)), .received))
    #expect(next(&outbox, at: now) == [id])
    guard case .delivered(let taken, _) = outbox.answered(.success, at: now), taken.id.number == id else {
      Issue.record("\(id) is not delivered")
      return []
    }
    return outbox.takeJudged()
  }

  @Test func attemptsFromBeforeAStartCount() {
    var outbox = Outbox(window: 8)
    outbox.enqueue(entry(1, job(1), .received, attempts: 3))
    _ = next(&outbox)
    _ = outbox.answered(errors("job.odd"), at: at(0))
    guard case .dead(_, .refused) = deliver(&outbox, 2, at: at(0)).first else {
      Issue.record("not dead")
      return
    }
  }

  @Test func whatWasInFlightGoesAgainInOrderBeforeAnythingNew() {
    var outbox = outbox((1...6).map { entry(Int64($0), job($0), .received) }, window: 4)
    outbox.enqueue(entry(7, job(1), .accepted))
    #expect(next(&outbox) == [1, 2, 3, 4])
    outbox.connectionLost(.lost, at: at(0))
    #expect(outbox.inFlight == 0 && outbox.awaitedSince == nil)
    #expect(next(&outbox) == [1, 2, 3, 4])
    guard case .delivered(let first, _) = outbox.answered(.success, at: at(0)) else {
      Issue.record("not delivered")
      return
    }
    #expect(first.outcomeUnknown)
    #expect(next(&outbox) == [5])
    for _ in 0..<4 { _ = outbox.answered(errors("job.integrity_error"), at: at(0)) }
    #expect(next(&outbox) == [6, 7])
    #expect(outbox.report(limit: 9).map(\.attempts) == [0, 0])
  }

  @Test func aLossIsNoAttemptAndALostConnectionDoesNotEndAWait() {
    var outbox = outbox([entry(1, job(1), .received), entry(2, job(2), .received)])
    _ = next(&outbox)
    _ = outbox.answered(errors("job.not_found"), at: at(0))
    // A network that flaps buries nothing.
    for number in 0..<100 {
      let now = at(0.5 + Double(number) / 1000)
      outbox.connected(at: now)
      _ = next(&outbox, at: now)
      outbox.connectionLost(.lost, at: now)
    }
    #expect(outbox.takeJudged().isEmpty)
    // By then it is suspect, and waits.
    outbox.connected(at: at(0.7))
    #expect(next(&outbox, at: at(0.7)) == [])
    #expect(outbox.nextDeadline == at(1))
    #expect(next(&outbox, at: at(1)) == [1])
    guard case .retry(let entry, _, _) = outbox.answered(errors("job.not_found"), at: at(1)) else {
      Issue.record("not retried")
      return
    }
    #expect(entry.attempts == 0 && outbox.report(limit: 1).map(\.attempts) == [2])
    #expect(outbox.retrying == 2)
    #expect(next(&outbox, at: at(11)) == [2])
    _ = outbox.answered(.success, at: at(11))
    #expect(next(&outbox, at: at(11)) == [1])
    _ = outbox.answered(.success, at: at(11))
    #expect(outbox.count == 0 && outbox.retrying == 0)
  }

  @Test func anAnswerWithNothingInFlightIsADisagreement() {
    var outbox = Outbox(window: 8)
    guard case .disagreement = outbox.answered(.success, at: at(0)) else {
      Issue.record("no disagreement")
      return
    }
  }

  @Test func anErrorThatIsNoAnswerToAnUpdateIsADisagreement() {
    for type in ["value_error", "json_invalid", "", "auth.not_authenticated", "jobs.odd"] {
      var outbox = outbox([entry(1, job(1), .received)])
      _ = next(&outbox)
      guard case .disagreement(let reason) = outbox.answered(errors(type), at: at(0)) else {
        Issue.record("no disagreement over \(type)")
        continue
      }
      #expect(!reason.isEmpty)
      outbox.connectionLost(.disagreement, at: at(0))
      #expect(next(&outbox) == [1])
    }
  }

  @Test func afterADisagreementSuspectsGoOneAtATimeUntilTheCulpritIsRefused() {
    var outbox = outbox((1...5).map { entry(Int64($0), job($0), .received) }, window: 3)
    #expect(next(&outbox) == [1, 2, 3])
    // What the facilitator did not understand was 2; it seems to be said of 1.
    guard case .disagreement = outbox.answered(errors("value_error"), at: at(0)) else {
      Issue.record("no disagreement")
      return
    }
    outbox.connectionLost(.disagreement, at: at(0))
    outbox.connected(at: at(0))
    // The others go first, and nothing beside a suspect.
    #expect(next(&outbox) == [4, 5])
    for _ in 0..<2 { _ = outbox.answered(.success, at: at(0)) }
    #expect(next(&outbox) == [1])
    outbox.enqueue(entry(6, job(6), .received))
    #expect(next(&outbox) == [])
    _ = outbox.answered(.success, at: at(0))
    #expect(next(&outbox) == [6])
    _ = outbox.answered(.success, at: at(0))
    // Those before it were taken, so that two go together, and are told apart once more.
    #expect(next(&outbox) == [2, 3])
    guard case .disagreement = outbox.answered(errors("value_error"), at: at(0)) else {
      Issue.record("no disagreement")
      return
    }
    outbox.connectionLost(.disagreement, at: at(0))
    outbox.connected(at: at(0))
    #expect(next(&outbox) == [2])
    // Alone in flight: now it is its own.
    guard case .retry(let culprit, let due, _) = outbox.answered(errors("value_error"), at: at(0)) else {
      Issue.record("not refused")
      return
    }
    #expect(culprit.id == UpdateID(2) && culprit.refusals == 1 && due == at(1))
    #expect(next(&outbox) == [3])
    _ = outbox.answered(.success, at: at(0))
    // All are cleared: as many as the window again.
    for id: Int64 in 7...9 { outbox.enqueue(entry(id, job(Int(id)), .received)) }
    #expect(next(&outbox) == [7, 8, 9])
  }

  @Test func messagesThatAreNotInTheRecordAreAnsweredInTheirTurn() {
    var outbox = outbox([entry(1, job(1), .received), entry(2, job(2), .received)], window: 8)
    #expect(outbox.next(at: at(0))?.id == UpdateID(1))
    outbox.sentEphemeral(job(9), at: at(0))
    #expect(outbox.next(at: at(0))?.id == UpdateID(2))
    #expect(outbox.inFlight == 3)
    guard case .delivered(let first, _) = outbox.answered(.success, at: at(0)),
      case .ephemeral(job(9), errors("job.not_found")) = outbox.answered(errors("job.not_found"), at: at(0)),
      case .delivered(let second, _) = outbox.answered(.success, at: at(0))
    else {
      Issue.record("other outcomes")
      return
    }
    #expect([first, second].map(\.id.number) == [1, 2])
    // With the connection they are gone: nothing is sent again in their place.
    outbox.sentEphemeral(job(9), at: at(0))
    outbox.connectionLost(.lost, at: at(0))
    #expect(outbox.inFlight == 0 && next(&outbox).isEmpty)
  }

  /// Each answer says that the facilitator goes on, however long ago the next update was sent.
  @Test func itIsKnownSinceWhenTheNextAnswerIsAwaited() {
    var outbox = outbox((1...3).map { entry(Int64($0), job($0), .received) })
    #expect(outbox.awaitedSince == nil)
    _ = outbox.next(at: at(1))
    _ = outbox.next(at: at(2))
    #expect(outbox.awaitedSince == at(1))
    _ = outbox.answered(.success, at: at(30))
    #expect(outbox.awaitedSince == at(30))
    _ = outbox.answered(.success, at: at(40))
    #expect(outbox.awaitedSince == nil)
    _ = outbox.next(at: at(50))
    #expect(outbox.awaitedSince == at(50))
    outbox.connectionLost(.lost, at: at(60))
    outbox.connected(at: at(70))
    _ = outbox.next(at: at(70))
    #expect(outbox.awaitedSince == at(70))
  }

  @Test func theReportIsTheHeadOfWhatWaits() {
    var outbox = outbox([
      entry(3, job(2), .received), entry(1, job(1), .received), entry(5, job(1), .completed),
    ])
    _ = outbox.next(at: at(0))
    #expect(
      outbox.report(limit: 2) == [
        QueueEntry(id: 1, job: job(1), status: .received, attempts: 0, inFlight: false),
        QueueEntry(id: 3, job: job(2), status: .received, attempts: 0, inFlight: true),
      ])
    #expect(outbox.queued(job(1)) == 2 && outbox.queued(job(3)) == 0)
  }

  @Test func whatIsHeldIsCountedInBytes() {
    var outbox = Outbox(window: 1)
    outbox.enqueue(
      entry(1, job(1), .received, metadata: [UInt8](repeating: 0, count: 5000)))
    #expect(outbox.bytes >= 5000 && outbox.count == 1)
    _ = outbox.next(at: at(0))
    _ = outbox.answered(.success, at: at(0))
    #expect(outbox.bytes == 0 && outbox.count == 0)
  }
}
