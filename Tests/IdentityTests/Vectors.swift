import Foundation
import Identity

/// The answers of the original libraries, Tests/Vectors; a test that cannot read them fails.
enum Vectors {
  static func load<Entry: Decodable>(_ name: String, as type: Entry.Type = Entry.self) throws -> [Entry] {
    let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
      .deletingLastPathComponent()
      .appendingPathComponent("../Vectors")
    let entries = try decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent(name)))
    guard !entries.isEmpty else { throw CocoaError(.fileReadCorruptFile) }
    return entries
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: data)
  }
}

/// What an original answered: a value, or the text of an error.
enum Answer<Value: Decodable>: Decodable {
  case value(Value)
  case raises(String)

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let text = try? container.decode(String.self) {
      self = .raises(text)
    } else {
      self = .value(try container.decode(Value.self))
    }
  }
}

extension Answer<Bool> {
  /// Whether `body` answers the same, or raises an error where the original does.
  func agrees(with body: () throws -> Bool) -> Bool {
    switch self {
    case .value(let theirs): (try? body()) == theirs
    case .raises: (try? body()) == nil
    }
  }
}

/// The key that an original made of a file or an address.
struct KeyAnswer: Decodable {
  let publicKey: String
  let ss58: String
  let canSign: Bool?
}

/// Lends these texts as a file's fields.
func withFields<Result>(
  _ texts: [HotkeyFields.Name: String], _ body: (HotkeyFields) throws -> Result
) rethrows -> Result {
  var fields = HotkeyFields()
  var copies: [UnsafeMutableBufferPointer<UInt8>] = []
  defer { for copy in copies { copy.deallocate() } }
  for (name, text) in texts {
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
    _ = copy.initialize(from: text.utf8)
    copies.append(copy)
    fields[name] = UnsafeBufferPointer(copy)
  }
  return try body(fields)
}
