extension Schema {
  /// Text, or bytes that are UTF-8.
  static func text(_ input: SchemaInput) throws(SchemaViolation) -> String {
    switch input {
    case .string(let text): return text
    case .bytes(let bytes):
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw SchemaViolation(type: "string_unicode")
      }
      return text
    default: throw SchemaViolation(type: "string_type")
    }
  }

  static func integer(_ input: SchemaInput) throws(SchemaViolation) -> DecimalInteger {
    switch input {
    case .number(let text):
      if let value = DecimalInteger(json: text) { return value }
      guard let value = Double(jsonNumber: text), value.isFinite else {
        throw SchemaViolation(type: "finite_number")
      }
      guard value.magnitude < 0x1p63 else { throw SchemaViolation(type: "int_parsing_size") }
      // `Int64(exactly:)` would need libm, which a static executable does not link by itself.
      let whole = Int64(value)
      guard Double(whole) == value else { throw SchemaViolation(type: "int_from_float") }
      return DecimalInteger(whole)
    case .string, .bytes:
      guard let value = DecimalInteger(lax: try text(input)) else {
        throw SchemaViolation(type: "int_parsing")
      }
      return value
    case .bool(let value): return DecimalInteger(value ? 1 : 0)
    default: throw SchemaViolation(type: "int_type")
    }
  }

  static func boolean(_ input: SchemaInput) throws(SchemaViolation) -> Bool {
    switch input {
    case .bool(let value): return value
    case .number:
      switch try? integer(input).text {
      case "0": return false
      case "1": return true
      default: throw SchemaViolation(type: "bool_parsing")
      }
    case .string, .bytes:
      switch try text(input).lowercased() {
      case "0", "off", "f", "false", "n", "no": return false
      case "1", "on", "t", "true", "y", "yes": return true
      default: throw SchemaViolation(type: "bool_parsing")
      }
    default: throw SchemaViolation(type: "bool_type")
    }
  }

  static func literal(_ input: SchemaInput, _ expected: String) throws(SchemaViolation) {
    guard case .string(let text) = input, sameText(text, expected) else {
      throw SchemaViolation(type: "literal_error")
    }
  }

  static func choice(
    _ input: SchemaInput, _ texts: [String], otherwise: String?
  ) throws(SchemaViolation) -> String {
    if let text = try? text(input), texts.contains(where: { sameText($0, text) }) { return text }
    guard let otherwise else { throw SchemaViolation(type: "enum") }
    return otherwise
  }

  /// Text of base64 in its one form.
  static func base64(_ input: SchemaInput) throws(SchemaViolation) -> String {
    let text: String
    do { text = try Self.text(input) } catch { throw SchemaViolation(type: "bytes_type") }
    // Python's b64decode takes no other text than ASCII, whatever it skips in that.
    guard text.utf8.allSatisfy({ $0 < 0x80 }), let bytes = Base64.decodeLaxly(text.utf8) else {
      throw SchemaViolation(type: "value_error")
    }
    return Base64.encode(bytes)
  }
}
