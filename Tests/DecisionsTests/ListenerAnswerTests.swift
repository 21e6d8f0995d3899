import MessagePack
import Messages
import Testing

@testable import Decisions

/// What workers are answered, and how much of what they send is unanswered.
@Suite struct ListenerAnswerTests {
  @Test func aWorkerIsAnsweredOnlyOnceItsUpdateIsStored() {
    var listener = ListenerUnderTest.welcomed()
    #expect(listener.sends(.accepted, id: 5, metadata: [9]) == [update(1, .accepted, metadata: [9])])
    for _ in 0..<3 {
      listener.now = listener.now + .seconds(100)
      #expect(listener.does(.timeReached).isEmpty)
    }
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 5)])
    // Once is enough.
    #expect(listener.uplink(stored(1)).isEmpty)
    #expect(listener.uplink(stored(99)).isEmpty)
  }

  @Test func aMissingIdIsAnsweredWithoutOne() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted)
    #expect(listener.uplink(stored(1)) == [answer(.stored)])
  }

  @Test func aRefusalIsHandedOn() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 5)
    #expect(
      listener.uplink(.refused(SequenceNumber(1), .jobClosed, "over")) == [answer(.error(.jobClosed, "over"), id: 5)])
  }

  @Test func answersComeInTheOrderOfTheRequestsOfTheirConnection() {
    var listener = ListenerUnderTest.welcomed(connections: [1, 2])
    listener.sends(.accepted, id: 1)
    listener.sends(.executorReady, id: 2)
    listener.sends(.completed, id: 3, on: 2)
    listener.sends(.failed, id: 4)
    // A refusal overtakes the commits before it; what is wrong is known at once.
    #expect(listener.uplink(.refused(SequenceNumber(4), .jobClosed, "")).isEmpty)
    #expect(listener.sendsWrong(.invalid, id: 5).isEmpty)
    #expect(listener.uplink(stored(2)).isEmpty)
    // Another connection's are its own.
    #expect(listener.uplink(stored(3)) == [answer(.stored, id: 3, on: 2)])
    #expect(
      listener.uplink(stored(1)) == [
        answer(.stored, id: 1), answer(.stored, id: 2), answer(.error(.jobClosed, ""), id: 4),
        answer(.error(.invalid, "why"), id: 5),
      ])
  }

  @Test func whatWasNotStoredGoesAgainInOrderAfterTheWelcome() {
    var listener = ListenerUnderTest.welcomed(connections: [1, 2])
    listener.sends(.accepted, id: 1)
    listener.sends(.executorReady, id: 2, on: 2)
    listener.sends(.volumesReady, id: 3)
    listener.uplink(stored(2))
    listener.does(.uplinkLost)
    // What comes meanwhile waits; nothing is said to an Uplink that is not there or has not welcomed.
    #expect(listener.sends(.executionDone, id: 4).isEmpty)
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(job(1)))])
    #expect(listener.sends(.completed, id: 5).isEmpty)
    #expect(
      listener.uplink(.welcome(ended: false)) == [
        update(1, .accepted), update(3, .volumesReady), update(4, .executionDone), update(5, .completed),
      ])
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 1)])
    for (number, id): (UInt64, Int64) in [(3, 3), (4, 4), (5, 5)] {
      #expect(listener.uplink(stored(number)) == [answer(.stored, id: id)])
    }
  }

  @Test func whatAWorkerSentIsStoredAlsoWhenItHasGone() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted)
    listener.does(.workerClosed(ConnectionID(1)))
    listener.does(.uplinkLost)
    listener.does(.uplinkConnected)
    #expect(listener.uplink(.welcome(ended: false)) == [update(1, .accepted)])
    #expect(listener.uplink(stored(1)).isEmpty)
  }

  @Test func anEndedWorkerIsAnsweredAndThenClosed() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 1)
    #expect(listener.does(.workerAtEnd(ConnectionID(1))).isEmpty)
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 1), .close(ConnectionID(1))])
    listener.does(.workerConnected(ConnectionID(2)))
    #expect(listener.does(.workerAtEnd(ConnectionID(2))) == [.close(ConnectionID(2))])
  }

  @Test func whatIsWrongIsAnsweredAndTheConnectionGoesOn() {
    var listener = ListenerUnderTest.welcomed()
    #expect(listener.sendsWrong(.invalid, id: 1) == [answer(.error(.invalid, "why"), id: 1)])
    #expect(listener.sends(.accepted, id: 2) == [update(1, .accepted)])
  }

  @Test func whatCannotBeReadFurtherIsAnsweredAndClosedInItsTurn() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 1)
    #expect(listener.sendsWrong(.malformed, closes: true).isEmpty)
    #expect(
      listener.uplink(stored(1)) == [
        answer(.stored, id: 1), answer(.error(.malformed, "why")), .close(ConnectionID(1)),
      ])
    #expect(listener.sends(.completed, id: 2).isEmpty)
  }

  @Test func everyWrongMessageIsAWarningInTheJournal() {
    var core = ListenerCore(settings: ListenerSettings(job: job(1), uplinkSocket: "", maxFrameBytes: 1))
    _ = core.handle(.workerConnected(ConnectionID(1)), at: at(0))
    let wrong = WorkerRequest(id: nil, content: .wrong(.wrongJob, "the other job", closes: false))
    let said = core.handle(.workerRequest(ConnectionID(1), wrong), at: at(0)).contains { action in
      if case .toSupervisor(.log(.warning, let text)) = action { text.contains("the other job") } else { false }
    }
    #expect(said)
  }

  // MARK: Backpressure

  @Test func aConnectionWithManyUnansweredIsPausedUntilHalfAreAnswered() {
    var listener = ListenerUnderTest.welcomed(connections: [1, 2])
    let limit = UInt64(ListenerCore.pendingPerConnection)
    for number in 1..<limit { #expect(listener.sends(.accepted) == [update(number, .accepted)]) }
    #expect(listener.sends(.accepted) == [update(limit, .accepted), .pauseReading(ConnectionID(1))])
    // Another is not held up by it.
    #expect(listener.sends(.accepted, on: 2) == [update(limit + 1, .accepted)])
    for number in 1..<(limit / 2) { #expect(listener.uplink(stored(number)) == [answer(.stored)]) }
    #expect(listener.uplink(stored(limit / 2)) == [answer(.stored), .resumeReading(ConnectionID(1))])
    #expect(listener.uplink(stored(limit / 2 + 1)) == [answer(.stored)])
  }

  @Test func manyUnstoredBytesPauseEverybody() {
    var listener = ListenerUnderTest(maxFrameBytes: 1000)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    for id in 1...3 as ClosedRange<UInt64> { listener.does(.workerConnected(ConnectionID(id))) }
    let frame = [UInt8](repeating: 0, count: 500)
    #expect(!listener.sends(.accepted, on: 1, metadata: frame).contains(.pauseReading(ConnectionID(1))))
    let paused = listener.sends(.accepted, on: 2, metadata: frame)
    for id in 1...3 as ClosedRange<UInt64> { #expect(paused.contains(.pauseReading(ConnectionID(id)))) }
    // What had been read before is taken all the same, and pauses nobody twice.
    #expect(!listener.sends(.accepted, on: 3, metadata: frame).contains(.pauseReading(ConnectionID(3))))
    #expect(!listener.uplink(stored(1)).contains { if case .resumeReading = $0 { true } else { false } })
    let resumed = listener.uplink(stored(2))
    for id in 1...3 as ClosedRange<UInt64> { #expect(resumed.contains(.resumeReading(ConnectionID(id)))) }
  }

  @Test func whoComesWhileThereIsNoRoomIsNotReadEither() {
    var listener = ListenerUnderTest(maxFrameBytes: 1000)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    listener.does(.workerConnected(ConnectionID(1)))
    listener.sends(.accepted, on: 1, metadata: [UInt8](repeating: 0, count: 1000))
    #expect(listener.does(.workerConnected(ConnectionID(2))) == [.pauseReading(ConnectionID(2))])
    #expect(listener.uplink(stored(1)).contains(.resumeReading(ConnectionID(2))))
  }

  /// Whoever is first would otherwise take all the room again, before the others had any.
  @Test func readingIsResumedBehindWhoeverTookTheLastRoom() {
    var listener = ListenerUnderTest(maxFrameBytes: 1000)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    for id in 1...3 as ClosedRange<UInt64> { listener.does(.workerConnected(ConnectionID(id))) }
    for (number, order): (UInt64, [UInt64]) in [(1, [2, 3, 1]), (2, [3, 1, 2]), (3, [1, 2, 3])] {
      listener.sends(.accepted, on: number, metadata: [UInt8](repeating: 0, count: 1000))
      let resumed = listener.uplink(stored(number)).compactMap {
        if case .resumeReading(let id) = $0 { id } else { nil }
      }
      #expect(resumed == order.map { ConnectionID($0) })
    }
  }

  @Test func idsThatTakeMuchPauseEverybodyAndNobodyForEver() {
    var listener = ListenerUnderTest.welcomed(connections: [1, 2])
    let id = MessagePackValue.array(Array(repeating: .null, count: 1000))
    func sends(_ connection: UInt64) -> [ListenerCore.Action] {
      listener.does(
        .workerRequest(ConnectionID(connection), WorkerRequest(id: id, content: .update(.accepted, metadata: nil))))
    }
    var sent: UInt64 = 0
    while !sends(1).contains(.pauseReading(ConnectionID(2))) { sent += 1 }
    #expect(sent < UInt64(ListenerCore.pendingPerConnection))
    let resumed = (1...(sent + 1)).contains { listener.uplink(stored($0)).contains(.resumeReading(ConnectionID(2))) }
    #expect(resumed)
  }

  @Test func whatAConnectionThatIsGoneHeldHoldsUpNobody() {
    var listener = ListenerUnderTest.welcomed(connections: [1, 2])
    let id = MessagePackValue.array(Array(repeating: .null, count: 1000))
    func sends(_ connection: UInt64) -> [ListenerCore.Action] {
      listener.does(
        .workerRequest(ConnectionID(connection), WorkerRequest(id: id, content: .update(.accepted, metadata: nil))))
    }
    while !sends(1).contains(.pauseReading(ConnectionID(2))) {}
    listener.does(.workerClosed(ConnectionID(1)))
    #expect(listener.uplink(stored(1)).contains(.resumeReading(ConnectionID(2))))
    #expect(!sends(2).contains(.pauseReading(ConnectionID(2))))
  }
}
