import CHiredis
import Redis

extension RedisReply {
  /// A copy of what hiredis has read; `raw` stays the caller's to free. hiredis nests no deeper than seven arrays, which
  /// bounds this.
  public init(_ raw: redisReply) {
    func bytes() -> [UInt8] {
      guard let text = raw.str else { return [] }
      return Array(UnsafeRawBufferPointer(start: text, count: Int(raw.len)))
    }
    switch raw.type {
    case REDIS_REPLY_STRING: self = .bytes(bytes())
    case REDIS_REPLY_STATUS: self = .status(String(decoding: bytes(), as: UTF8.self))
    case REDIS_REPLY_ERROR: self = .error(String(decoding: bytes(), as: UTF8.self))
    case REDIS_REPLY_INTEGER: self = .integer(raw.integer)
    case REDIS_REPLY_ARRAY:
      self = .array((0..<Int(raw.elements)).map { raw.element?[$0].map { RedisReply($0.pointee) } ?? .null })
    default: self = .null
    }
  }
}
