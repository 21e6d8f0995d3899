/// An integer of any size in its one decimal form: an optional minus and digits without leading zeros.
///
/// The originals' integers have no upper bound, and a signature covers their digits.
public struct DecimalInteger: Sendable, Hashable {
  /// Its one decimal form.
  public let text: String

  /// The integer of a value of any width.
  public init(_ value: some BinaryInteger) { text = String(value) }

  /// The integer of a JSON number's text; nil when it has a fraction or an exponent, or is not finite.
  public init?(json text: String) {
    guard text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || Self.isDigit($0) }) else { return nil }
    self.text = text == "-0" ? "0" : text
  }

  /// The integer a string stands for where pydantic takes one for a number: blanks around it, a plus, leading
  /// zeros, single underscores between digits and a fraction of nothing but zeros are dropped.
  public init?(lax text: String) {
    var rest = text.unicodeScalars[...]
    while rest.first?.properties.isWhitespace == true { rest.removeFirst() }
    while rest.last?.properties.isWhitespace == true { rest.removeLast() }
    let negative = rest.first == "-"
    if negative || rest.first == "+" { rest.removeFirst() }
    if let point = rest.lastIndex(of: ".") {
      let fraction = rest[rest.index(after: point)...]
      guard !fraction.isEmpty, fraction.allSatisfy({ $0 == "0" }) else { return nil }
      rest = rest[..<point]
    }
    var digits: [UInt8] = []
    var previous: Unicode.Scalar = "_"
    for scalar in rest {
      if scalar == "_" {
        guard previous != "_" else { return nil }
      } else {
        guard scalar >= "0", scalar <= "9" else { return nil }
        if !digits.isEmpty || scalar != "0" { digits.append(UInt8(scalar.value)) }
      }
      previous = scalar
    }
    guard previous != "_", digits.count <= JSONLimits.numberBytes else { return nil }
    if digits.isEmpty {
      digits = [UInt8(ascii: "0")]
    } else if negative {
      digits.insert(UInt8(ascii: "-"), at: 0)
    }
    self.text = String(decoding: digits, as: UTF8.self)
  }

  /// Its value, or nil when it needs more than 64 bits.
  public var int64: Int64? { Int64(text) }

  /// Its value, or nil when it is negative or needs more than 64 bits.
  public var uint64: UInt64? { UInt64(text) }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}

extension Double {
  /// The nearest value to a JSON number's text, `NaN` and the infinities included; nil when it is no number.
  public init?(jsonNumber text: String) {
    switch text {
    case "NaN": self = .nan
    case "Infinity": self = .infinity
    case "-Infinity": self = -.infinity
    default: self.init(text)
    }
  }
}
