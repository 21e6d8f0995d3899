import Messages
import Redis

@testable import Decisions

/// A Redis server as a channel sees it: one sorted set, one channel, and connections that can be lost. Answers are given at
/// once, in the order of the commands.
struct RedisModel {
  var set: [(score: Double, member: [UInt8])] = []
  var inFlight: [(score: Double, member: [UInt8])] = []
  /// Connections that are open.
  private(set) var open: Set<RedisChannel.Link> = []
  private var subscribed: Set<RedisChannel.Link> = []
  private var tracked = false
  private var isTracking = false
  /// What it refuses with, and how often.
  var refuses: (text: String, times: Int) = ("", 0)
  var knowsTracking = true

  mutating func connect(_ link: RedisChannel.Link) { open.insert(link) }

  mutating func lose(_ link: RedisChannel.Link) {
    open.remove(link)
    subscribed.remove(link)
    if link == .data { tracked = false }
    if link == .bell { isTracking = false }
  }

  var isSubscribed: Bool { subscribed.contains(.data) }

  /// What the bell is told of a change of the set by somebody else.
  private mutating func changed() -> [(RedisChannel.Link, RedisReply)] {
    guard tracked, isTracking, subscribed.contains(.bell) else { return [] }
    tracked = false
    return [(.bell, .array([.bytes(Array("message".utf8)), .bytes([]), .array([])]))]
  }

  mutating func add(_ member: [UInt8], at score: Double) -> [(RedisChannel.Link, RedisReply)] {
    set.append((score, member))
    set.sort { ($0.score, $0.member.lexicographicallyPrecedes($1.member) ? 0 : 1) < ($1.score, 0) }
    return changed()
  }

  mutating func publish(_ payload: [UInt8]) -> [(RedisChannel.Link, RedisReply)] {
    guard isSubscribed else { return [] }
    return [(.data, .array([.bytes(Array("message".utf8)), .bytes([]), .bytes(payload)]))]
  }

  mutating func answer(_ command: RedisCommand, on link: RedisChannel.Link) -> [(RedisChannel.Link, RedisReply)] {
    guard open.contains(link) else { return [] }
    if refuses.times > 0 {
      refuses.times -= 1
      return [(link, .error(refuses.text))]
    }
    let words = command.words.map { String(decoding: $0, as: UTF8.self) }
    func pushed(_ kind: String) -> [(RedisChannel.Link, RedisReply)] {
      [(link, .array([.bytes(Array(kind.utf8)), .bytes([]), .integer(1)]))]
    }
    switch (words[0], words.count > 1 ? words[1] : "") {
    case ("AUTH", _), ("SELECT", _): return [(link, .status("OK"))]
    case ("CLIENT", "ID"): return [(link, .integer(7))]
    case ("CLIENT", "TRACKING"):
      guard knowsTracking else { return [(link, .error("ERR unknown subcommand"))] }
      isTracking = true
      return [(link, .status("OK"))]
    case ("SUBSCRIBE", _):
      subscribed.insert(link)
      return pushed("subscribe")
    case ("UNSUBSCRIBE", _):
      subscribed.remove(link)
      return pushed("unsubscribe")
    case ("PING", _): return subscribed.contains(link) ? pushed("pong") : [(link, .status("PONG"))]
    case ("EVAL", _):
      set += inFlight
      inFlight = []
      set.sort { $0.score < $1.score }
      return [(link, .integer(0))]
    case ("ZRANGE", _):
      tracked = true
      return [(link, .array(set.prefix(8).map { .bytes($0.member) }))]
    case ("ZREM", _):
      set.removeAll { $0.member == command.words[2] }
      tracked = false
      return [(link, .integer(1))]
    case ("DEL", _):
      set = []
      inFlight = []
      return [(link, .integer(1))]
    default: return [(link, .error("ERR unknown command \(words[0])"))]
    }
  }
}
