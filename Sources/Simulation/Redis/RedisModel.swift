import Redis

/// A Redis server as its clients see it: sorted sets, channels, tracking of keys. It answers at once; whoever holds it
/// decides when an answer arrives. Source: redis.io, commands and client-side caching, as of Redis 7.
public struct RedisModel {
  /// A client's connection, by the number that CLIENT ID says.
  public typealias Client = Int64

  public struct Member {
    public var score: Double
    public var bytes: [UInt8]
  }

  /// Something that goes out to a client: an answer, or what it has subscribed to.
  public typealias Sent = (client: Client, reply: RedisReply)

  private struct State {
    var subscriptions: Set<String> = []
    /// Who is told of changes of the keys that this client has read.
    var redirect: Client?
  }

  private static let invalidations = "__redis__:invalidate"

  /// By key, the lowest score first. A set that is empty is not there.
  public private(set) var sets: [String: [Member]] = [:]
  private var clients: [Client: State] = [:]
  private var lastClient: Client = 0
  /// Clients that have read a key and are to hear of its next change, which forgets them.
  private var readers: [String: [Client]] = [:]
  public var knowsTracking = true
  public var knowsRenaming = true
  /// What it refuses with, and how often.
  public var refuses: (text: String, times: Int) = ("", 0)
  /// It reads its data from the disk: only connections and channels are served.
  public var isLoading = false

  public init() {}

  // MARK: Connections

  public mutating func connect() -> Client {
    lastClient += 1
    clients[lastClient] = State()
    return lastClient
  }

  public mutating func lose(_ client: Client) { clients[client] = nil }

  public func isConnected(_ client: Client) -> Bool { clients[client] != nil }

  public func subscribers(of channel: String) -> [Client] {
    clients.filter { $0.value.subscriptions.contains(channel) }.keys.sorted()
  }

  /// It ends and starts again. Its clients are gone, and their numbers begin anew.
  public mutating func restart(keepingData: Bool) {
    clients = [:]
    readers = [:]
    lastClient = 0
    if !keepingData { sets = [:] }
  }

  // MARK: What others do

  /// ZADD, from a client that is not one of these.
  public mutating func add(_ member: [UInt8], at score: Double, to key: String) -> [Sent] {
    insert([Member(score: score, bytes: member)], into: key)
    return changed(key, by: nil)
  }

  /// PUBLISH, from a client that is not one of these.
  public mutating func publish(_ payload: [UInt8], on channel: String) -> [Sent] {
    subscribers(of: channel).map { ($0, Self.message(channel, .bytes(payload))) }
  }

  // MARK: Commands

  public mutating func answer(_ command: RedisCommand, from client: Client) -> [Sent] {
    guard clients[client] != nil else { return [] }
    if refuses.times > 0 {
      refuses.times -= 1
      return [(client, .error(refuses.text))]
    }
    let words = command.words
    func text(_ index: Int) -> String { words.count > index ? String(decoding: words[index], as: UTF8.self) : "" }
    let name = text(0)
    if isLoading, ["EVAL", "ZREM", "DEL", "PING"].contains(name) {
      return [(client, .error("LOADING Redis is loading the dataset in memory"))]
    }
    switch name {
    case "AUTH", "SELECT": return [(client, .status("OK"))]
    case "CLIENT": return [(client, text(1) == "ID" ? .integer(client) : track(client, by: text(4)))]
    case "SUBSCRIBE": return [(client, subscribe(client, text(1)))]
    case "UNSUBSCRIBE":
      clients[client]?.subscriptions.remove(text(1))
      return [(client, Self.push("unsubscribe", text(1), .integer(Int64(clients[client]?.subscriptions.count ?? 0))))]
    case "PING":
      let subscribes = clients[client]?.subscriptions.isEmpty == false
      return [(client, subscribes ? .array([.bytes(Array("pong".utf8)), .bytes([])]) : .status("PONG"))]
    case "EVAL" where text(1).contains("ZRANGE', KEYS[1], 0"):
      return [(client, lowest(of: text(3), upTo: Int(text(4)) ?? -1, bytes: Int(text(5)) ?? 0, for: client))]
    case "EVAL" where text(1).contains("RENAMENX"): return setAside(text(3), as: text(4), for: client)
    case "EVAL": return takeBack(from: text(4), to: text(3), for: client)
    case "ZREM":
      let isThere = sets[text(1)]?.contains { $0.bytes == words[2] } == true
      sets[text(1)]?.removeAll { $0.bytes == words[2] }
      if sets[text(1)]?.isEmpty == true { sets[text(1)] = nil }
      return (isThere ? changed(text(1), by: client) : []) + [(client, .integer(isThere ? 1 : 0))]
    case "DEL":
      let found = (1..<words.count).map(text).filter { sets.removeValue(forKey: $0) != nil }
      return found.flatMap { changed($0, by: client) } + [(client, .integer(Int64(found.count)))]
    default: return [(client, .error("ERR unknown command '\(name)', with args beginning with: "))]
    }
  }

  private mutating func track(_ client: Client, by redirect: String) -> RedisReply {
    guard knowsTracking else { return .error("ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.") }
    guard let redirect = Client(redirect), clients[redirect] != nil else {
      return .error("ERR The client ID you want redirect to does not exist")
    }
    clients[client]?.redirect = redirect
    return .status("OK")
  }

  private mutating func subscribe(_ client: Client, _ channel: String) -> RedisReply {
    clients[client]?.subscriptions.insert(channel)
    return Self.push("subscribe", channel, .integer(Int64(clients[client]?.subscriptions.count ?? 0)))
  }

  /// The script that reads the lowest members, as many as are together no larger than `bytes`, and removes larger ones.
  private mutating func lowest(of key: String, upTo last: Int, bytes: Int, for client: Client) -> RedisReply {
    if clients[client]?.redirect != nil { readers[key, default: []].append(client) }
    let members = (sets[key] ?? []).prefix(last + 1).map(\.bytes)
    let removed = members.filter { $0.count > bytes }
    sets[key]?.removeAll { removed.contains($0.bytes) }
    if sets[key]?.isEmpty == true { sets[key] = nil }
    var size = 0
    let read = members.filter { $0.count <= bytes }.prefix { member in
      size += member.count
      return size <= bytes
    }
    return .array([.integer(Int64(removed.count))] + read.map { .bytes($0) })
  }

  /// The script that puts back what an original receiver has left.
  private mutating func takeBack(from inFlight: String, to key: String, for client: Client) -> [Sent] {
    guard let left = sets.removeValue(forKey: inFlight) else { return [(client, .integer(0))] }
    insert(left, into: key)
    return changed(key, by: client) + [(client, .integer(Int64(2 * left.count)))]
  }

  /// The script that gives a set another key.
  private mutating func setAside(_ key: String, as aside: String, for client: Client) -> [Sent] {
    guard knowsRenaming else {
      return [(client, .error("ERR The user executing the script can't run this command or subcommand script"))]
    }
    guard let set = sets[key], sets[aside] == nil else { return [(client, .integer(0))] }
    sets[key] = nil
    sets[aside] = set
    return changed(key, by: client) + changed(aside, by: client) + [(client, .integer(1))]
  }

  private mutating func insert(_ members: [Member], into key: String) {
    sets[key, default: []] += members
    sets[key]?.sort {
      $0.score == $1.score ? $0.bytes.lexicographicallyPrecedes($1.bytes) : $0.score < $1.score
    }
  }

  /// Those that have read the key are told, but for who has changed it (NOLOOP), and forgotten.
  private mutating func changed(_ key: String, by author: Client?) -> [Sent] {
    guard let told = readers.removeValue(forKey: key) else { return [] }
    let bells = Set(told.filter { $0 != author }.compactMap { clients[$0]?.redirect })
    return bells.sorted().filter { clients[$0]?.subscriptions.contains(Self.invalidations) == true }.map {
      ($0, Self.message(Self.invalidations, .array([.bytes(Array(key.utf8))])))
    }
  }

  private static func message(_ channel: String, _ payload: RedisReply) -> RedisReply {
    push("message", channel, payload)
  }

  private static func push(_ kind: String, _ channel: String, _ rest: RedisReply) -> RedisReply {
    .array([.bytes(Array(kind.utf8)), .bytes(Array(channel.utf8)), rest])
  }
}
