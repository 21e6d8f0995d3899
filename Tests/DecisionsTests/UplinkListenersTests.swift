import Messages
import Testing

@testable import Decisions

// Listeners: which of them is heard, and what it is told.
extension UplinkJobsTests {
  @Test func aListenerIsWelcomedOrToldThatThereIsNoSuchJob() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    uplink.settle()
    #expect(uplink.listener(1, .hello(job(1))).effects == [.toListener(one, .welcome(ended: false))])
    uplink.listener(2, .hello(job(2)))
    #expect(uplink.settle().effects == [.toListener(ConnectionID(2), .unknownJob)])
    #expect(uplink.listener(3, .hello(nil)).effects == [.toListener(ConnectionID(3), .welcome(ended: false))])
  }

  @Test func anEndedJobsListenerIsToldWhenThatIsDurable() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .completed)
    uplink.does(.listenerGone(one))
    #expect(
      uplink.listener(2, .hello(job(1)), generation: 2).effects == [
        .toListener(ConnectionID(2), .welcome(ended: false))
      ])
    #expect(uplink.settle().said == [.toListener(ConnectionID(2), .ended)])
    #expect(
      uplink.listener(3, .hello(job(1)), generation: 3).said.contains(
        .toListener(ConnectionID(3), .welcome(ended: true))))
  }

  @Test func aNewerListenerReplacesAnOlderOneAndNotTheOtherWayRound() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    uplink.settle()
    uplink.listener(1, .hello(job(1)), generation: 5)
    #expect(
      uplink.listener(2, .hello(job(1)), generation: 6).effects
        == [.dropListener(one), .toListener(ConnectionID(2), .welcome(ended: false))])
    #expect(uplink.listener(3, .hello(job(1)), generation: 5).effects == [.dropListener(ConnectionID(3))])
    // The one that was replaced is not heard, and its end ends nothing.
    #expect(uplink.update(1, 1, .accepted).effects == [])
    uplink.does(.listenerGone(one))
    uplink.update(2, 1, .completed)
    #expect(
      uplink.settle().said == [.toListener(ConnectionID(2), stored(1)), .toListener(ConnectionID(2), .ended)])
    // One that connects anew is the same one.
    #expect(
      uplink.listener(4, .hello(job(1)), generation: 6).effects.last
        == .toListener(ConnectionID(4), .welcome(ended: true)))
  }

  @Test func aListenerThatDoesNotGreetOrSaysWhatItCannotIsDropped() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    uplink.settle()
    #expect(uplink.update(1, 1, .accepted).effects == [.dropListener(one)])
    uplink.listener(2, .hello(nil))
    #expect(uplink.update(2, 1, .accepted).effects == [.dropListener(ConnectionID(2))])
    // What still comes from it is not heard.
    #expect(uplink.listener(2, .commandExited(exit)).effects == [])
    uplink.listener(3, .hello(job(1)))
    let specs = MachineSpecs(minerHotkey: "", batchID: "", specs: [])
    #expect(uplink.listener(3, .specs(SequenceNumber(1), specs)).effects == [.dropListener(ConnectionID(3))])
  }

  @Test func whatIsStoredForAListenerThatHasGoneIsStoredAllTheSame() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .accepted)
    uplink.does(.listenerGone(one))
    #expect(uplink.settle().said.isEmpty)
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted])
  }
}
