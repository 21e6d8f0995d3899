import Messages
import Redis
import Testing

@testable import Decisions

@Suite struct RedisLinkTests {
  /// An answer may lie unread since long before: nobody was slow but us.
  @Test func whatIsReadAgainHasItsWholeTimeForAnAnswer() {
    var link = RedisLink<Int>()
    link.want(at: at(0))
    #expect(link.demand(at: at(0)) == .connect)
    #expect(link.connected(to: RedisServer(place: .socket("/r")), at: at(0)) == [])
    link.sent(.reply(1), at: at(0))
    link.isPaused = true
    #expect(link.demand(at: at(15)) == nil)
    link.isPaused = false
    link.heard(at: at(15))
    #expect(link.demand(at: at(24)) == nil)
    #expect(link.demand(at: at(25)) == .drop("no answer within 10 s"))
  }
}
