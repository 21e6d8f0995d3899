import Testing

@testable import Decisions

@Suite struct ConnectionBoundsTests {
  private let one = ConnectionID(1)
  private let two = ConnectionID(2)

  private func opened(_ count: UInt64 = 2) -> ConnectionBounds {
    var bounds = ConnectionBounds(frame: 4 << 20)
    for number in 1...count { bounds.opened(ConnectionID(number), at: at(0)) }
    return bounds
  }

  @Test func aFrameHasAMinuteFromItsFirstByte() {
    var bounds = opened()
    #expect(bounds.nextDeadline == nil)
    bounds.heard(one, unfinished: 10, isAnother: false, at: at(5))
    bounds.heard(one, unfinished: 20, isAnother: false, at: at(60))
    #expect(bounds.nextDeadline == at(65))
    #expect(bounds.overdue(at: at(64)).isEmpty)
    #expect(bounds.overdue(at: at(65)) == [one])
  }

  @Test func aWholeFrameEndsTheCountAndTheNextBeginsItsOwn() {
    var bounds = opened()
    bounds.heard(one, unfinished: 10, isAnother: false, at: at(5))
    bounds.heard(one, unfinished: 50, isAnother: true, at: at(60))
    #expect(bounds.nextDeadline == at(120))
    bounds.heard(one, unfinished: 0, isAnother: true, at: at(61))
    #expect(bounds.nextDeadline == nil && bounds.overdue(at: at(1000)).isEmpty)
  }

  @Test func timeInWhichItIsNotReadDoesNotCount() {
    var bounds = opened()
    bounds.heard(one, unfinished: 10, isAnother: false, at: at(5))
    bounds.reads(one, false, at: at(30))
    #expect(bounds.overdue(at: at(1000)).isEmpty && bounds.nextDeadline == nil)
    // What it had been given before it was stopped counts neither.
    bounds.heard(one, unfinished: 30, isAnother: true, at: at(40))
    #expect(bounds.nextDeadline == nil)
    bounds.reads(one, true, at: at(2000))
    #expect(bounds.nextDeadline == at(2060))
  }

  @Test func asMuchAsOneFrameMayBeUnderWayAndThenTheOldestGoesFirst() {
    var bounds = opened(6)
    let fifth = (4 << 20) / 5
    for number in 1...5 {
      bounds.heard(ConnectionID(UInt64(number)), unfinished: fifth, isAnother: false, at: at(Double(10 - number)))
    }
    #expect(!bounds.isFull)
    bounds.heard(two, unfinished: fifth + 4, isAnother: false, at: at(11))
    #expect(bounds.isFull)
    let all = (1...6).map { ConnectionID($0) }
    #expect(bounds.foremost(of: all) == ConnectionID(5))
    #expect(bounds.foremost(of: [one, two]) == two)
    // Whoever has sent nothing of a frame is not asked to wait.
    #expect(!bounds.holdsPart(ConnectionID(6)) && bounds.foremost(of: [ConnectionID(6)]) == nil)
    bounds.closed(ConnectionID(5))
    #expect(!bounds.isFull && bounds.foremost(of: all) == ConnectionID(4))
  }

  @Test func whoTakesNoAnswerIsStuckAfterAMinuteWithoutAny() {
    var bounds = opened()
    bounds.answersWait(one, unread: 5000, at: at(10))
    bounds.answersWait(two, unread: 5000, at: at(10))
    #expect(bounds.nextDeadline == at(70))
    // More of them is no progress; less is.
    bounds.answersWait(one, unread: 6000, at: at(40))
    bounds.answersWait(two, unread: 4999, at: at(40))
    #expect(bounds.stuck(at: at(69)).isEmpty && bounds.stuck(at: at(70)) == [one])
    bounds.answersWait(one, unread: 0, at: at(71))
    #expect(bounds.stuck(at: at(99)).isEmpty && bounds.stuck(at: at(100)) == [two])
  }

  @Test func whoIsSilentForLongestGivesWayAfterAMinute() {
    var bounds = opened(3)
    #expect(bounds.nextIdle == at(60))
    bounds.heard(one, unfinished: 0, isAnother: true, at: at(10))
    bounds.asked(two)
    bounds.heard(ConnectionID(3), unfinished: 1, isAnother: false, at: at(0))
    // The second waits for an answer and the third has begun a frame.
    #expect(bounds.idlest(at: at(69)) == nil && bounds.nextIdle == at(70))
    #expect(bounds.idlest(at: at(70)) == one)
    bounds.answered(two, at: at(71))
    bounds.closed(one)
    #expect(bounds.idlest(at: at(130)) == nil && bounds.idlest(at: at(131)) == two)
  }
}
