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
    let value = try? JSONValue.parse(bytes, limits: JSONLimits(bytes: Self.readBytes))
    let state = value?["status"]?.stringValue ?? Self.state(cut: bytes)
    switch state {
    case "SUCCESS": self = .success
    case .some(let state) where Self.failures.contains(state):
      let traceback = value?["traceback"]?.stringValue ?? ""
      let error =
        value.map { Self.error($0["result"], traceback) } ?? "its error is longer than \(Self.readBytes) bytes"
      self = .failed(
        CommandExit(
          code: nil, signal: nil, stderrTail: Array(traceback.utf8.suffix(Limits.stderrTailBytes)),
          task: TaskEnd(state: state, error: String(error.prefix(Self.errorLength)))))
    default: self = .none
    }
  }

  /// Celery writes the state first: it is there even if the rest is cut off.
  private static func state(cut bytes: [UInt8]) -> String? {
    guard bytes.count == readBytes else { return nil }
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
    let parts: [String] =
      switch result?["exc_message"] {
      case .array(let values): values.map { $0.stringValue ?? String(decoding: $0.text(.compact), as: UTF8.self) }
      case .some(let value): [value.stringValue ?? String(decoding: value.text(.compact), as: UTF8.self)]
      case nil: []
      }
    return "\(type)\(parts.isEmpty ? "" : ": ")\(parts.joined(separator: ", "))"
  }
}
