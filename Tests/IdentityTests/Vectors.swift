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

/// SplitMix64: randomised tests print its seed, and a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init(seed: UInt64 = .random(in: 0 ... .max)) {
    self.seed = seed
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in .random(in: 0 ... .max, using: &self) }
  }
}
