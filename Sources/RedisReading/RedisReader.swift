import CHiredis
import Redis

/// Why a server's answer cannot be read.
public struct RedisProtocolError: Error, Hashable, CustomStringConvertible {
  public var description: String
}

/// Makes replies of the bytes that a server sends; hiredis does the reading (redisReader in hiredis/read.h).
///
/// Confined to the loop that feeds it. What is more than was asked for is an error before anything is kept for it, and the
/// connection is of no use after any error.
public final class RedisReader {
  private let reader: UnsafeMutablePointer<redisReader>
  private var bounds: ReplyBounds
  /// The error behind the answers that came whole.
  private var excess: RedisProtocolError?

  /// - Parameters:
  ///   - limit: of one answer, in bytes; a string that is longer is null.
  ///   - elements: how many one answer may have.
  /// - Throws: when there is no memory for it.
  public init(limit: Int, elements: Int = 1024) throws(RedisProtocolError) {
    guard let reader = redisReaderCreate() else { throw RedisProtocolError(description: "no memory for a reader") }
    self.reader = reader
    bounds = ReplyBounds(bytes: limit, elements: elements)
  }

  deinit { redisReaderFree(reader) }

  /// Takes what was read from the socket. What is more than was asked for is told by `next`, behind what came before it.
  public func feed(_ bytes: [UInt8]) throws(RedisProtocolError) {
    guard excess == nil else { return }
    var parsed: [UInt8] = []
    do throws(ReplyBounds.Excess) { try bounds.take(bytes, into: &parsed) } catch {
      excess = RedisProtocolError(description: "it sends \(error)")
    }
    let result = parsed.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { redisReaderFeed(reader, $0.baseAddress, $0.count) }
    }
    if result != REDIS_OK { throw failure }
  }

  /// The next whole reply; nil until more bytes have come.
  public func next() throws(RedisProtocolError) -> RedisReply? {
    var raw: UnsafeMutableRawPointer?
    guard redisReaderGetReply(reader, &raw) == REDIS_OK else { throw failure }
    guard let raw else {
      if let excess { throw excess }
      return nil
    }
    defer { freeReplyObject(raw) }
    return RedisReply(raw.assumingMemoryBound(to: redisReply.self).pointee)
  }

  private var failure: RedisProtocolError {
    let text = withUnsafeBytes(of: reader.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return RedisProtocolError(description: text)
  }
}
