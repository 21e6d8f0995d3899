import Messages
import Testing

@testable import Decisions

/// How a Listener hands over that its command has exited, and when it leaves.
@Suite struct ListenerEndTests {
  private let exit = CommandExit(code: 3, signal: nil, stderrTail: [1])
  private let left: [ListenerCore.Action] = [.toSupervisor(.finished), .exit(0)]

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
}
