import JSON
import MessagePack

extension SchemaInput {
  /// The same value; the decoder has bounded its nesting (`MessagePackLimits.depth`).
  init(_ value: MessagePackValue) {
    self =
      switch value {
      case .null: .null
      case .bool(let value): .bool(value)
      case .int(let value): .number(String(value))
      case .uint(let value): .number(String(value))
      case .float(let value): .number(FloatText.compact(value))
      case .string(let text): .string(text)
      case .binary(let bytes): .bytes(bytes)
      case .array(let elements): .array(elements.map { SchemaInput($0) })
      case .map(let pairs): .map(pairs.map { SchemaPair(Self.name($0.key), SchemaInput($0.value)) })
      case .ext: .opaque
      }
  }

  /// The same of what is looked at.
  init(_ view: MessagePackView) { self.init(MessagePackValue(view)) }

  private static func name(_ key: MessagePackValue) -> SchemaPair.Name {
    switch key {
    case .string(let text): .string(text)
    case .binary(let bytes): .bytes(bytes)
    default: .other
    }
  }
}
