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

  /// The server's words when it is an error, without what the server repeats of the command: that may be a password. Fit
  /// for a line of the journal, however long they are.
  public var refusal: String? {
    guard case .error(let text) = self else { return nil }
    let words = String(
      String.UnicodeScalarView(
        text.unicodeScalars.prefix(300).map { $0.properties.generalCategory == .control ? " " : $0 }))
    // ERR unknown command 'AUTH', with args beginning with: ...
    return words.hasPrefix("ERR unknown command") ? String(words.prefix { $0 != "," }) : words
  }
}
