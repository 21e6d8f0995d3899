import Messages

/// Where a Redis server is, who we are there, and which of its databases is meant.
///
/// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]` and `unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]`, as redis-py
/// writes them.
public struct RedisURL: Sendable, Equatable, CustomStringConvertible {
  public enum Place: Sendable, Equatable {
    /// A name or an address (IPv6 without brackets), in lower case.
    case host(String, port: Int, isName: Bool)
    /// An absolute path of at most 107 bytes.
    case socket(String)
  }

  public let place: Place
  public let username: String?
  /// A secret.
  public let password: String?
  public let database: Int

  public init(_ text: String) throws(InvalidText) {
    let colon = text.firstRange(of: "://")
    guard let scheme = colon.map({ text[..<$0.lowerBound].lowercased() }) else {
      throw InvalidText("must begin with redis:// or unix://")
    }
    switch scheme {
    case "redis": self = try Self.tcp(text)
    case "unix": self = try Self.unix(text)
    case "rediss":
      throw InvalidText("begins with rediss://, but TLS to Redis is not supported: use redis:// or a local tunnel")
    default: throw InvalidText("must begin with redis:// or unix://")
    }
  }

  private init(_ place: Place, userinfo: String?, database: String?) throws(InvalidText) {
    self.place = place
    var username: String?
    var password: String?
    if let userinfo {
      let parts = userinfo.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      username = percentDecoded(String(parts[0]))
      password = parts.count == 2 ? percentDecoded(String(parts[1])) : nil
      guard username != nil, parts.count == 1 || password != nil else {
        throw InvalidText("must have its user name and password percent-encoded, as UTF-8")
      }
      guard parts.count == 2 else {
        throw InvalidText("must have a password behind its user name, as in USER:PASSWORD@")
      }
    }
    self.username = username.flatMap { $0.isEmpty ? nil : $0 }
    self.password = password
    guard let number = Int(database ?? "0"), (0...9999).contains(number) else {
      throw InvalidText("must have the number of a database, as in redis://HOST:6379/0")
    }
    self.database = number
  }

  private static func tcp(_ text: String) throws(InvalidText) -> RedisURL {
    let url = try URLText(text)
    guard !url.rest.contains("?") else {
      throw InvalidText("must not have a ?: the database's number follows a /, as in redis://HOST:6379/0")
    }
    let database = url.rest.drop { $0 == "/" }
    return try RedisURL(
      .host(url.address.host, port: url.address.port ?? 6379, isName: url.address.kind == .name),
      userinfo: url.userinfo, database: database.isEmpty ? nil : String(database))
  }

  private static func unix(_ text: String) throws(InvalidText) -> RedisURL {
    guard text.utf8.count <= URLText.longest, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw InvalidText(
        "must not contain spaces or characters beyond ASCII, and not be longer than \(URLText.longest) bytes")
    }
    let rest = text.dropFirst("unix://".count)
    guard let slash = rest.firstIndex(of: "/") else {
      throw InvalidText("must have an absolute path, as in unix:///run/redis/redis-server.sock")
    }
    var userinfo: String?
    if slash != rest.startIndex {
      guard rest[..<slash].hasSuffix("@") else {
        throw InvalidText("must not name a host: the path follows unix:// at once, with three slashes")
      }
      userinfo = String(rest[..<slash].dropLast())
    }
    let parts = rest[slash...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0].utf8.count <= 107 else {
      throw InvalidText("has a path of more than 107 bytes, which is longer than a socket's can be")
    }
    var database: String?
    if parts.count == 2 {
      guard parts[1].hasPrefix("db=") else {
        throw InvalidText("has a parameter that is not known: only ?db=NUMBER is")
      }
      database = String(parts[1].dropFirst(3))
    }
    return try RedisURL(.socket(String(parts[0])), userinfo: userinfo, database: database)
  }

  /// The URL without its credentials.
  public var description: String {
    switch place {
    case .host(let host, let port, _):
      "redis://\(bracketed(host)):\(port)/\(database)"
    case .socket(let path): "unix://\(path)?db=\(database)"
    }
  }
}
