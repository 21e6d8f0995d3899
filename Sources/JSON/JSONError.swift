/// What a caller allows one JSON text to cost before it is read.
public struct JSONLimits: Sendable, Hashable {
  /// The longest text, in bytes.
  public var bytes: Int
  /// Nested arrays and objects.
  public var depth: Int
  /// Values of every kind, nested ones included: a value takes many times the two bytes it may cost to send.
  public var values: Int
  /// Digits, signs and dots in one number: Python refuses longer integers than this too.
  public static let numberBytes = 4300

  /// Limits for a text of at most `bytes` bytes; the rest has defaults.
  public init(bytes: Int, depth: Int = 128, values: Int = 1 << 20) {
    self.bytes = bytes
    self.depth = depth
    self.values = values
  }
}

/// Why bytes are not one JSON text within the limits, and where.
public struct JSONError: Error, Hashable, CustomStringConvertible {
  /// The first byte that does not fit, counted from 0.
  public var offset: Int
  /// What is wrong there.
  public var reason: Reason

  /// A fault at a place.
  public init(offset: Int, reason: Reason) {
    self.offset = offset
    self.reason = reason
  }

  /// The ways in which a text can be wrong or too much.
  public enum Reason: Sendable, Hashable {
    case unexpectedEnd
    case unexpectedByte(UInt8)
    case trailingBytes
    case badNumber
    case numberTooLong
    case controlCharacter
    case badEscape
    case loneSurrogate
    case notUTF8
    case tooLarge(limit: Int)
    case tooDeep(limit: Int)
    case tooManyValues(limit: Int)
  }

  public var description: String {
    let what =
      switch reason {
      case .unexpectedEnd: "the text ends in the middle of a value; send it whole"
      case .unexpectedByte(let byte):
        "the byte 0x\(String(byte, radix: 16)) begins nothing that may stand here"
      case .trailingBytes: "something follows the value; send one value a message"
      case .badNumber: "a number is not in JSON's form"
      case .numberTooLong: "a number is longer than \(JSONLimits.numberBytes) characters; send it as a string"
      case .controlCharacter: "a string holds a bare control character; escape it"
      case .badEscape: "a string holds an escape JSON does not know"
      case .loneSurrogate: "a string holds half of a surrogate pair; send both halves or none"
      case .notUTF8: "the string that starts here is not UTF-8; encode it"
      case .tooLarge(let limit): "the text is longer than \(limit) bytes; send less"
      case .tooDeep(let limit): "arrays and objects are nested deeper than \(limit) levels; flatten them"
      case .tooManyValues(let limit): "there are more than \(limit) values; send fewer"
      }
    return "not JSON at byte \(offset): \(what)"
  }
}
