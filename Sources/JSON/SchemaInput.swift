/// A value that some decoder made, as a schema looks at it: what JSON can say, and what other formats can beside.
///
/// Its nesting must be bounded, as the decoders bound it: validation recurses to its depth.
public enum SchemaInput: Sendable {
  case null
  case bool(Bool)
  /// A number's text, as in `JSONValue.number`.
  case number(String)
  case string(String)
  case bytes([UInt8])
  case array([SchemaInput])
  case map([SchemaPair])
  /// Something with no form in JSON.
  case opaque

  /// The same value.
  public init(_ value: JSONValue) {
    self =
      switch value {
      case .null: .null
      case .bool(let value): .bool(value)
      case .number(let text): .number(text)
      case .string(let text): .string(text)
      case .array(let elements): .array(elements.map { SchemaInput($0) })
      case .object(let members): .map(members.map { SchemaPair(.string($0.name), SchemaInput($0.value)) })
      }
  }
}

/// A value in a map, and what it stands under.
public struct SchemaPair: Sendable {
  /// Names are text; a format may have them as bytes, or have something else in their place.
  public enum Name: Sendable {
    case string(String)
    case bytes([UInt8])
    case other
  }

  var name: Name
  var value: SchemaInput

  /// A pair of that name and value.
  public init(_ name: Name, _ value: SchemaInput) {
    self.name = name
    self.value = value
  }
}

extension SchemaPair: SchemaMember {
  public var isNamed: Bool { text != nil }

  public var text: String? { if case .string(let text) = name { text } else { nil } }

  public func isOf(_ field: Schema.Field) -> Bool { text.map { sameText($0, field.name) } ?? false }
}
