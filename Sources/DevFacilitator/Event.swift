import JSON
import Platform

/// Something that happened, to be told on standard output.
enum Event: Sendable, Equatable {
  /// Validators can connect to this URL.
  case listening(url: String)
  /// With the request's headers, nil where they are missing.
  case connected(Int, validatorVersion: String?, runnerVersion: String?)
  /// The key, as an ss58 address.
  case authenticated(Int, hotkey: String)
  case authenticationRefused(Int, type: String)
  case heartbeat(Int)
  /// The frame is the exact text sent.
  case jobSent(Int, uuid: String, frame: String)
  /// The frame is the exact text received; `row` counts the rows accepted so far, of all jobs.
  case accepted(Int, uuid: String, status: String, frame: String, row: Int)
  /// The job has that status already.
  case duplicate(Int, uuid: String, status: String, frame: String)
  /// Nothing was kept. Without uuid and status when it was no status update.
  case refused(Int, uuid: String?, status: String?, type: String)
  case specs(Int, frame: String)
  case unparsable(Int, type: String)
  case disconnected(Int, reason: String)
  /// A line of standard input that cannot be carried out.
  case badCommand(message: String)

  /// The event as one line of JSON, without the line's end.
  ///
  /// - Parameter nanoseconds: when it happened, by the boot clock.
  func json(at nanoseconds: Int64) -> [UInt8] {
    let (name, connection, fields) = parts
    var members = [JSONMember("event", .string(name)), JSONMember("at_ns", .integer(nanoseconds))]
    if let connection { members.append(JSONMember("connection", .integer(connection))) }
    members += fields.map { JSONMember($0.0, $0.1) }
    return JSONValue.object(members).text(.compact)
  }

  /// The event as one line for a person, frames left out.
  var line: String {
    let (name, connection, fields) = parts
    var words = connection.map { ["[\($0)]", name] } ?? [name]
    for (field, value) in fields {
      switch value {
      case .string(let text) where field == "frame": words.append("\(text.utf8.count) bytes")
      case .string(let text): words.append("\(field)=\(Terminal.printable(text, limit: 300))")
      case .number(let text): words.append("\(field)=\(text)")
      default: break
      }
    }
    return words.joined(separator: " ")
  }

  private var parts: (name: String, connection: Int?, fields: [(String, JSONValue)]) {
    func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    switch self {
    case .listening(let url): return ("listening", nil, [("url", text(url))])
    case .connected(let connection, let validator, let runner):
      return (
        "connected", connection, [("validator_version", text(validator)), ("runner_version", text(runner))]
      )
    case .authenticated(let connection, let hotkey):
      return ("authenticated", connection, [("hotkey", text(hotkey))])
    case .authenticationRefused(let connection, let type):
      return ("authentication_refused", connection, [("type", text(type))])
    case .heartbeat(let connection): return ("heartbeat", connection, [])
    case .jobSent(let connection, let uuid, let frame):
      return ("job_sent", connection, [("uuid", text(uuid)), ("frame", text(frame))])
    case .accepted(let connection, let uuid, let status, let frame, let row):
      return (
        "accepted", connection,
        [("uuid", text(uuid)), ("status", text(status)), ("frame", text(frame)), ("row", .integer(row))]
      )
    case .duplicate(let connection, let uuid, let status, let frame):
      return (
        "duplicate", connection, [("uuid", text(uuid)), ("status", text(status)), ("frame", text(frame))]
      )
    case .refused(let connection, let uuid, let status, let type):
      return ("refused", connection, [("uuid", text(uuid)), ("status", text(status)), ("type", text(type))])
    case .specs(let connection, let frame): return ("specs", connection, [("frame", text(frame))])
    case .unparsable(let connection, let type): return ("unparsable", connection, [("type", text(type))])
    case .disconnected(let connection, let reason):
      return ("disconnected", connection, [("reason", text(reason))])
    case .badCommand(let message): return ("bad_command", nil, [("message", text(message))])
    }
  }
}
