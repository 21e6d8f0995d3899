/// Hexadecimal text.
public enum Hex {
  /// Whether a text carries `0x` in front.
  public enum Prefix: Sendable {
    /// `0x` must be there.
    case required
    /// `0x` must not be there.
    case forbidden
    /// Either will do.
    case optional
  }

  /// `bytes` in lower case, two digits a byte, without `0x`.
  public static func encode(_ bytes: some Collection<UInt8>) -> String {
    var digits: [UInt8] = []
    digits.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      digits.append(digit(byte >> 4))
      digits.append(digit(byte & 0x0F))
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// The bytes that `text` spells, in either case.
  ///
  /// - Parameters:
  ///   - text: the text; nothing but digits and, where `prefix` allows it, `0x` in front.
  ///   - what: what an error calls the text.
  ///   - prefix: whether `0x` must, may, or must not be in front.
  /// - Throws: ``IdentityError/notHexadecimal(what:)``.
  public static func decode(
    _ text: String, named what: String = "the text", prefix: Prefix = .optional
  ) throws(IdentityError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 2)
    try decode(text.utf8, named: what, prefix: prefix) { bytes.append($0) }
    return bytes
  }

  /// Gives the bytes that a text spells to `take`, one after the other, and keeps none: a secret stays where it is put.
  static func decode(
    _ text: some Collection<UInt8>, named what: String, prefix: Prefix = .optional, _ take: (UInt8) -> Void
  ) throws(IdentityError) {
    var digits = text[...]
    let hasPrefix = digits.starts(with: "0x".utf8)
    switch prefix {
    case .required where !hasPrefix, .forbidden where hasPrefix: throw .notHexadecimal(what: what)
    default: if hasPrefix { digits = digits.dropFirst(2) }
    }
    guard digits.count.isMultiple(of: 2) else { throw .notHexadecimal(what: what) }
    var high: UInt8?
    for character in digits {
      guard let value = value(character) else { throw .notHexadecimal(what: what) }
      if let first = high {
        take(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  /// The value of a digit in either case, or nil.
  public static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
