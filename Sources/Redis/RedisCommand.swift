/// A command and its arguments, as they go to a server: an array of bulk strings (RESP2).
public struct RedisCommand: Sendable, Hashable {
  public var words: [[UInt8]]

  public init(_ words: [[UInt8]]) { self.words = words }

  public init(_ words: String...) { self.words = words.map { Array($0.utf8) } }

  /// The same with one more argument.
  public func with(_ word: [UInt8]) -> RedisCommand { RedisCommand(words + [word]) }

  /// What is written to the socket.
  public var encoded: [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += Array("$\(word.count)\r\n".utf8)
      bytes += word
      bytes += [0x0d, 0x0a]
    }
    return bytes
  }
}
