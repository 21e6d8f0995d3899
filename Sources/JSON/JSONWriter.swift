/// How a value is written as text.
public struct JSONStyle: Sendable, Hashable {
  /// After a comma and after a colon.
  var space: Bool
  /// Whether everything outside printable ASCII is escaped.
  var asciiOnly: Bool
  var sortedNames: Bool
  /// Whether numbers are read and written again as Python would, instead of kept as they are.
  var pythonNumbers: Bool

  /// As pydantic's `model_dump_json` writes: no spaces, UTF-8, members in order, numbers as they are, `null`
  /// for numbers that are not finite.
  public static let compact = JSONStyle(
    space: false, asciiOnly: false, sortedNames: false, pythonNumbers: false)

  /// As Python's `json.dumps` writes: `", "` and `": "`, ASCII escapes, members in order.
  public static let python = JSONStyle(space: true, asciiOnly: true, sortedNames: false, pythonNumbers: true)

  /// As Python's `json.dumps(sort_keys=True)` writes: names sorted by code point.
  public static let pythonSorted = JSONStyle(
    space: true, asciiOnly: true, sortedNames: true, pythonNumbers: true)
}

extension JSONValue {
  /// Appends this value's text to `bytes`.
  public func write(_ style: JSONStyle, to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .number(let text): bytes += style.number(text).utf8
    case .string(let text): style.writeString(text, to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { style.writeComma(to: &bytes) }
        element.write(style, to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(var members):
      if style.sortedNames { members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) } }
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { style.writeComma(to: &bytes) }
        style.writeString(member.name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        if style.space { bytes.append(UInt8(ascii: " ")) }
        member.value.write(style, to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  /// This value's text, in UTF-8.
  public func text(_ style: JSONStyle) -> [UInt8] {
    var bytes: [UInt8] = []
    write(style, to: &bytes)
    return bytes
  }
}

extension JSONStyle {
  fileprivate func writeComma(to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: ","))
    if space { bytes.append(UInt8(ascii: " ")) }
  }

  fileprivate func number(_ text: String) -> String {
    if !pythonNumbers {
      // NaN and the infinities alone end in a letter.
      guard let last = text.utf8.last, last <= UInt8(ascii: "9") else { return "null" }
      return text
    }
    if let integer = DecimalInteger(json: text) { return integer.text }
    return Double(jsonNumber: text).map(FloatText.python) ?? "null"
  }

  fileprivate func writeString(_ text: String, to bytes: inout [UInt8]) {
    guard asciiOnly else {
      var text = text
      text.withUTF8 { JSONString.write($0, to: &bytes) }
      return
    }
    bytes.append(UInt8(ascii: "\""))
    for scalar in text.unicodeScalars { writeASCII(scalar, to: &bytes) }
    bytes.append(UInt8(ascii: "\""))
  }

  private func writeASCII(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
    let code = scalar.value
    if code >= 0x20, code < 0x7f, scalar != "\"", scalar != "\\" {
      bytes.append(UInt8(code))
    } else {
      for unit in UTF16.encode(scalar) ?? Unicode.UTF16.encodedReplacementCharacter {
        JSONString.writeEscape(unit, to: &bytes)
      }
    }
  }
}
