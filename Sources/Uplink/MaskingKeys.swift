import Glibc
import NIOWebSocket

/// Keys that mask what a client sends, which must come from a strong source of entropy (RFC 6455, 5.3). They are taken
/// from the kernel many at a time: a system call for each would cost more than sending the frame.
struct MaskingKeys: RandomNumberGenerator {
  private var words: [UInt64] = []

  /// The next key.
  mutating func next() -> WebSocketMaskingKey { .random(using: &self) }

  mutating func next() -> UInt64 {
    if words.isEmpty { words = Self.fresh() }
    return words.removeLast()
  }

  private static func fresh() -> [UInt64] {
    // getentropy(3) gives no more at once.
    var words = [UInt64](repeating: 0, count: 256 / MemoryLayout<UInt64>.size)
    if words.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) != 0 {
      var generator = SystemRandomNumberGenerator()
      words = words.map { _ in generator.next() }
    }
    return words
  }
}
