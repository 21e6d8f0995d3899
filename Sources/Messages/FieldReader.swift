import MessagePack

/// Reads a message's fields one after the other, naming the one that is missing or wrong.
public struct FieldReader {
  private var values: ArraySlice<MessagePackValue>
  let kind: UInt8

  init(_ values: ArraySlice<MessagePackValue>, kind: UInt8) {
    self.values = values
    self.kind = kind
  }

  mutating func next<Value>(
    _ name: String, _ read: (MessagePackValue) -> Value?
  ) throws(FrameError) -> Value {
    guard let value = values.popFirst(), let result = read(value) else { throw .field(name, kind: kind) }
    return result
  }

  mutating func optional<Value>(
    _ name: String, _ read: (MessagePackValue) -> Value?
  ) throws(FrameError) -> Value? {
    try next(name) { value -> Value?? in
      if case .null = value { return .some(nil) }
      return read(value).map { .some($0) }
    }
  }

  mutating func bool(_ name: String) throws(FrameError) -> Bool { try next(name) { Bool($0) } }
  mutating func int(_ name: String) throws(FrameError) -> Int { try next(name) { Int($0) } }
  /// The size of a frame, so that sums of a few of them are numbers too.
  mutating func frameBytes(_ name: String) throws(FrameError) -> Int {
    try next(name) { Int($0).flatMap { (0...Int(Int32.max)).contains($0) ? $0 : nil } }
  }
  /// A time in milliseconds since 1970.
  mutating func milliseconds(_ name: String) throws(FrameError) -> Int64 { try Int64(next(name) { Int($0) }) }
  mutating func uint(_ name: String) throws(FrameError) -> UInt64 { try next(name) { $0.unsigned } }
  mutating func string(_ name: String) throws(FrameError) -> String { try next(name) { String($0) } }
  mutating func bytes(_ name: String) throws(FrameError) -> [UInt8] { try next(name) { [UInt8]($0) } }
  mutating func job(_ name: String) throws(FrameError) -> JobID { try next(name) { JobID($0) } }
  mutating func status(_ name: String) throws(FrameError) -> JobStatus {
    try next(name) { $0.unsigned.flatMap(UInt8.init(exactly:)).flatMap(JobStatus.init(rawValue:)) }
  }
  mutating func strings(_ name: String) throws(FrameError) -> [String] {
    try next(name) { value in
      guard case .array(let values) = value else { return nil }
      let strings = values.compactMap { String($0) }
      return strings.count == values.count ? strings : nil
    }
  }

  mutating func numbers(_ name: String) throws(FrameError) -> [Int] {
    try next(name) { value in
      guard case .array(let values) = value else { return nil }
      let numbers = values.compactMap { Int($0) }
      return numbers.count == values.count ? numbers : nil
    }
  }

  /// A part that is itself a list of fields.
  mutating func part<Part: MessagePart>(_ name: String) throws(FrameError) -> Part {
    let values = try next(name) { Self.array($0) }
    return try Part(values, kind: kind)
  }

  mutating func optionalPart<Part: MessagePart>(_ name: String) throws(FrameError) -> Part? {
    guard let values = try optional(name, { Self.array($0) }) else { return nil }
    return try Part(values, kind: kind)
  }

  mutating func parts<Part: MessagePart>(_ name: String) throws(FrameError) -> [Part] {
    var parts: [Part] = []
    for value in try next(name, { Self.array($0) }) {
      guard let values = Self.array(value) else { throw .field(name, kind: kind) }
      parts.append(try Part(values, kind: kind))
    }
    return parts
  }

  private static func array(_ value: MessagePackValue) -> [MessagePackValue]? {
    guard case .array(let values) = value else { return nil }
    return values
  }

  func end() throws(FrameError) {
    guard values.isEmpty else { throw .extraFields(values.count, kind: kind) }
  }
}

/// A group of fields that several messages carry.
public protocol MessagePart: Sendable, Equatable {
  var fields: [MessagePackValue] { get }
  init(fields: inout FieldReader) throws(FrameError)
}

extension MessagePart {
  /// The group as one field of a message.
  var value: MessagePackValue { .array(fields) }

  init(_ values: [MessagePackValue], kind: UInt8) throws(FrameError) {
    var reader = FieldReader(values[...], kind: kind)
    self = try Self(fields: &reader)
    try reader.end()
  }
}

// What a field's value is, in both directions.

extension Bool {
  init?(_ value: MessagePackValue) {
    guard case .bool(let flag) = value else { return nil }
    self = flag
  }
}

extension Int {
  init?(_ value: MessagePackValue) {
    guard case .int(let number) = value else { return nil }
    self = Int(number)
  }
}

extension String {
  init?(_ value: MessagePackValue) {
    guard case .string(let text) = value else { return nil }
    self = text
  }
}

extension [UInt8] {
  init?(_ value: MessagePackValue) {
    guard case .binary(let bytes) = value else { return nil }
    self = bytes
  }
}

extension JobID {
  init?(_ value: MessagePackValue) {
    guard case .string(let text) = value else { return nil }
    self.init(text)
  }
}

extension MessagePackValue {
  static func int(_ number: Int) -> MessagePackValue { .int(Int64(number)) }
  static func number(_ number: UInt64) -> MessagePackValue {
    Int64(exactly: number).map { .int($0) } ?? .uint(number)
  }
  static func job(_ job: JobID) -> MessagePackValue { .string(job.description) }
  static func status(_ status: JobStatus) -> MessagePackValue { .int(Int64(status.rawValue)) }
  static func strings(_ strings: [String]) -> MessagePackValue { .array(strings.map { .string($0) }) }
  static func optional(_ text: String?) -> MessagePackValue { text.map { .string($0) } ?? .null }
  static func optional(_ number: Int?) -> MessagePackValue { number.map { .int(Int64($0)) } ?? .null }
}
