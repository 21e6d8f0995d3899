import ArgumentParser
import JSON
import MessagePack
import Messages

/// Metadata as a person types it.
enum MetadataText {
  /// How deep it may be nested: the envelope around it takes two of the levels a MessagePack value may have.
  private static let depth = MessagePackLimits().depth - 2

  /// The MessagePack value that says the same: integers as integers, other numbers as the nearest double.
  /// - Throws: `ValidationError` for what is not JSON or has a number that would come out as another.
  @Sendable static func parse(_ text: String) throws -> MessagePackValue {
    let bytes = Array(text.utf8)
    do {
      return try convert(
        JSONValue.parse(bytes, limits: JSONLimits(bytes: Limits.facilitatorFrameBytes, depth: depth)))
    } catch let error as JSONError {
      throw ValidationError("The metadata is \(error).")
    }
  }

  /// Recurses as deep as the parser has let the text nest.
  private static func convert(_ value: JSONValue) throws -> MessagePackValue {
    switch value {
    case .null: .null
    case .bool(let flag): .bool(flag)
    case .number(let text): try number(text)
    case .string(let text): .string(text)
    case .array(let elements): .array(try elements.map(convert))
    case .object(let members):
      .map(try members.map { MessagePackPair(.string($0.name), try convert($0.value)) })
    }
  }

  private static func number(_ text: String) throws -> MessagePackValue {
    if let integer = DecimalInteger(json: text) {
      if let number = integer.int64 { return .int(number) }
      if let number = integer.uint64 { return .uint(number) }
      throw ValidationError("The metadata has an integer of more than 64 bits, \(text): send it as a string.")
    }
    guard let number = Double(jsonNumber: text), number.isFinite else {
      throw ValidationError("The metadata has a number beyond a double's range, \(text): send it as a string.")
    }
    return .float(number)
  }
}
