import Messages
import Redis
import Testing

@testable import Decisions

/// How far the channel is read before the exit of its job's command is told.
@Suite struct RedisDrainTests {
  private typealias Pair = RedisChannelUnderTest

  @Test func itIsDrainedOnceTheSetIsEmpty() {
    var pair = Pair(.core)
    pair.start()
    for number in 0..<20 { pair.add("\(number)", at: Double(number)) }
    pair.does(.drain)
    #expect(!pair.isDrained)
    #expect(pair.settleAll() == (0..<20).map(String.init))
    #expect(pair.isDrained)
  }

  /// The sender chooses the places of its messages.
  @Test(arguments: [0.0, 100]) func whoeverSendsWithoutEndWithholdsNoExit(score: Double) {
    var pair = Pair(.core)
    pair.start()
    for number in 0..<20 { pair.add("\(number)", at: Double(number)) }
    pair.does(.drain)
    var read: [String] = []
    while !pair.isDrained, read.count < 10_000 {
      read.append(pair.texts[0])
      pair.does(.settled(pair.received.removeFirst().number))
      pair.add("more \(read.count)", at: score)
    }
    #expect(read == (0..<20).map(String.init))
    // These are read all the same: the command may be a launcher.
    #expect(pair.settleAll().count == 20)
    #expect(pair.server.sets.isEmpty)
  }

  /// Those were sent before the exit, and a second is not enough for them.
  @Test(arguments: [true, false]) func aThousandMessagesAndASecondAreEnough(knowsRenaming: Bool) {
    var pair = Pair(.core)
    pair.server.knowsRenaming = knowsRenaming
    for number in 0..<1200 { pair.add("\(number)", at: Double(number)) }
    pair.start()
    pair.does(.drain)
    var read: [String] = []
    while !pair.isDrained, !pair.received.isEmpty {
      read.append(pair.texts[0])
      pair.now = pair.now + .milliseconds(1)
      pair.does(.settled(pair.received.removeFirst().number))
    }
    #expect((1000..<1020).contains(read.count))
    #expect(pair.log.contains { $0.contains("its exit waits no longer") })
    #expect(read + pair.settleAll() == (0..<1200).map(String.init))
    #expect(pair.server.sets.isEmpty)
  }

  @Test func whatUplinkHoldsUpIsWaitedFor() {
    var pair = Pair(.core)
    for number in 0..<20 { pair.add("\(number)", at: Double(number)) }
    pair.start()
    pair.does(.drain)
    var read = 0
    while !pair.isDrained, !pair.received.isEmpty {
      read += 1
      pair.now = pair.now + .seconds(5)
      pair.does(.settled(pair.received.removeFirst().number))
    }
    #expect(read == 20)
  }

  /// Another Listener had died over what it had set aside.
  @Test func whatWasSetAsideComesFirstAndIsDrainedToo() {
    var pair = Pair(.core)
    pair.has("............first", at: 9, in: Pair.key + "$aside")
    pair.add("second", at: 1)
    pair.start()
    pair.does(.drain)
    #expect(!pair.isDrained)
    #expect(pair.settleAll() == ["first", "second"])
    #expect(pair.isDrained && pair.server.sets.isEmpty)
  }

  @Test func aServerThatDoesNotLetUsRenameIsDrainedInPlace() {
    var pair = Pair(.core)
    pair.server.knowsRenaming = false
    pair.start()
    for number in 0..<20 { pair.add("\(number)", at: Double(number)) }
    pair.does(.drain)
    #expect(pair.settleAll().count == 20)
    #expect(pair.isDrained && pair.open[.data] != nil)
    pair.isDrained = false
    pair.add("later", at: 21)
    pair.does(.drain)
    #expect(!pair.isDrained)
    #expect(pair.settleAll() == ["later"])
    #expect(pair.isDrained)
  }

  @Test func itIsDrainedByTheAnswerToAPing() {
    var pair = Pair(.pubsub)
    pair.start()
    pair.publish("a")
    pair.does(.drain)
    #expect(pair.isDrained && pair.texts == ["a"])
    var lost = Pair(.pubsub)
    lost.start()
    lost.isAway = true
    lost.lose(.data)
    lost.does(.drain)
    #expect(lost.isDrained)
  }

  /// What came between two drains is read before the newer one is over.
  @Test(arguments: RedisLayer.allCases) func aDrainThatBeginsAnewIsNotOverWithTheOlderOne(_ layer: RedisLayer) {
    var pair = Pair(layer)
    pair.start()
    pair.isSlow = true
    pair.does(.drain)
    if layer == .core { pair.add("late", at: 1) } else { pair.publish("late") }
    pair.does(.drain)
    pair.takeReply()
    #expect(!pair.isDrained)
    pair.isSlow = false
    pair.does(.timeReached)
    #expect(pair.texts == ["late"])
    pair.settleAll()
    #expect(pair.isDrained)
  }

  /// The answer to a PING comes behind everything that the server has for us.
  @Test func whoeverPublishesWithoutEndWithholdsNoExit() {
    let server = RedisServer(place: .address("::1", port: 6379), password: nil, database: 0)
    var channel = RedisChannel(
      settings: RedisChannelSettings(server: server, layer: .pubsub, prefix: "asgi"), job: job(1), longestMessage: 1000,
      seed: 1)
    func push(_ kind: String, _ rest: RedisReply) -> RedisReply {
      .array([.bytes(Array(kind.utf8)), .bytes([]), rest])
    }
    _ = channel.start(at: at(0))
    _ = channel.handle(.connected(.data), at: at(0))
    _ = channel.handle(.reply(.data, push("subscribe", .integer(1))), at: at(0))
    #expect(channel.handle(.drain, at: at(0)).contains(.send(.data, RedisCommand("PING"))))
    var drained: Double?
    for tenth in 1...300 {
      let now = Double(tenth) / 10
      for _ in 0..<50 {
        let actions = channel.handle(.reply(.data, push("message", .bytes([1]))), at: at(now))
        if actions.contains(.drained) { drained = drained ?? now }
      }
      // It sends, and so it lives.
      #expect(!channel.handle(.timeReached, at: at(now)).contains(.disconnect(.data)))
    }
    #expect(drained == 2)
    // The late answer is not one to the next.
    #expect(!channel.handle(.drain, at: at(31)).contains(.drained))
    #expect(!channel.handle(.reply(.data, push("pong", .bytes([]))), at: at(31)).contains(.drained))
    #expect(channel.handle(.reply(.data, push("pong", .bytes([]))), at: at(31)).contains(.drained))
  }
}
