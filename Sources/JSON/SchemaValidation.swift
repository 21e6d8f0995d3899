extension Schema {
  /// The JSON that `input` stands for under this schema.
  ///
  /// - Throws: the first fault, in the order of the model's fields, then of the input's extra names.
  public func validate(_ input: SchemaInput) throws(SchemaViolation) -> JSONValue {
    switch self {
    case .string: return .string(try Self.text(input))
    case .integer: return .number(try Self.integer(input).text)
    case .boolean: return .bool(try Self.boolean(input))
    case .literal(let text):
      try Self.literal(input, text)
      return .string(text)
    case .choice(let texts, let otherwise):
      return .string(try Self.choice(input, texts, otherwise: otherwise))
    case .base64: return .string(try Self.base64(input))
    case .any: return try Self.free(input, bytesAreText: true)
    case .json: return try Self.free(input, bytesAreText: false)
    case .array(let element):
      guard case .array(let elements) = input else { throw SchemaViolation(type: "list_type") }
      return .array(try Self.elements(elements, element))
    case .map(let value):
      guard case .map(let pairs) = input else { throw SchemaViolation(type: "dict_type") }
      return .object(try Self.members(pairs, value))
    case .nullable(let schema):
      if case .null = input { return .null }
      return try schema.validate(input)
    case .either(let first, let second):
      if let value = try? first.validate(input) { return value }
      return try second.validate(input)
    case .model(let model): return .object(try Self.fields(input, model))
    case .tagged(let name, let models):
      guard case .map(let pairs) = input else { throw SchemaViolation(type: "model_type") }
      guard let tag = Self.value(of: name, in: pairs) else {
        throw SchemaViolation(type: "union_tag_not_found")
      }
      guard case .string(let text) = tag, let model = models.first(where: { sameText($0.key, text) })
      else { throw SchemaViolation(type: "union_tag_invalid") }
      return .object(try Self.fields(input, model.value))
    }
  }

  /// The JSON that `value` becomes under this schema; see `validate(_:)` for any input.
  public func validate(_ value: JSONValue) throws(SchemaViolation) -> JSONValue {
    try validate(SchemaInput(value))
  }

  private static func elements(
    _ elements: [SchemaInput], _ schema: Schema
  ) throws(SchemaViolation) -> [JSONValue] {
    var values: [JSONValue] = []
    values.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      do { values.append(try schema.validate(element)) } catch { throw error.inside(String(index)) }
    }
    return values
  }

  private static func members(
    _ pairs: [SchemaPair], _ schema: Schema
  ) throws(SchemaViolation) -> [JSONMember] {
    var members: [JSONMember] = []
    members.reserveCapacity(pairs.count)
    for pair in pairs {
      let name = try text(of: pair.name)
      do { members.append(JSONMember(name, try schema.validate(pair.value))) } catch {
        throw error.inside(name)
      }
    }
    return members.withoutDuplicates()
  }

  private static func fields(
    _ input: SchemaInput, _ model: Model
  ) throws(SchemaViolation) -> [JSONMember] {
    guard case .map(let pairs) = input else { throw SchemaViolation(type: "model_type") }
    var members: [JSONMember] = []
    members.reserveCapacity(model.fields.count)
    var extras: [SchemaPair] = []
    try model.visit(pairs) { (field, pair) throws(SchemaViolation) in
      let value = if let pair { try field.schema.validate(pair.value) } else { field.standard ?? .null }
      members.append(JSONMember(field.name, value))
    } other: {
      extras.append($0)
    }
    return extras.isEmpty ? members : try members + self.members(extras, .any)
  }

  /// The last value under that name, as Python's decoders would keep it.
  private static func value(
    of name: String, in pairs: [SchemaPair]
  ) -> SchemaInput? {
    pairs.last { $0.text.map { sameText($0, name) } ?? false }?.value
  }

  private static func text(of name: SchemaPair.Name) throws(SchemaViolation) -> String {
    switch name {
    case .string(let text): return text
    case .bytes(let bytes):
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw SchemaViolation(type: "string_unicode")
      }
      return text
    case .other: throw SchemaViolation(type: "invalid_key")
    }
  }

  /// A value that no model describes.
  private static func free(
    _ input: SchemaInput, bytesAreText: Bool
  ) throws(SchemaViolation) -> JSONValue {
    let schema: Schema = bytesAreText ? .any : .json
    switch input {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .number(let text): return .number(DecimalInteger(json: text)?.text ?? text)
    case .string(let text): return .string(text)
    case .array(let array): return .array(try elements(array, schema))
    case .map(let pairs): return .object(try members(pairs, schema))
    case .bytes:
      guard bytesAreText else { throw SchemaViolation(type: "invalid-json-value") }
      return .string(try text(input))
    case .opaque: throw SchemaViolation(type: bytesAreText ? "not_json" : "invalid-json-value")
    }
  }
}
