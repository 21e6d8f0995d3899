import Foundation
import JSON
import Testing

/// A file of Tests/Vectors, read with exact numbers; null when it cannot be read.
public func vectors(_ name: String) -> JSONValue {
  let root = URL(filePath: #filePath).resolvingSymlinksInPath().appending(path: "../../Vectors")
  guard let data = try? Data(contentsOf: root.appending(path: name).standardizedFileURL) else { return .null }
  return (try? JSONValue.parse(Array(data), limits: JSONLimits(bytes: 1 << 20))) ?? .null
}

/// The entries of a vector file that is a list; empty when it cannot be read, which `everyEntryIsRead` reports.
public func vectorEntries(_ name: String) -> [Vector] {
  guard case .array(let entries) = vectors(name) else { return [] }
  return entries.map { Vector(value: $0) }
}

public struct Vector: Sendable, CustomTestStringConvertible {
  public var value: JSONValue

  public subscript(_ name: String) -> String? { value[name]?.stringValue }
  public var testDescription: String { self["name"] ?? self["raw"] ?? "" }
}

public func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// Where this repository lies, without a slash at its end.
public let repositoryRoot: String = {
  let root = URL(filePath: #filePath).resolvingSymlinksInPath().appending(path: "../../..").standardizedFileURL.path
  return root.hasSuffix("/") ? String(root.dropLast()) : root
}()
