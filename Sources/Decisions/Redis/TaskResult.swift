import JSON
import Messages

/// What a worker has left of a task under `celery-task-meta-ID`. Source: PROTOCOL.md, Celery on Redis.
enum TaskResult: Sendable, Equatable {
  /// Nothing yet, or nothing that is an end.
  case none
  case success
  case failed(CommandExit)

  /// How much of a result is read, in bytes; what it returned may be large.
  static let readBytes = 65_536
  /// How much of an error's words is kept, in characters.
  private static let errorLength = 1000
  private static let failures: Set = ["FAILURE", "REVOKED", "REJECTED"]

  /// - Parameter bytes: the first `readBytes` of the result.
  init(_ bytes: [UInt8]) {
    // As Python writes it: an exception may be made of NaN.
    let value = try? JSONValue.parse(bytes, limits: JSONLimits(bytes: Self.readBytes), nonFinite: true)
    let state = value?["status"]?.stringValue ?? Self.state(unread: bytes)
    switch state {
    case "SUCCESS": self = .success
    case .some(let state) where Self.failures.contains(state):
      let traceback = value?["traceback"]?.stringValue ?? ""
      let why = bytes.count == Self.readBytes ? "is longer than \(Self.readBytes) bytes" : "cannot be read"
      let error = value.map { Self.error($0["result"], traceback) } ?? "its error \(why)"
      self = .failed(
        CommandExit(
          code: nil, signal: nil, stderrTail: Array(traceback.utf8.suffix(Limits.stderrTailBytes)),
          task: TaskEnd(state: state, error: String(error.prefix(Self.errorLength)))))
    default: self = .none
    }
  }

  /// Celery writes the state first: it is there even if the rest is cut off, or is what only Python reads, such as half of
  /// a surrogate pair for a byte of a file's name that is no UTF-8.
  private static func state(unread bytes: [UInt8]) -> String? {
    guard bytes.count == readBytes || bytes.last == UInt8(ascii: "}") else { return nil }
    return (failures + ["SUCCESS"]).first { bytes.starts(with: "{\"status\": \"\($0)\"".utf8) }
  }

  /// As Python shows an exception: the end of its traceback, or its type and what it was made of.
  private static func error(_ result: JSONValue?, _ traceback: String) -> String {
    let type = result?["exc_type"]?.stringValue ?? "no error is given"
    // Not all that an exception says of itself is among its arguments. A module's name may stand before its type.
    if let last = traceback.split(separator: "\n").last, last.first?.isWhitespace == false,
      last.prefix(while: { $0 != ":" }).hasSuffix(type)
    {
      return String(last)
    }
    func shown(_ value: JSONValue) -> String {
      switch value {
      case .string(let text), .number(let text): text
      default: String(decoding: value.text(.compact), as: UTF8.self)
      }
    }
    let parts: [String] =
      switch result?["exc_message"] {
      case .array(let values): values.map(shown)
      case .some(let value): [shown(value)]
      case nil: []
      }
    return "\(type)\(parts.isEmpty ? "" : ": ")\(parts.joined(separator: ", "))"
  }
}
