import MessagePack
import Messages
import TestSupport
import Testing

@testable import Decisions

/// A Listener's decisions, with the log lines left out of what they ask for.
struct ListenerUnderTest {
  var core: ListenerCore
  var now = at(0)

  init(job: JobID? = job(1), maxFrameBytes: Int = 1 << 20) {
    core = ListenerCore(settings: ListenerSettings(job: job, uplinkSocket: "/u", maxFrameBytes: maxFrameBytes))
  }

  /// One whose Uplink has welcomed it and that hears these connections.
  static func welcomed(connections: [UInt64] = [1]) -> ListenerUnderTest {
    var listener = ListenerUnderTest()
    _ = listener.core.start()
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    for id in connections { listener.does(.workerConnected(ConnectionID(id))) }
    return listener
  }

  @discardableResult
  mutating func does(_ event: ListenerCore.Event) -> [ListenerCore.Action] {
    core.handle(event, at: now).filter { action in
      if case .toSupervisor(.log) = action { false } else { true }
    }
  }

  @discardableResult
  mutating func uplink(_ message: UplinkToListener) -> [ListenerCore.Action] { does(.fromUplink(message)) }

  @discardableResult
  mutating func sends(
    _ status: JobStatus, id: Int64? = nil, on connection: UInt64 = 1, metadata: [UInt8]? = nil
  ) -> [ListenerCore.Action] {
    does(
      .workerRequest(
        ConnectionID(connection),
        WorkerRequest(id: id.map { .int($0) }, content: .update(status, metadata: metadata))))
  }

  @discardableResult
  mutating func sendsWrong(
    _ code: WorkerErrorCode, id: Int64? = nil, on connection: UInt64 = 1, closes: Bool = false
  ) -> [ListenerCore.Action] {
    does(
      .workerRequest(
        ConnectionID(connection),
        WorkerRequest(id: id.map { .int($0) }, content: .wrong(code, "why", closes: closes))))
  }
}

func update(_ number: UInt64, _ status: JobStatus, metadata: [UInt8]? = nil) -> ListenerCore.Action {
  .toUplink(.update(SequenceNumber(number), status, metadata: metadata))
}

func answer(_ answer: WorkerAnswer, id: Int64? = nil, on connection: UInt64 = 1) -> ListenerCore.Action {
  .answer(ConnectionID(connection), id: id.map { .int($0) }, answer)
}

private func stored(_ number: UInt64) -> UplinkToListener { .stored(SequenceNumber(number)) }

@Suite struct ListenerCoreTests {
  private let exit = CommandExit(code: 3, signal: nil, stderrTail: [1])
  private let left: [ListenerCore.Action] = [.toSupervisor(.finished), .exit(0)]

  // MARK: Uplink

  @Test func readyFollowsUplinksWelcomeAndIsSaidOnce() {
    var listener = ListenerUnderTest()
    #expect(listener.core.start() == [.connectUplink])
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(job(1)))])
    #expect(listener.uplink(.welcome(ended: false)) == [.toSupervisor(.ready)])
    listener.does(.uplinkLost)
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(job(1)))])
    #expect(listener.uplink(.welcome(ended: false)).isEmpty)
  }

  @Test func aLostUplinkIsConnectedToAgain() {
    var listener = ListenerUnderTest.welcomed()
    listener.now = at(10)
    // Its successor is on the way, and the socket is there.
    #expect(listener.does(.uplinkLost) == [.connectUplink])
    #expect(listener.core.nextDeadline == nil)
    listener.does(.uplinkConnected)
    // One that goes before it has welcomed might do so for ever.
    #expect(listener.does(.uplinkLost).isEmpty)
    let due = listener.core.nextDeadline
    #expect(due.map { $0 > at(10) && $0 <= at(11) } == true)
    #expect(listener.does(.timeReached).isEmpty)
    listener.now = due ?? at(0)
    #expect(listener.does(.timeReached) == [.connectUplink])
    #expect(listener.core.nextDeadline == nil && listener.does(.timeReached).isEmpty)
    // The attempt fails: again.
    listener.does(.uplinkLost)
    #expect(listener.core.nextDeadline != nil)
  }

  /// What waits may be what ends the connection, and goes again on the next one.
  @Test func anUplinkThatIsLostWithItsWelcomeIsNotConnectedToWithoutAPause() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted)
    listener.now = at(10)
    listener.does(.uplinkLost)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    listener.now = at(10.1)
    #expect(listener.does(.uplinkLost).isEmpty)
    #expect(listener.core.nextDeadline.map { $0 > at(10.1) && $0 <= at(11) } == true)
  }

  @Test func aJobThatUplinkDoesNotKnowIsLeft() {
    var listener = ListenerUnderTest()
    listener.does(.uplinkConnected)
    #expect(listener.uplink(.unknownJob) == [.toSupervisor(.finished), .exit(0)])
  }

  @Test func theSpecsListenerNamesNoJobAndPassesSpecsOn() {
    var listener = ListenerUnderTest(job: nil)
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(nil))])
    listener.uplink(.welcome(ended: false))
    listener.does(.workerConnected(ConnectionID(1)))
    let specs = MachineSpecs(minerHotkey: "m", batchID: "b", specs: [1])
    #expect(
      listener.does(.workerRequest(ConnectionID(1), WorkerRequest(id: .int(7), content: .specs(specs))))
        == [.toUplink(.specs(SequenceNumber(1), specs))])
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 7)])
  }

  // MARK: Acknowledgements

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

  // MARK: The end

  @Test func theExitIsForwardedBehindEverything() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 1)
    #expect(listener.does(.fromSupervisor(.commandExited(exit))) == [.drain])
    #expect(listener.does(.fromSupervisor(.commandExited(exit))).isEmpty)
    // What is read while it drains goes before it.
    #expect(listener.sends(.completed, id: 2) == [update(2, .completed)])
    #expect(listener.does(.drained) == [.toUplink(.commandExited(exit))])
    // Until it is stored it is said again after each loss, behind what is not stored.
    listener.does(.uplinkLost)
    listener.does(.uplinkConnected)
    #expect(
      listener.uplink(.welcome(ended: false)) == [
        update(1, .accepted), update(2, .completed), .toUplink(.commandExited(exit)),
      ])
    listener.uplink(stored(1))
    listener.uplink(stored(2))
    listener.uplink(.exitStored)
    listener.does(.uplinkLost)
    listener.does(.uplinkConnected)
    #expect(listener.uplink(.welcome(ended: false)).isEmpty)
  }

  @Test func anExitThatCameWhileUplinkWasAwayIsForwardedWithTheWelcome() {
    var listener = ListenerUnderTest()
    listener.does(.workerConnected(ConnectionID(1)))
    #expect(listener.sends(.completed).isEmpty)
    #expect(listener.does(.fromSupervisor(.commandExited(exit))) == [.drain])
    #expect(listener.does(.drained).isEmpty)
    listener.does(.uplinkConnected)
    #expect(
      listener.uplink(.welcome(ended: false)) == [
        .toSupervisor(.ready), update(1, .completed), .toUplink(.commandExited(exit)),
      ])
  }

  @Test func itLeavesOnceTheJobHasEndedTheExitIsStoredAndNobodyIsConnected() {
    let steps: [(ListenerCore.Event, String)] = [
      (.fromUplink(.ended), "ended"), (.fromUplink(.exitStored), "exit"), (.workerClosed(ConnectionID(1)), "closed"),
    ]
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
      var listener = ListenerUnderTest.welcomed()
      listener.sends(.completed)
      listener.does(.fromSupervisor(.commandExited(exit)))
      listener.uplink(stored(1))
      listener.does(.drained)
      for (place, index) in order.enumerated() {
        #expect(listener.does(steps[index].0) == (place == 2 ? left : []), "\(order.map { steps[$0].1 }), \(place)")
      }
    }
  }

  @Test func aLostAcknowledgementCanBeAskedForAgain() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.completed)
    listener.uplink(stored(1))
    listener.uplink(.ended)
    listener.does(.workerClosed(ConnectionID(1)))
    // The command has not been reaped: a new connection is still heard.
    listener.does(.workerConnected(ConnectionID(2)))
    #expect(listener.sends(.completed, id: 9, on: 2) == [update(2, .completed)])
    #expect(listener.uplink(stored(2)) == [answer(.stored, id: 9, on: 2)])
  }

  @Test func itStaysNoLongerThanItLingers() {
    var listener = ListenerUnderTest.welcomed()
    listener.now = at(5)
    listener.uplink(.ended)
    #expect(listener.core.nextDeadline == at(15))
    listener.now = at(14.9)
    #expect(listener.does(.timeReached).isEmpty)
    // Told twice, it lingers no longer.
    #expect(listener.uplink(.ended).isEmpty)
    listener.now = at(15)
    #expect(listener.does(.timeReached) == left)
  }

  @Test func itDoesNotLeaveWhileSomethingIsUnstored() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 1)
    listener.uplink(.ended)
    listener.now = at(10)
    #expect(listener.does(.timeReached).isEmpty)
    #expect(
      listener.uplink(.refused(SequenceNumber(1), .jobClosed, "")) == [answer(.error(.jobClosed, ""), id: 1)] + left)
  }

  @Test func aListenerOfAnEndedJobLingersToo() {
    var listener = ListenerUnderTest()
    listener.does(.uplinkConnected)
    #expect(listener.uplink(.welcome(ended: true)) == [.toSupervisor(.ready)])
    #expect(listener.core.nextDeadline == at(10))
    listener.now = at(10)
    #expect(listener.does(.timeReached) == left)
  }

  // MARK: The Supervisor

  @Test func pingsAreAnswered() {
    var listener = ListenerUnderTest()
    #expect(listener.does(.fromSupervisor(.ping(.max))) == [.toSupervisor(.pong(.max))])
  }

  @Test func stopHandsOverWhatIsThereAndThenLeaves() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted, id: 1)
    #expect(listener.does(.fromSupervisor(.stop)) == [.drain])
    #expect(listener.does(.fromSupervisor(.stop)).isEmpty)
    #expect(listener.sends(.executorReady, id: 2) == [update(2, .executorReady)])
    #expect(listener.does(.drained).isEmpty)
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 1)])
    #expect(listener.uplink(stored(2)) == [answer(.stored, id: 2), .exit(0)])
  }

  @Test func stopWithNothingToHandOverLeavesAtOnce() {
    var listener = ListenerUnderTest.welcomed()
    listener.does(.fromSupervisor(.stop))
    #expect(listener.does(.drained) == [.exit(0)])
  }

  @Test func stopWaitsForAnExitToBeStored() {
    var listener = ListenerUnderTest.welcomed()
    listener.does(.fromSupervisor(.commandExited(exit)))
    listener.does(.fromSupervisor(.stop))
    #expect(listener.does(.drained) == [.toUplink(.commandExited(exit))])
    #expect(listener.uplink(.exitStored) == [.exit(0)])
  }

  /// What the stop's drain read had been sent before the stop; the command sent more before it ended.
  @Test func anExitThatComesWhileAStopDrainsHasADrainOfItsOwn() {
    var listener = ListenerUnderTest.welcomed()
    #expect(listener.does(.fromSupervisor(.stop)) == [.drain])
    #expect(listener.does(.fromSupervisor(.commandExited(exit))) == [.drain])
    #expect(listener.sends(.completed, id: 1) == [update(1, .completed)])
    #expect(listener.does(.drained) == [.toUplink(.commandExited(exit))])
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 1)])
    #expect(listener.uplink(.exitStored) == [.exit(0)])
  }

  @Test func aStopThatComesWhileAnExitDrainsHoldsItUpNoLonger() {
    var listener = ListenerUnderTest.welcomed()
    #expect(listener.does(.fromSupervisor(.commandExited(exit))) == [.drain])
    #expect(listener.does(.fromSupervisor(.stop)).isEmpty)
    #expect(listener.does(.drained) == [.toUplink(.commandExited(exit))])
  }

  // MARK: Everything at once

  /// Whatever happens in whatever order: an answer only for what Uplink settled, in order, once; what is not
  /// settled is always said to the Uplink that is there.
  @Test func randomEventsKeepThePromises() {
    let seed = testSeed("ListenerCore")
    for round in 0..<300 as Range<UInt64> {
      var random = SplitMix64(state: seed &+ round)
      var listener = ListenerUnderTest()
      var asked: [UInt64: [Int64]] = [:]
      var answered: [UInt64: [Int64]] = [:]
      var settled: Set<Int64> = []
      var wrong: Set<Int64> = []
      var idOf: [UInt64: Int64] = [:]
      var atUplink: [UInt64] = []
      var next: Int64 = 0
      var up = false
      var greeted = false
      var shown: Comment { "seed \(seed), round \(round)" }

      func carryOut(_ actions: [ListenerCore.Action]) {
        for action in actions {
          switch action {
          case .toUplink(.update(let number, _, _)):
            #expect(up && greeted, shown)
            #expect(atUplink.allSatisfy { $0 < number.number }, shown)
            atUplink.append(number.number)
          case .answer(let connection, .some(.int(let id)), _):
            #expect(settled.contains(id) || wrong.contains(id), shown)
            answered[connection.number, default: []].append(id)
          default: break
          }
        }
      }

      for _ in 0..<Int.random(in: 10...200, using: &random) {
        let connection = UInt64.random(in: 1...3, using: &random)
        switch Int.random(in: 0...9, using: &random) {
        case 0 where !up:
          up = true
          greeted = false
          carryOut(listener.does(.uplinkConnected))
        case 1 where up && !greeted:
          greeted = true
          carryOut(listener.uplink(.welcome(ended: false)))
        case 2 where up && Int.random(in: 0...3, using: &random) == 0:
          up = false
          atUplink = []
          carryOut(listener.does(.uplinkLost))
        case 3 where asked[connection] == nil:
          asked[connection] = []
          carryOut(listener.does(.workerConnected(ConnectionID(connection))))
        case 4...6 where asked[connection] != nil:
          next += 1
          asked[connection]?.append(next)
          if Int.random(in: 0...4, using: &random) == 0 {
            wrong.insert(next)
            carryOut(listener.sendsWrong(.invalid, id: next, on: connection))
          } else {
            idOf[UInt64(idOf.count + 1)] = next
            carryOut(listener.sends(.accepted, id: next, on: connection))
          }
        case 7...9 where greeted && up && !atUplink.isEmpty:
          // Mostly the oldest; a refusal overtakes.
          let place = Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: atUplink.indices, using: &random) : 0
          let number = atUplink.remove(at: place)
          settled.insert(idOf[number] ?? 0)
          carryOut(listener.uplink(place == 0 ? stored(number) : .refused(SequenceNumber(number), .jobClosed, "")))
        default: break
        }
        for (connection, ids) in answered { #expect(asked[connection]?.starts(with: ids) == true, shown) }
      }
      // In the end all of it is settled, and each connection has all its answers in order.
      if !up {
        up = true
        greeted = false
        carryOut(listener.does(.uplinkConnected))
      }
      if !greeted {
        greeted = true
        carryOut(listener.uplink(.welcome(ended: false)))
      }
      while !atUplink.isEmpty {
        let number = atUplink.removeFirst()
        settled.insert(idOf[number] ?? 0)
        carryOut(listener.uplink(stored(number)))
      }
      for (connection, ids) in asked { #expect(answered[connection] ?? [] == ids, shown) }
    }
  }
}
