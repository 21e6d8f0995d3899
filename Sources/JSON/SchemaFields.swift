/// A name and its value in a map that a schema looks at.
public protocol SchemaMember {
  /// Whether the name is text.
  var isNamed: Bool { get }
  /// The name, if it is text.
  var text: String? { get }
  /// Whether the name is that of the field.
  func isOf(_ field: Schema.Field) -> Bool
}

extension Schema.Model {
  /// Goes through a map as pydantic does: the fields in their order, then what no field has taken.
  ///
  /// - Parameters:
  ///   - field: is given each field with the last member of its name, as Python's decoders would keep it; or with nil,
  ///     when it is left out and has a standard value.
  ///   - other: is given each member that is to be kept beside the fields.
  /// - Throws: the first fault.
  @inlinable
  public func visit<Members: BidirectionalCollection>(
    _ members: Members, field take: (Schema.Field, Members.Element?) throws(SchemaViolation) -> Void,
    other: (Members.Element) throws(SchemaViolation) -> Void
  ) throws(SchemaViolation) where Members.Element: SchemaMember {
    for field in fields {
      let member = members.last { $0.isOf(field) }
      guard member != nil || field.standard != nil else { throw SchemaViolation(path: [field.name], type: "missing") }
      do throws(SchemaViolation) { try take(field, member) } catch { throw error.inside(field.name) }
    }
    guard extra != .ignored else { return }
    for member in members {
      guard member.isNamed else { throw SchemaViolation(type: "invalid_key") }
      guard !fields.contains(where: { member.isOf($0) }) else { continue }
      guard extra == .kept else { throw SchemaViolation(path: [member.text ?? ""], type: "extra_forbidden") }
      try other(member)
    }
  }
}
