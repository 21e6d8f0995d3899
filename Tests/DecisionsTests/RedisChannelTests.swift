import Messages
import Redis
import Simulation
import TestSupport
import Testing

@testable import Decisions

@Suite struct RedisChannelTests {
  private typealias Pair = RedisChannelUnderTest

  // MARK: The core layer

  @Test func aMessageStaysInTheSetUntilItIsSettled() {
    var pair = Pair(.core, password: "pw")
    pair.start()
    #expect(pair.isReady)
    pair.add("a", at: 1)
    pair.add("b", at: 2)
    #expect(pair.texts == ["a"] && pair.set.count == 2)
    pair.does(.settled(pair.received.removeFirst().number))
    #expect(pair.texts == ["b"] && pair.set.count == 1)
    pair.settleAll()
    #expect(pair.set.isEmpty)
    // The server tells of the next one by itself.
    let due = pair.channel.nextDeadline
    pair.add("c", at: 3)
    #expect(pair.texts == ["c"])
    #expect(due.map { $0 - pair.now >= .seconds(1) } == true)
  }

  @Test func whatTheOriginalHadTakenComesFirst() {
    var pair = Pair(.core)
    pair.has("............first", at: 1, in: Pair.key + "$inflight")
    pair.add("second", at: 2)
    pair.start()
    #expect(pair.texts == ["first", "second"])
  }

  @Test func aMessageThatIsTooLargeIsRemovedAndHoldsUpNothing() {
    var pair = Pair(.core)
    for number in 1...9 {
      pair.add("\(number)" + String(repeating: "x", count: Pair.longestMessage), at: Double(number))
    }
    pair.add("a", at: 10)
    pair.start()
    #expect(pair.settleAll() == ["a"])
    #expect(pair.set.isEmpty)
    #expect(pair.log.contains { $0.contains("8 messages of more than 1000 bytes are removed") })
  }

  @Test func messagesThatAreTooLargeTogetherAreReadOneAfterTheOther() {
    var pair = Pair(.core)
    let text = String(repeating: "x", count: 600)
    for number in 1...3 { pair.add("\(number)\(text)", at: Double(number)) }
    pair.add("last", at: 4)
    pair.start()
    #expect(pair.texts == ["1\(text)"])
    #expect(pair.settleAll().map { $0.prefix(1) } == ["1", "2", "3", "l"])
  }

  @Test(arguments: [RedisLayer.core, .pubsub]) func aServerThatAnswersWhatItWasNotAskedIsLeft(_ layer: RedisLayer) {
    var pair = Pair(layer)
    pair.start()
    pair.does(.reply(.data, .status("OK")))
    #expect(pair.open[.data] == nil)
    #expect(pair.log.last?.contains("answers what it was not asked") == true)
    pair.pass(10)
    #expect(pair.open[.data] != nil)
  }

  @Test func whatIsSettledWhileTheServerIsAwayIsRemovedAfterwards() {
    var pair = Pair(.core)
    pair.start()
    pair.add("a", at: 1)
    pair.isAway = true
    pair.lose(.data)
    pair.settleAll()
    pair.pass(30)
    #expect(pair.set.count == 1)
    pair.isAway = false
    pair.pass(15)
    #expect(pair.set.isEmpty && pair.received.isEmpty)
  }

  @Test func aChangeThatIsToldOfBeforeTheAnswerToAReadingIsReadBehindIt() {
    var pair = Pair(.core)
    pair.start()
    let push = RedisReply.array([.bytes(Array("message".utf8)), .bytes([]), .array([])])
    func reads(_ actions: [RedisChannel.Action]) -> Bool {
      actions.contains {
        if case .send(.data, let command) = $0 {
          command.words[0] == Array("EVAL".utf8)
            && String(decoding: command.words[1], as: UTF8.self).contains("ZRANGE', KEYS[1], 0")
        } else {
          false
        }
      }
    }
    #expect(reads(pair.channel.handle(.reply(.bell, push), at: pair.now)))
    #expect(!reads(pair.channel.handle(.reply(.bell, push), at: pair.now)))
    #expect(reads(pair.channel.handle(.reply(.data, .array([])), at: pair.now)))
    #expect(!reads(pair.channel.handle(.reply(.data, .array([])), at: pair.now)))
  }

  @Test func withoutTrackingTheSetIsReadAgainAndAgain() {
    var pair = Pair(.core)
    pair.server.knowsTracking = false
    pair.start()
    #expect(pair.log.contains { $0.contains("does not tell of changes") })
    pair.add("a", at: 1)
    #expect(pair.received.isEmpty)
    pair.pass(0.3)
    #expect(pair.texts == ["a"])
  }

  @Test func aLostBellIsMadeUpForAndReplaced() {
    var pair = Pair(.core)
    pair.start()
    pair.isAway = true
    pair.lose(.bell)
    pair.add("a", at: 1)
    pair.pass(0.3)
    #expect(pair.texts == ["a"])
    pair.settleAll()
    pair.isAway = false
    pair.pass(15)
    pair.add("b", at: 2)
    #expect(pair.texts == ["b"])
  }

  /// Both connections were cut, and the bell's end is not seen yet when the other has been replaced.
  @Test func aBellThatOnlyTheServerHasLostIsReplaced() {
    var pair = Pair(.core)
    pair.start()
    if let bell = pair.open[.bell] { pair.server.lose(bell) }
    pair.lose(.data)
    pair.pass(1)
    #expect(!pair.log.contains { $0.contains("does not tell of changes") })
    pair.add("a", at: 1)
    #expect(pair.texts == ["a"])
    pair.settleAll()
    // It is told of changes: nothing is asked for until then.
    let due = pair.channel.nextDeadline
    #expect(due.map { $0 - pair.now >= .seconds(1) } == true)
  }

  @Test func whatIsNoMessageIsRemovedAndSaid() {
    var pair = Pair(.core)
    pair.has("abc", at: 1)
    pair.start()
    #expect(pair.received.isEmpty && pair.set.isEmpty && pair.log.contains { $0.contains("3 bytes") })
  }

  /// A member may be chosen by whoever sends; it is what was read, whatever it looks like.
  @Test func aMemberThatLooksLikeAPushIsNone() {
    var pair = Pair(.core)
    pair.has("message", at: 1)
    pair.add("x", at: 2)
    pair.start()
    #expect(pair.texts == ["x"])
    pair.settleAll()
    #expect(pair.set.isEmpty)
  }

  // MARK: The pubsub layer

  @Test func whatIsPublishedComesFromReadyOn() {
    var pair = Pair(.pubsub, password: "pw")
    pair.isAway = true
    pair.start()
    #expect(!pair.isReady)
    pair.publish("early")
    pair.isAway = false
    pair.pass(10)
    #expect(pair.isReady)
    pair.publish("a")
    pair.publish("b")
    #expect(pair.texts == ["a", "b"])
  }

  // MARK: Both

  @Test(arguments: RedisLayer.allCases)
  func nothingIsLeftAtTheEnd(layer: RedisLayer) {
    var pair = Pair(layer)
    pair.start()
    pair.add("left", at: 1)
    pair.does(.end)
    #expect(pair.hasEnded && pair.open.isEmpty && (layer == .pubsub || pair.set.isEmpty))
    // A server that is away does not keep it.
    var away = Pair(layer)
    away.start()
    away.isAway = true
    away.lose(.data)
    away.does(.end)
    #expect(away.hasEnded && away.channel.nextDeadline == nil)
  }

  /// As when the address of the server's name comes after it was waited for.
  @Test(arguments: RedisLayer.allCases) func aConnectionThatIsNotWaitedForAnyMoreIsNotUsed(layer: RedisLayer) {
    let server = RedisServer(place: .name("redis", port: 6379), password: nil, database: 0)
    var channel = RedisChannel(
      settings: RedisChannelSettings(server: server, layer: layer, prefix: "asgi"), job: job(1), longestMessage: 1000,
      seed: 1)
    #expect(channel.start(at: at(0)).contains(.connect(.data)))
    #expect(channel.handle(.timeReached, at: at(10)).contains(.disconnect(.data)))
    #expect(channel.handle(.connected(.data), at: at(10)) == [])
  }

  @Test(arguments: RedisLayer.allCases, ["NOAUTH Authentication required.", "LOADING Redis is loading", "READONLY no"])
  func whatTheServerRefusesIsSaidAndTriedAgain(layer: RedisLayer, refusal: String) {
    var pair = Pair(layer, password: "pw")
    pair.server.refuses = (refusal, 3)
    pair.start()
    pair.pass(60)
    #expect(pair.isReady && pair.log.contains { $0.contains(refusal) })
    #expect(pair.log.last?.contains("heard again") == true)
  }

  @Test(arguments: ["NOAUTH Authentication required.", "BUSY Redis is busy running a script."])
  func aServerThatRefusesEverythingIsNotTakenForOneThatDoesNotTrack(refusal: String) {
    var pair = Pair(.core)
    pair.server.refuses = (refusal, 5)
    pair.start()
    pair.pass(60)
    #expect(pair.isReady && pair.log.contains { $0.contains(refusal) })
    #expect(!pair.log.contains { $0.contains("four times a second") })
  }

  /// As a server does whose AUTH has another name.
  @Test func aPasswordThatTheServerRepeatsIsNotSaid() {
    var pair = Pair(.core, password: "pw")
    pair.server.refuses = ("ERR unknown command 'AUTH', with args beginning with: 'pw' ", 3)
    pair.start()
    #expect(pair.log.contains { $0.contains("ERR unknown command 'AUTH'") })
    #expect(!pair.log.contains { $0.contains("pw") })
  }

  @Test(arguments: RedisLayer.allCases)
  func aServerThatFallsSilentIsLeft(layer: RedisLayer) {
    var pair = Pair(layer)
    pair.start()
    // Open for us, and nothing comes.
    let silent = pair.channel
    pair.channel = silent
    var events = 0
    var channel = silent
    var dropped = false
    var now = pair.now
    while events < 20, !dropped, let due = channel.nextDeadline {
      now = due
      events += 1
      dropped = channel.handle(.timeReached, at: now).contains(.disconnect(.data))
    }
    #expect(dropped && now - pair.now <= .seconds(40))
  }

  /// Connections are lost at any time and members are added all along: each is handed over and settled, in the order of
  /// the scores, and none is left.
  @Test func nothingIsLostOfTheCoreLayerWhateverIsLostInBetween() {
    let seed = testSeed("redis core")
    for round in 0..<200 {
      var random = SplitMix64(state: seed &+ UInt64(round))
      var pair = Pair(.core)
      pair.server.knowsTracking = Bool.random(using: &random)
      pair.server.knowsRenaming = Bool.random(using: &random)
      pair.start()
      var added = 0
      var settled: [String] = []
      for _ in 0..<Int.random(in: 10...200, using: &random) {
        switch Int.random(in: 0...10, using: &random) {
        case 10: pair.does(.drain)
        case 0: pair.lose(.data)
        case 1: pair.lose(.bell)
        case 2: pair.isAway.toggle()
        case 3: pair.pass(.random(in: 0...3, using: &random))
        case 4...6:
          added += 1
          pair.add("\(added)", at: Double(added))
        default:
          if let first = pair.received.first {
            pair.received.removeFirst()
            settled.append(String(decoding: first.message, as: UTF8.self))
            pair.does(.settled(first.number))
          }
        }
      }
      pair.isAway = false
      for _ in 0..<(added + 5) {
        pair.pass(30)
        settled += pair.settleAll()
      }
      #expect(
        pair.server.sets.isEmpty && settled == (1...max(1, added)).prefix(added).map(String.init), "round \(round)")
    }
  }
}
