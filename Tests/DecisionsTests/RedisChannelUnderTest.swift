import Messages
import Redis
import Simulation

@testable import Decisions

/// A channel and its server, with connections that are there at once.
struct RedisChannelUnderTest {
  static let longestMessage = 1000
  var channel: RedisChannel
  var server = RedisModel()
  var now = at(0)
  var received: [(number: UInt64, message: [UInt8])] = []
  var log: [String] = []
  var isReady = false
  var isDrained = false
  var hasEnded = false
  /// Connections that are refused from now on.
  var isAway = false
  /// Connections that are open.
  private(set) var open: [RedisChannel.Link: RedisModel.Client] = [:]
  private var replies: [RedisModel.Sent] = []
  /// The server's answers stay on their way.
  var isSlow = false

  init(_ layer: RedisLayer, password: String? = nil) {
    let server = RedisServer(place: .address("::1", port: 6379), password: password, database: 2)
    channel = RedisChannel(
      settings: RedisChannelSettings(server: server, layer: layer, prefix: "asgi"), job: job(1),
      longestMessage: Self.longestMessage, seed: 1)
  }

  mutating func start() {
    carryOut(channel.start(at: now))
    settle()
  }

  mutating func does(_ event: RedisChannel.Event) {
    carryOut(channel.handle(event, at: now))
    settle()
  }

  /// The server's answers arrive, each before the next event.
  private mutating func settle() {
    while !isSlow, !replies.isEmpty { takeReply() }
  }

  /// The answer that has been on its way for longest arrives.
  mutating func takeReply() {
    let (client, reply) = replies.removeFirst()
    guard let link = open.first(where: { $0.value == client })?.key else { return }
    carryOut(channel.handle(.reply(link, reply), at: now))
  }

  private mutating func carryOut(_ actions: [RedisChannel.Action]) {
    for action in actions {
      switch action {
      case .connect(let link):
        if isAway {
          carryOut(channel.handle(.lost(link, "refused"), at: now))
        } else {
          open[link] = server.connect()
          carryOut(channel.handle(.connected(link), at: now))
        }
      case .disconnect(let link): close(link)
      case .send(let link, let command):
        if let client = open[link] { replies += server.answer(command, from: client) }
      case .received(let number, let message): received.append((number, message))
      case .ready: isReady = true
      case .drained: isDrained = true
      case .ended: hasEnded = true
      case .log(_, let text): log.append(text)
      }
    }
  }

  private mutating func close(_ link: RedisChannel.Link) {
    if let client = open.removeValue(forKey: link) { server.lose(client) }
  }

  mutating func lose(_ link: RedisChannel.Link) {
    guard open[link] != nil else { return }
    close(link)
    does(.lost(link, "gone"))
  }

  static let name = RedisChannelSettings.channel(job(1))
  static let key = "asgi" + name
  var set: [RedisModel.Member] { server.sets[Self.key] ?? [] }

  /// Members that are there already.
  mutating func has(_ text: String, at score: Double, in key: String = Self.key) {
    replies += server.add(Array(text.utf8), at: score, to: key)
    settle()
  }

  mutating func add(_ text: String, at score: Double) {
    has("............" + text, at: score)
  }

  mutating func publish(_ text: String) {
    replies += server.publish(Array(text.utf8), on: Self.name)
    settle()
  }

  mutating func pass(_ seconds: Double) {
    let end = now + .seconds(seconds)
    while let due = channel.nextDeadline, due <= end {
      now = max(now, due)
      does(.timeReached)
    }
    now = end
    does(.timeReached)
  }

  /// Settles what is there and what comes of it. Returns all of it, in its order.
  @discardableResult
  mutating func settleAll() -> [String] {
    var all: [String] = []
    while !received.isEmpty {
      all.append(texts[0])
      does(.settled(received.removeFirst().number))
    }
    return all
  }

  var texts: [String] { received.map { String(decoding: $0.message, as: UTF8.self) } }
}
