import Identity

/// Reads the JSON of a hotkey file where it lies.
///
/// `JSONValue` would leave copies of the secrets on the heap. This copies nothing: a string with escapes is unescaped in
/// its place. It takes the same texts as `JSONValue.parse` otherwise.
struct HotkeyFileReader {
  private let text: UnsafeMutableBufferPointer<UInt8>
  private var position = 0
  private var fields = HotkeyFields()
  /// The first thing that is wrong with a field; what is wrong with the JSON is told before it.
  private var wrong: HotkeyFile.Unusable?

  /// Nested arrays and objects.
  private static let depthLimit = 128

  private init(_ text: UnsafeMutableBufferPointer<UInt8>) { self.text = text }

  /// The fields that matter of a file with this text.
  ///
  /// - Parameter text: is changed. The fields lie in it and are valid as long as it is.
  static func fields(in text: UnsafeMutableBufferPointer<UInt8>) throws(HotkeyFile.Unusable) -> HotkeyFields {
    var reader = HotkeyFileReader(text)
    reader.skipWhitespace()
    let isObject = reader.next == UInt8(ascii: "{")
    try reader.skipValue(depth: 0)
    reader.skipWhitespace()
    guard reader.next == nil else { throw reader.notJSON }
    guard isObject else { throw .notAnObject }
    if let wrong = reader.wrong { throw wrong }
    return reader.fields
  }

  private var next: UInt8? { position < text.count ? text[position] : nil }

  private var notJSON: HotkeyFile.Unusable { .notJSON(offset: position) }

  private mutating func take(_ expected: UInt8) throws(HotkeyFile.Unusable) {
    guard next == expected else { throw notJSON }
    position += 1
  }

  /// Steps over `byte` after white space and says whether it was there.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipWhitespace()
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipWhitespace() {
    while let byte = next, [0x20, 0x0a, 0x0d, 0x09].contains(byte) { position += 1 }
  }

  private mutating func skipValue(depth: Int) throws(HotkeyFile.Unusable) {
    skipWhitespace()
    switch next {
    case UInt8(ascii: "{"), UInt8(ascii: "["): try skipContainer(depth: depth)
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): for byte in "true".utf8 { try take(byte) }
    case UInt8(ascii: "f"): for byte in "false".utf8 { try take(byte) }
    case UInt8(ascii: "n"): for byte in "null".utf8 { try take(byte) }
    default: try skipNumber()
    }
  }

  private mutating func skipContainer(depth: Int) throws(HotkeyFile.Unusable) {
    guard depth < Self.depthLimit else { throw notJSON }
    let isObject = next == UInt8(ascii: "{")
    let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
    position += 1
    if skip(end) { return }
    repeat {
      if isObject {
        skipWhitespace()
        let name = try string()
        guard skip(UInt8(ascii: ":")) else { throw notJSON }
        let known = HotkeyFields.Name.allCases.first { name.elementsEqual($0.rawValue.utf8) }
        if depth == 0, let known {
          try read(known)
          continue
        }
      }
      try skipValue(depth: depth + 1)
    } while skip(UInt8(ascii: ","))
    skipWhitespace()
    try take(end)
  }

  /// Reads the value of a field that matters.
  private mutating func read(_ name: HotkeyFields.Name) throws(HotkeyFile.Unusable) {
    skipWhitespace()
    switch next {
    case UInt8(ascii: "\""):
      let value = try string()
      // Which of the two is meant would be a guess.
      if fields[name] != nil { wrong = wrong ?? .fieldTwice(name.rawValue) }
      fields[name] = value
    case UInt8(ascii: "n"): try skipValue(depth: 1)
    default:
      wrong = wrong ?? .notAString(field: name.rawValue)
      try skipValue(depth: 1)
    }
  }

  private mutating func skipNumber() throws(HotkeyFile.Unusable) {
    if next == UInt8(ascii: "-") { position += 1 }
    if next == UInt8(ascii: "0") { position += 1 } else { try skipDigits() }
    if next == UInt8(ascii: ".") {
      position += 1
      try skipDigits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
  }

  private mutating func skipDigits() throws(HotkeyFile.Unusable) {
    let start = position
    while let byte = next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
    guard position > start else { throw notJSON }
  }

  /// Reads a string from its opening to its closing quote, and unescapes it: nothing becomes longer by that.
  private mutating func string() throws(HotkeyFile.Unusable) -> UnsafeBufferPointer<UInt8> {
    try take(UInt8(ascii: "\""))
    let start = position
    var end = position
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw notJSON }
      position += 1
      if byte == UInt8(ascii: "\\") {
        for byte in UTF8.encode(try escape()) ?? UTF8.encodedReplacementCharacter {
          text[end] = byte
          end += 1
        }
      } else {
        text[end] = byte
        end += 1
      }
    }
    try take(UInt8(ascii: "\""))
    let string = UnsafeBufferPointer(rebasing: text[start..<end])
    guard (try? UTF8Span(validating: string.span)) != nil else { throw .notJSON(offset: start) }
    return string
  }

  /// The scalar of an escape whose backslash has been read.
  private mutating func escape() throws(HotkeyFile.Unusable) -> Unicode.Scalar {
    guard let letter = next else { throw notJSON }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try codeUnit()
      if let scalar = Unicode.Scalar(first) { return scalar }
      try take(UInt8(ascii: "\\"))
      try take(UInt8(ascii: "u"))
      let second = try codeUnit()
      // Two halves of a surrogate pair (RFC 8259, section 7).
      guard first < 0xdc00, 0xdc00...0xdfff ~= second,
        let scalar = Unicode.Scalar(0x10000 + UInt32(first - 0xd800) << 10 + UInt32(second - 0xdc00))
      else { throw notJSON }
      return scalar
    default: throw notJSON
    }
  }

  private mutating func codeUnit() throws(HotkeyFile.Unusable) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = next.flatMap({ Hex.value($0) }) else { throw notJSON }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }
}
