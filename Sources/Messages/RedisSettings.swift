import MessagePack

/// A Redis server: where it is, who we are there, and which of its databases is meant.
public struct RedisServer: MessagePart, Hashable, CustomStringConvertible {
  public enum Place: Sendable, Hashable {
    /// An address (IPv6 without brackets).
    case address(String, port: Int)
    /// A name, which is resolved anew for each connection.
    case name(String, port: Int)
    /// A Unix socket's path.
    case socket(String)
  }

  public var place: Place
  public var username: String?
  /// A secret.
  public var password: String?
  public var database: Int

  public init(place: Place, username: String? = nil, password: String? = nil, database: Int = 0) {
    self.place = place
    self.username = username
    self.password = password
    self.database = database
  }

  /// Without the credentials.
  public var description: String {
    switch place {
    case .address(let host, let port), .name(let host, let port):
      "redis://\(bracketed(host)):\(port)/\(database)"
    case .socket(let path): "unix://\(path)?db=\(database)"
    }
  }

  public var fields: [MessagePackValue] {
    let (kind, host, port) =
      switch place {
      case .address(let host, let port): (1, host, port)
      case .name(let host, let port): (2, host, port)
      case .socket(let path): (3, path, 0)
      }
    return [.int(kind), .string(host), .int(port), .optional(username), .optional(password), .int(database)]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    let kind = try fields.int("place")
    let host = try fields.string("host")
    let port = try fields.int("port")
    switch kind {
    case 1: place = .address(host, port: port)
    case 2: place = .name(host, port: port)
    case 3: place = .socket(host)
    default: throw .field("place", kind: fields.kind)
    }
    username = try fields.optional("user name") { String($0) }
    password = try fields.optional("password") { String($0) }
    database = try fields.int("database")
  }
}

/// The two layers of channels_redis (PROTOCOL.md, The job's channel).
public enum RedisLayer: UInt8, Sendable, Hashable, CaseIterable {
  /// RedisPubSubChannelLayer
  case pubsub = 1
  /// RedisChannelLayer
  case core = 2
}

/// The channels on which workers report through Redis.
public struct RedisChannelSettings: MessagePart, Hashable {
  public var server: RedisServer
  public var layer: RedisLayer
  /// What the core layer puts before a channel's name.
  public var prefix: String

  public init(server: RedisServer, layer: RedisLayer, prefix: String) {
    self.server = server
    self.layer = layer
    self.prefix = prefix
  }

  /// The channel of a job; that of machine specs for nil.
  public static func channel(_ job: JobID?) -> String {
    job.map { "job_status_updates__\($0)" } ?? "machine_spec_sending"
  }

  public var fields: [MessagePackValue] { [server.value, .int(Int64(layer.rawValue)), .string(prefix)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    server = try fields.part("server")
    layer = try fields.next("layer") { $0.raw(RedisLayer.init(rawValue:)) }
    prefix = try fields.string("prefix")
  }
}
