import Foundation
import JSON
import Testing

/// A file of Tests/Vectors, read with exact numbers; null when it cannot be read.
///
/// The other test target that needs it has a symbolic link to this file.
func vectors(_ name: String) -> JSONValue {
  let root = URL(filePath: #filePath).resolvingSymlinksInPath().appending(path: "../../Vectors")
  guard let data = try? Data(contentsOf: root.appending(path: name).standardizedFileURL) else { return .null }
  return (try? JSONValue.parse(Array(data), limits: JSONLimits(bytes: 1 << 20))) ?? .null
}

/// The entries of a vector file that is a list; empty when it cannot be read, which `everyEntryIsRead` reports.
func vectorEntries(_ name: String) -> [Vector] {
  guard case .array(let entries) = vectors(name) else { return [] }
  return entries.map { Vector(value: $0) }
}

struct Vector: Sendable, CustomTestStringConvertible {
  var value: JSONValue

  subscript(_ name: String) -> String? { value[name]?.stringValue }
  var testDescription: String { self["name"] ?? self["raw"] ?? "" }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
