/// Looks at JSON text that is passed on as it is, without making a value of it.
public enum JSONText {
  /// How deep objects and arrays may nest: twice as deep as a worker's MessagePack.
  private static let depthLimit = 64

  /// Whether `bytes` are exactly one JSON object, in UTF-8, as `JSONValue.parse` would take it. Allocates nothing.
  ///
  /// Text of which this is so can be put into a frame without changing what stands around it.
  public static func isObject(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBufferPointer { text in
      var check = Check(text: text)
      check.skipWhitespace()
      guard check.next == UInt8(ascii: "{"), check.value(depth: 0) else { return false }
      check.skipWhitespace()
      guard check.position == text.count else { return false }
      return check.isASCII || (try? UTF8Span(validating: text.span)) != nil
    }
  }

  /// Steps over values. What is not ASCII can only stand in strings, and is looked at once, at the end.
  private struct Check {
    let text: UnsafeBufferPointer<UInt8>
    var position = 0
    var isASCII = true

    var next: UInt8? { position < text.count ? text[position] : nil }

    mutating func skipWhitespace() {
      while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    /// Steps over `byte` after whitespace and says whether it was there.
    mutating func skip(_ byte: UInt8) -> Bool {
      skipWhitespace()
      guard next == byte else { return false }
      position += 1
      return true
    }

    /// Steps over one value. Its recursion is bounded by `depthLimit`.
    mutating func value(depth: Int) -> Bool {
      skipWhitespace()
      switch next {
      case UInt8(ascii: "{"):
        return depth < JSONText.depthLimit && list(end: UInt8(ascii: "}"), depth: depth, named: true)
      case UInt8(ascii: "["):
        return depth < JSONText.depthLimit && list(end: UInt8(ascii: "]"), depth: depth, named: false)
      case UInt8(ascii: "\""): return string()
      case UInt8(ascii: "t"): return word("true")
      case UInt8(ascii: "f"): return word("false")
      case UInt8(ascii: "n"): return word("null")
      default: return number()
      }
    }

    private mutating func list(end: UInt8, depth: Int, named: Bool) -> Bool {
      position += 1
      if skip(end) { return true }
      repeat {
        if named {
          skipWhitespace()
          guard next == UInt8(ascii: "\""), string(), skip(UInt8(ascii: ":")) else { return false }
        }
        guard value(depth: depth + 1) else { return false }
      } while skip(UInt8(ascii: ","))
      return skip(end)
    }

    private mutating func word(_ word: StaticString) -> Bool {
      for index in 0..<word.utf8CodeUnitCount {
        guard next == word.utf8Start[index] else { return false }
        position += 1
      }
      return true
    }

    private mutating func string() -> Bool {
      position += 1
      while true {
        let end = JSONString.firstEscaped(text, from: position)
        if isASCII { isASCII = JSONString.isASCII(text, from: position, to: end) }
        position = end
        switch next {
        case UInt8(ascii: "\""):
          position += 1
          return true
        case UInt8(ascii: "\\"):
          guard escape() else { return false }
        default: return false
        }
      }
    }

    private mutating func escape() -> Bool {
      position += 1
      guard let kind = next else { return false }
      position += 1
      switch kind {
      case UInt8(ascii: "u"):
        guard let unit = hexadecimal() else { return false }
        guard unit & 0xf800 == 0xd800 else { return true }
        // Surrogates come in pairs.
        guard unit < 0xdc00, word("\\u"), let low = hexadecimal() else { return false }
        return low & 0xfc00 == 0xdc00
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
        UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
        return true
      default: return false
      }
    }

    private mutating func hexadecimal() -> UInt16? {
      var unit: UInt16 = 0
      for _ in 0..<4 {
        guard let digit = next.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else { return nil }
        unit = unit << 4 | UInt16(digit)
        position += 1
      }
      return unit
    }

    private mutating func number() -> Bool {
      if next == UInt8(ascii: "-") { position += 1 }
      if next == UInt8(ascii: "0") { position += 1 } else if !digits() { return false }
      if next == UInt8(ascii: ".") {
        position += 1
        guard digits() else { return false }
      }
      if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
        position += 1
        if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
        return digits()
      }
      return true
    }

    private mutating func digits() -> Bool {
      let start = position
      while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
      return position > start
    }
  }
}
