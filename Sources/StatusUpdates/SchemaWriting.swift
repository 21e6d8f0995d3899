import JSON
import MessagePack

// A schema's JSON, written where it is wanted straight from what was decoded. What status updates mostly consist of is
// known here; everything else goes by way of `Schema.validate`.

extension Schema {
  /// Appends the compact JSON that `input` stands for under this schema.
  ///
  /// - Throws: the first fault, as `validate` would; then what has been appended is of no use.
  func write(_ input: MessagePackView, to json: inout [UInt8]) throws(SchemaViolation) {
    switch self {
    case .nullable(let schema):
      if input.isNull { json += "null".utf8 } else { try schema.write(input, to: &json) }
    case .model(let model):
      guard let pairs = input.pairs else { throw SchemaViolation(type: "model_type") }
      try model.write(pairs, to: &json)
    case .string:
      if let text = input.utf8 { JSONString.write(text, to: &json) } else { fallthrough }
    default: try validate(SchemaInput(input)).write(.compact, to: &json)
    }
  }

  /// Whether `input` is the very text that is all a literal may be.
  private func isLiteral(_ input: MessagePackView) -> Bool {
    if case .literal(let text) = self { input.isString(text) } else { false }
  }

  /// Checks `input` where what it stands for is of no interest.
  func check(_ input: MessagePackView) throws(SchemaViolation) {
    if !isLiteral(input) { _ = try validate(SchemaInput(input)) }
  }
}

extension Schema.Model {
  fileprivate func write(_ pairs: MessagePackView.Pairs, to json: inout [UInt8]) throws(SchemaViolation) {
    var extras: [SchemaPair] = []
    var next = UInt8(ascii: "{")
    try visit(pairs) { (field, pair) throws(SchemaViolation) in
      json.append(next)
      next = UInt8(ascii: ",")
      json += field.label
      if let pair {
        try field.schema.write(pair.value, to: &json)
      } else {
        (field.standard ?? .null).write(.compact, to: &json)
      }
    } other: {
      extras.append(SchemaPair(.string($0.text ?? ""), SchemaInput($0.value)))
    }
    if case .object(let members) = try Schema.map(.any).validate(.map(extras)) {
      for member in members {
        json.append(next)
        next = UInt8(ascii: ",")
        JSONValue.string(member.name).write(.compact, to: &json)
        json.append(UInt8(ascii: ":"))
        member.value.write(.compact, to: &json)
      }
    }
    if next == UInt8(ascii: "{") { json.append(next) }
    json.append(UInt8(ascii: "}"))
  }
}

extension MessagePackView.Pair: SchemaMember {
  public var isNamed: Bool { key.utf8 != nil }

  public var text: String? { key.utf8.map { String(decoding: $0, as: UTF8.self) } }

  public func isOf(_ field: Schema.Field) -> Bool { key.isString(field.utf8) }
}
