import CHiredis
import Redis

/// Why a server's answer cannot be read.
public struct RedisProtocolError: Error, Hashable, CustomStringConvertible {
  public var description: String
}

/// Makes replies of the bytes that a server sends; hiredis does the reading (redisReader in hiredis/read.h).
///
/// Confined to the loop that feeds it. One answer may have `limit` bytes: what is longer is an error, and the connection
/// is of no use after any error.
public final class RedisReader {
  private let reader: UnsafeMutablePointer<redisReader>
  private let limit: Int
  /// Bytes since the last whole reply.
  private var fed = 0

  /// - Parameter limit: of one answer, in bytes.
  /// - Throws: when there is no memory for it.
  public init(limit: Int) throws(RedisProtocolError) {
    guard let reader = redisReaderCreate() else { throw RedisProtocolError(description: "no memory for a reader") }
    self.reader = reader
    self.limit = limit
  }

  deinit { redisReaderFree(reader) }

  /// Takes what was read from the socket.
  public func feed(_ bytes: [UInt8]) throws(RedisProtocolError) {
    fed += bytes.count
    let result = bytes.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { redisReaderFeed(reader, $0.baseAddress, $0.count) }
    }
    if result != REDIS_OK { throw failure }
  }

  /// The next whole reply; nil until more bytes have come.
  public func next() throws(RedisProtocolError) -> RedisReply? {
    var raw: UnsafeMutableRawPointer?
    guard redisReaderGetReply(reader, &raw) == REDIS_OK else { throw failure }
    guard let raw else {
      if fed > limit {
        throw RedisProtocolError(description: "an answer of more than \(limit) bytes, which is more than is asked for")
      }
      return nil
    }
    defer { freeReplyObject(raw) }
    fed = 0
    return RedisReply(raw.assumingMemoryBound(to: redisReply.self).pointee)
  }

  private var failure: RedisProtocolError {
    let text = withUnsafeBytes(of: reader.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return RedisProtocolError(description: text)
  }
}
