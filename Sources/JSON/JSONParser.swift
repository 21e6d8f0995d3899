extension JSONValue {
  /// The one JSON value in `bytes`, in UTF-8.
  ///
  /// Strict RFC 8259: no byte order mark, no comments, no trailing commas or bytes, no bare control characters,
  /// no lone surrogates. That is what the original's parser (jiter, in pydantic) refuses as well. Where it is
  /// laxer: it reads `NaN`, `Infinity` and `-Infinity`, which `nonFinite` allows here, and nests 200 levels.
  ///
  /// - Parameters:
  ///   - limits: what the text may cost; `bytes` is looked at first.
  ///   - nonFinite: whether `NaN`, `Infinity` and `-Infinity` are numbers.
  /// - Throws: `JSONError` with the place of the first byte that does not fit.
  public static func parse(
    _ bytes: [UInt8], limits: JSONLimits, nonFinite: Bool = false
  ) throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else {
      throw JSONError(offset: limits.bytes, reason: .tooLarge(limit: limits.bytes))
    }
    var parser = JSONParser(bytes: bytes, limits: limits, nonFinite: nonFinite)
    return try parser.parseText()
  }

  /// The members of the object that `bytes` begin with, as far as they go: up to the first that is not whole or no JSON.
  ///
  /// - Parameter limits: what may be looked at; `bytes` is the caller's to keep.
  public static func members(atBeginningOf bytes: [UInt8], limits: JSONLimits) -> [JSONMember] {
    var parser = JSONParser(bytes: bytes, limits: limits, nonFinite: true)
    return parser.parseBeginning()
  }
}

/// A recursive-descent parser; its recursion is bounded by `limits.depth`.
private struct JSONParser {
  let bytes: [UInt8]
  let limits: JSONLimits
  let nonFinite: Bool
  var position = 0
  var values = 0

  mutating func parseText() throws(JSONError) -> JSONValue {
    let value = try parseValue(depth: 0)
    skipWhitespace()
    guard position == bytes.count else { throw failure(.trailingBytes) }
    return value
  }

  private func failure(_ reason: JSONError.Reason, at offset: Int? = nil) -> JSONError {
    JSONError(offset: offset ?? position, reason: reason)
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func unexpected() -> JSONError {
    if let byte = next { failure(.unexpectedByte(byte)) } else { failure(.unexpectedEnd) }
  }

  private mutating func skipWhitespace() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
  }

  /// Steps over `byte` after whitespace and says whether it was there.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipWhitespace()
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func parseValue(depth: Int) throws(JSONError) -> JSONValue {
    skipWhitespace()
    values += 1
    guard values <= limits.values else { throw failure(.tooManyValues(limit: limits.values)) }
    switch next {
    case UInt8(ascii: "{"): return .object(try parseMembers(depth: depth))
    case UInt8(ascii: "["): return .array(try parseElements(depth: depth))
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return .number(try parseNumber())
    case UInt8(ascii: "N") where nonFinite: return try parseWord("NaN", .number("NaN"))
    case UInt8(ascii: "I") where nonFinite: return try parseWord("Infinity", .number("Infinity"))
    default: throw unexpected()
    }
  }

  private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for index in 0..<word.utf8CodeUnitCount {
      guard next == word.utf8Start[index] else { throw unexpected() }
      position += 1
    }
    return value
  }

  private func checkDepth(_ depth: Int) throws(JSONError) {
    guard depth < limits.depth else { throw failure(.tooDeep(limit: limits.depth)) }
  }

  private mutating func parseElements(depth: Int) throws(JSONError) -> [JSONValue] {
    try checkDepth(depth)
    position += 1
    var elements: [JSONValue] = []
    if skip(UInt8(ascii: "]")) { return elements }
    repeat { elements.append(try parseValue(depth: depth + 1)) } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "]")) else { throw unexpected() }
    return elements
  }

  private mutating func parseMembers(depth: Int) throws(JSONError) -> [JSONMember] {
    try checkDepth(depth)
    position += 1
    var members: [JSONMember] = []
    if skip(UInt8(ascii: "}")) { return members }
    repeat { members.append(try parseMember(depth: depth)) } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "}")) else { throw unexpected() }
    return members
  }

  mutating func parseBeginning() -> [JSONMember] {
    var members: [JSONMember] = []
    guard skip(UInt8(ascii: "{")) else { return [] }
    repeat {
      guard let member = try? parseMember(depth: 0) else { break }
      members.append(member)
    } while skip(UInt8(ascii: ","))
    return members
  }

  private mutating func parseMember(depth: Int) throws(JSONError) -> JSONMember {
    skipWhitespace()
    guard next == UInt8(ascii: "\"") else { throw unexpected() }
    let name = try parseString()
    guard skip(UInt8(ascii: ":")) else { throw unexpected() }
    return JSONMember(name, try parseValue(depth: depth + 1))
  }

  private mutating func parseNumber() throws(JSONError) -> String {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    if nonFinite, next == UInt8(ascii: "I") {
      _ = try parseWord("Infinity", .null)
      return "-Infinity"
    }
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
    // A digit here can only follow a leading zero.
    if let byte = next, isDigit(byte) { throw failure(.badNumber) }
    guard position - start <= JSONLimits.numberBytes else { throw failure(.numberTooLong, at: start) }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private mutating func skipDigits() throws(JSONError) {
    guard let byte = next else { throw failure(.unexpectedEnd) }
    guard isDigit(byte) else { throw failure(.badNumber) }
    while let byte = next, isDigit(byte) { position += 1 }
  }

  /// Reads a string from its opening to its closing quote.
  private mutating func parseString() throws(JSONError) -> String {
    let start = position
    position += 1
    // The bytes before the run that has no escape yet; empty for most strings, which are taken in one piece.
    var unescaped: [UInt8] = []
    var runStart = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        let run = bytes[runStart..<position]
        position += 1
        let text =
          unescaped.isEmpty
          ? String(validating: run, as: UTF8.self) : String(validating: unescaped + run, as: UTF8.self)
        guard let text else { throw failure(.notUTF8, at: start) }
        return text
      case UInt8(ascii: "\\"):
        unescaped += bytes[runStart..<position]
        try parseEscape(into: &unescaped)
        runStart = position
      case 0..<0x20: throw failure(.controlCharacter)
      default: position += 1
      }
    }
    throw failure(.unexpectedEnd)
  }

  private mutating func parseEscape(into unescaped: inout [UInt8]) throws(JSONError) {
    let start = position
    position += 1
    guard let letter = next else { throw failure(.unexpectedEnd) }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(letter)
    case UInt8(ascii: "b"): unescaped.append(0x08)
    case UInt8(ascii: "f"): unescaped.append(0x0c)
    case UInt8(ascii: "n"): unescaped.append(0x0a)
    case UInt8(ascii: "r"): unescaped.append(0x0d)
    case UInt8(ascii: "t"): unescaped.append(0x09)
    case UInt8(ascii: "u"):
      unescaped += UTF8.encode(try parseScalar(from: start)) ?? UTF8.encodedReplacementCharacter
    default: throw failure(.badEscape, at: start)
    }
  }

  /// The scalar of a `\u` escape whose letter has been read, with the second half of a surrogate pair.
  private mutating func parseScalar(from start: Int) throws(JSONError) -> Unicode.Scalar {
    let first = try parseHexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xdc00, next == UInt8(ascii: "\\") else { throw failure(.loneSurrogate, at: start) }
    position += 1
    guard next == UInt8(ascii: "u") else { throw failure(.loneSurrogate, at: start) }
    position += 1
    let second = try parseHexadecimal()
    guard second >= 0xdc00, second < 0xe000,
      let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
    else { throw failure(.loneSurrogate, at: start) }
    return scalar
  }

  private mutating func parseHexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next else { throw failure(.unexpectedEnd) }
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw failure(.badEscape)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
