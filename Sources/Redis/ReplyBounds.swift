/// Holds what a server sends to what was asked for, before it is parsed: a parser keeps many times the bytes of an array
/// of nothing, and what is announced may be anything. Source: RESP2.
public struct ReplyBounds: Sendable {
  /// What is wrong with what a server sends.
  public enum Excess: Error, Hashable, CustomStringConvertible {
    case bytes(limit: Int)
    case elements(limit: Int)
    case line
    case depth
    case notRESP(UInt8)

    public var description: String {
      switch self {
      case .bytes(let limit): "an answer of more than \(limit) bytes, which is more than is asked for"
      case .elements(let limit): "an answer of more than \(limit) elements, which is more than is asked for"
      case .line: "a line of more than \(ReplyBounds.longestLine) bytes"
      case .depth: "arrays nested deeper than \(ReplyBounds.deepest) levels"
      case .notRESP(let byte): "the byte 0x\(String(byte, radix: 16)), which begins no answer"
      }
    }
  }

  /// A line is a number, or a server's words.
  static let longestLine = 4096
  /// Redis's own bound, in bytes (proto-max-bulk-len).
  static let longestString = 512 << 20
  /// hiredis nests no deeper.
  static let deepest = 7

  private let bytes: Int
  private let elements: Int
  /// Of the answer that is coming.
  private var size = 0
  private var count = 0
  /// Elements that are still to come, of each array that is open.
  private var open: [Int] = []
  private var line: [UInt8] = []
  /// Bytes of a string, with its line end, that are still to come.
  private var string = 0
  private var isKept = true

  /// - Parameters:
  ///   - bytes: how many one answer may have.
  ///   - elements: how many one answer may have, with arrays in arrays.
  public init(bytes: Int, elements: Int) {
    self.bytes = bytes
    self.elements = elements
  }

  /// Looks at what follows what it has seen.
  /// - Parameter parsed: gets what there is of it to be parsed, up to the excess where there is one: a string that is too long
  ///   is nil there, and costs no memory.
  public mutating func take(_ input: [UInt8], into parsed: inout [UInt8]) throws(Excess) {
    parsed.reserveCapacity(parsed.count + input.count)
    var position = 0
    while position < input.count {
      let piece = min(string, input.count - position)
      if piece > 0 {
        if isKept {
          parsed += input[position..<(position + piece)]
          try grow(by: piece)
        }
        string -= piece
        position += piece
        if string == 0 { endValue() }
        continue
      }
      let byte = input[position]
      position += 1
      line.append(byte)
      guard line.count <= Self.longestLine else { throw .line }
      if byte == UInt8(ascii: "\n") {
        parsed += try endLine()
        line.removeAll(keepingCapacity: true)
      }
    }
  }

  private mutating func grow(by more: Int) throws(Excess) {
    size += more
    guard size <= bytes else { throw .bytes(limit: bytes) }
  }

  /// Returns what is parsed in its place.
  private mutating func endLine() throws(Excess) -> [UInt8] {
    count += 1
    guard count <= elements else { throw .elements(limit: elements) }
    try grow(by: line.count)
    switch line.first {
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"): endValue()
    case UInt8(ascii: "$"):
      guard let length = number, length >= 0 else {
        endValue()
        return line
      }
      guard length <= Self.longestString else { throw .bytes(limit: bytes) }
      string = length + 2
      isKept = string <= bytes - size
      if !isKept { return Array("$-1\r\n".utf8) }
    case UInt8(ascii: "*"):
      guard let length = number, length > 0 else {
        endValue()
        return line
      }
      guard length <= elements - count else { throw .elements(limit: elements) }
      guard open.count < Self.deepest else { throw .depth }
      open.append(length)
    case let other: throw .notRESP(other ?? UInt8(ascii: "\n"))
    }
    return line
  }

  /// The line's number; nil when it is none, which the parser refuses.
  private var number: Int? {
    Int(String(decoding: line.dropFirst().prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self))
  }

  /// A value is whole, and with it perhaps the arrays that it ends.
  private mutating func endValue() {
    while let left = open.popLast() {
      guard left == 1 else {
        open.append(left - 1)
        return
      }
    }
    size = 0
    count = 0
  }
}
