// Texts that are handed on as they were received: another reader must find in them what this one has checked.

extension JSONValue {
  /// The first name that stands more than once in one object, at any depth: of its values one reader takes the first
  /// and another the last. Names are compared once their escapes are read.
  public var duplicateName: SchemaViolation? {
    switch self {
    case .array(let elements):
      for (index, element) in elements.enumerated() {
        if let found = element.duplicateName { return found.inside(String(index)) }
      }
    case .object(let members):
      if let name = members.firstDuplicate { return SchemaViolation(path: [name], type: "the name is there twice") }
      for member in members {
        if let found = member.value.duplicateName { return found.inside(member.name) }
      }
    case .null, .bool, .number, .string: break
    }
    return nil
  }

  /// Whether this is an object in which the name stands exactly once.
  public func hasOnce(_ name: String) -> Bool {
    guard case .object(let members) = self else { return false }
    return members.count { sameText($0.name, name) } == 1
  }

  /// Where this value says otherwise than `model`, which a schema has made of it: in a form that the schema reads laxly,
  /// as `"false"` for false, or under a name that it ignores. What is left out here and has a standard value there is no
  /// difference. No name may be there twice.
  public func difference(from model: JSONValue) -> SchemaViolation? {
    switch (self, model) {
    case (.null, .null): return nil
    case (.bool(let left), .bool(let right)) where left == right: return nil
    case (.number(let left), .number(let right)) where sameText(left, right): return nil
    case (.string(let left), .string(let right)) where sameText(left, right): return nil
    case (.array(let elements), .array(let others)) where elements.count == others.count:
      for (index, (element, other)) in zip(elements, others).enumerated() {
        if let found = element.difference(from: other) { return found.inside(String(index)) }
      }
      return nil
    case (.object(let members), .object(let others)): return members.difference(from: others)
    default: return SchemaViolation(type: "another form of the value is signed")
    }
  }
}

extension [JSONMember] {
  /// Up to so many members are compared one by one: that is quicker than hashing their names.
  private static let few = 8

  fileprivate var firstDuplicate: String? {
    guard count > Self.few else {
      return indices.first { place in self[..<place].contains { sameText($0.name, self[place].name) } }
        .map { self[$0].name }
    }
    var seen = Set<ExactText>(minimumCapacity: count)
    return first { !seen.insert(ExactText(text: $0.name)).inserted }?.name
  }

  fileprivate func difference(from others: [JSONMember]) -> SchemaViolation? {
    var places: [ExactText: Int] = [:]
    if others.count > Self.few {
      for (place, other) in others.enumerated() { places[ExactText(text: other.name)] = place }
    }
    for member in self {
      let place =
        places.isEmpty
        ? others.firstIndex { sameText($0.name, member.name) } : places[ExactText(text: member.name)]
      guard let place else {
        return SchemaViolation(path: [member.name], type: "the name is not known, and not signed")
      }
      if let found = member.value.difference(from: others[place].value) { return found.inside(member.name) }
    }
    return nil
  }
}
