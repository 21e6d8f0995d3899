import Messages
import Testing

@testable import Decisions

/// How long an answer is waited for on lines that are slow, that stand, and that do as if they moved.
@Suite struct PatienceTests {
  private let limit = Duration.seconds(20)
  private let share: UInt64 = 20 * Patience.slowestLine

  /// How often the wait goes on where the line is like that at each look.
  private func looks(sent: Int = 0, _ line: (Int) -> LineState) -> Int {
    var patience = Patience(limit: limit)
    var now = at(100)
    for look in 0..<100_000 {
      #expect(patience.due(since: at(100)) == now + limit)
      now = now + limit
      guard patience.goesOn(line(look), sent: sent, since: at(100), at: now) else { return look }
    }
    return .max
  }

  @Test func whereNothingStandsBeforeAnAnswerItHasItsTime() {
    #expect(looks { _ in LineState(taken: 5000, waiting: 0) } == 0)
  }

  @Test func aLineThatStandsIsGivenUpAtTheSecondLook() {
    #expect(looks { _ in LineState(taken: 5000, waiting: 1) } == 1)
  }

  /// Nobody looked while it went: it may have come through a moment ago.
  @Test func whatWasMuchHasTheTimeOnceMore() {
    #expect(looks(sent: Int(share)) { _ in LineState(taken: 5000, waiting: 0) } == 1)
    #expect(looks(sent: Int(share) - 1) { _ in LineState(taken: 5000, waiting: 0) } == 0)
  }

  @Test func aSlowLineIsWaitedForUntilAllIsTakenAndTheTimeOnceMore() {
    let all = 10 * share
    func line(_ look: Int) -> LineState {
      let taken = min(all, UInt64(look) * share)
      return LineState(taken: taken, waiting: all - taken)
    }
    #expect(looks(line) == 11)
  }

  @Test func oneThatMovesLessThanAnyLineDoesIsGivenUp() {
    #expect(looks { LineState(taken: UInt64($0) * (share - 1), waiting: 1 << 30) } == 1)
  }

  /// What is written later stands behind the answer.
  @Test func whatIsWrittenMeanwhileIsNotWaitedFor() {
    #expect(looks { LineState(taken: UInt64($0) * share, waiting: 4 * share) } == 5)
  }

  @Test func anotherAnswerHasItsOwnTime() {
    var patience = Patience(limit: limit)
    let line = LineState(taken: 0, waiting: 1)
    #expect(patience.goesOn(line, sent: 0, since: at(0), at: at(20)) == true)
    #expect(patience.due(since: at(0)) == at(40) && patience.due(since: at(30)) == at(50))
    #expect(patience.goesOn(line, sent: 0, since: at(30), at: at(50)) == true)
    #expect(patience.goesOn(line, sent: 0, since: at(30), at: at(70)) == false)
  }

  @Test func noNumberEndsAnybody() {
    var patience = Patience(limit: limit)
    let most = LineState(taken: .max, waiting: .max)
    #expect(patience.goesOn(most, sent: .max, since: at(0), at: at(20)) == true)
    #expect(patience.goesOn(most, sent: .min, since: at(0), at: at(40)) == false)
  }
}
