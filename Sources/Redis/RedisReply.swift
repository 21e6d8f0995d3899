/// What a Redis server answers or pushes, in the terms of its protocol (RESP2).
/// Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
public enum RedisReply: Sendable, Hashable {
  case status(String)
  /// The server's own words; the first is the kind of the error, as in `NOAUTH Authentication required.`
  case error(String)
  case integer(Int64)
  case bytes([UInt8])
  case array([RedisReply])
  case null

  /// The bytes of a bulk string.
  public var bytes: [UInt8]? {
    if case .bytes(let bytes) = self { bytes } else { nil }
  }

  public var elements: [RedisReply]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  public var integer: Int64? {
    if case .integer(let value) = self { value } else { nil }
  }

  /// The server's words when it is an error, without what the server repeats of the command: that may be a password.
  public var refusal: String? {
    guard case .error(let text) = self else { return nil }
    // ERR unknown command 'AUTH', with args beginning with: ...
    return text.hasPrefix("ERR unknown command") ? String(text.prefix { $0 != "," }) : text
  }
}
