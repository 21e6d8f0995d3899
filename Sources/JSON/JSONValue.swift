/// A JSON value that loses nothing of the text it came from that a reader could miss.
///
/// Objects keep the order and the duplicates of their members, numbers keep their exact text: a signature is
/// computed over the order received, and a number above 2^53 must come out as it went in. Source: RFC 8259.
/// Values made by the parser are nested no deeper than its limit; the functions here recurse to that depth.
public enum JSONValue: Sendable {
  case null
  case bool(Bool)
  /// The number's text, in RFC 8259's grammar, or `NaN`, `Infinity`, `-Infinity` where those were allowed.
  /// Make one with `integer(_:)` or `float(_:)`.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([JSONMember])

  /// The number for an integer of any width.
  public static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

  /// The number for a float, written as pydantic and serde_json write it (see `FloatText.compact`).
  public static func float(_ value: Double) -> JSONValue { .number(FloatText.compact(value)) }

  /// The value of the last member of that name, as Python's parser would keep it; nil when this is no object
  /// or has no such member.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { sameText($0.name, name) }?.value
  }

  /// Whether this is null.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// The elements of an array, nil for any other value.
  public var arrayValue: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// The text of a string, nil for any other value.
  public var stringValue: String? {
    if case .string(let text) = self { text } else { nil }
  }
}

/// One name and its value in an object.
public struct JSONMember: Sendable {
  /// The name; it may stand in the same object more than once.
  public var name: String
  /// The value under that name.
  public var value: JSONValue

  /// A member of that name and value.
  public init(_ name: String, _ value: JSONValue) {
    self.name = name
    self.value = value
  }
}

extension [JSONMember] {
  /// The members as a Python dict would hold them: of those with one name the last value, at the place of
  /// the first.
  func withoutDuplicates() -> [JSONMember] {
    guard count > 1 else { return self }
    var places: [ExactText: Int] = [:]
    var kept: [JSONMember] = []
    kept.reserveCapacity(count)
    for member in self {
      if let place = places[ExactText(text: member.name)] {
        kept[place].value = member.value
      } else {
        places[ExactText(text: member.name)] = kept.count
        kept.append(member)
      }
    }
    return kept
  }
}

/// Whether two texts are the same bytes. `==` would also call canonically equivalent ones equal, which JSON,
/// Python and signatures hold apart.
public func sameText(_ left: String, _ right: String) -> Bool {
  guard left.utf8.count == right.utf8.count else { return false }
  let same = left.utf8.withContiguousStorageIfAvailable { left in
    right.utf8.withContiguousStorageIfAvailable { right in left.elementsEqual(right) }
  }
  // Texts of Swift's own lie in one piece.
  return (same ?? nil) ?? left.utf8.elementsEqual(right.utf8)
}

/// A text that is told from others by its bytes.
struct ExactText: Hashable {
  let text: String

  static func == (left: ExactText, right: ExactText) -> Bool { sameText(left.text, right.text) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
