import Messages
import Testing

@testable import Decisions

@Suite struct LineLimitTests {
  @Test func howManyWereLeftOutIsSaidWithTheNextLineOrByItself() {
    var limit = LineLimit((burst: 2, perSecond: 1), at: at(0))
    #expect(limit.reportDue == nil)
    #expect((0..<5).map { _ in limit.admit(at: at(0)).passes } == [true, true, false, false, false])
    #expect(limit.reportDue == at(1))
    #expect(limit.report(at: at(0.5)) == 0)
    #expect(limit.report(at: at(1)) == 3)
    #expect(limit.reportDue == nil && limit.report(at: at(9)) == 0)
    #expect((0..<4).map { _ in limit.admit(at: at(9)).passes } == [true, true, false, false])
    #expect(limit.admit(at: at(10)) == (true, 2))
    // Blocked: it counts, and is told when there is room.
    #expect(limit.admit(at: at(12), orDrop: true) == (false, 0))
    #expect(limit.admit(at: at(12)) == (true, 1))
  }

  @Test func onePeerTakesNoLinesFromAnother() {
    var limits = LineLimits<Int>((burst: 2, perSecond: 1), at: at(0))
    for _ in 0..<100 { _ = limits.admit(1, at: at(0)) }
    #expect(limits.admit(2, at: at(0)).passes)
    #expect(limits.admit(1, at: at(1)) == (true, 98))
  }

  @Test func peersWithoutEndTakeNoMemoryWithoutEnd() {
    var limits = LineLimits<Int>((burst: 1, perSecond: 1), at: at(0))
    let passed = (0..<10_000).count { limits.admit($0, at: at(0)).passes }
    #expect(passed == 4097)
    // Those that have been quiet make room.
    #expect(limits.admit(20_000, at: at(10)).passes && limits.admit(20_001, at: at(10)).passes)
  }
}
