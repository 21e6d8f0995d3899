import Facilitator
import JSON
import Messages

/// What a line of standard input tells the facilitator to do: one JSON object, told by its `command`.
enum Command: Sendable {
  /// Sign a job request and send it.
  case job(SignedJob)
  /// Send one whose signature is over another request.
  case jobWithBadSignature(SignedJob)
  /// Send a text frame as it is.
  case raw(String)
  /// End every connection without a close frame.
  case drop
  /// Close every connection.
  case close(code: UInt16, reason: String)
  case dropAfter(Int)
  case dropBeforeAnswer(Int)
  case answerError(Faults.AnswerError)
  case delay(milliseconds: Int)
  case neverAnswer(Bool)
  /// Take no update from now on; nil: take them again.
  case ill(Faults.Illness?)
  /// Stop listening and drop everything.
  case down
  /// Listen again where it was.
  case up
  case quit

  private static let models = [
    "job": model([
      .required("uuid", .string), .standard("args", .array(.string), .array([])), .optional("image", .string),
      .optional("env", .map(.string)), .optional("limits", .array(.integer)),
    ]),
    "raw_job_with_bad_signature": model([.required("uuid", .string)]),
    "raw": model([.required("text", .string)]),
    "drop": model([]),
    "close": model([.required("code", .integer), .optional("reason", .string)]),
    "drop_after": model([.required("count", .integer)]),
    "drop_before_answer": model([.required("count", .integer)]),
    "answer_error": model([.required("type", .string), .required("count", .integer)]),
    "delay": model([.required("milliseconds", .integer)]),
    "never_answer": model([.required("on", .boolean)]),
    "ill": model([.required("how", .string)]),
    "down": model([]),
    "up": model([]),
    "quit": model([]),
  ]

  private static func model(_ fields: [Schema.Field]) -> Schema.Model {
    Schema.Model([.required("command", .string)] + fields, extra: .refused)
  }

  /// Reads a line.
  ///
  /// - Throws: `CommandError`, which names what does not fit.
  init(line: [UInt8]) throws(CommandError) {
    let value: JSONValue
    do { value = try JSONValue.parse(line, limits: JSONLimits(bytes: LineSplitter.byteLimit)) } catch {
      throw CommandError("\(error)")
    }
    guard let name = value["command"]?.stringValue, let model = Self.models[name] else {
      throw CommandError("command: give one of \(Self.models.keys.sorted().joined(separator: ", "))")
    }
    let fields: Fields
    do { fields = Fields(try Schema.model(model).validate(value)) } catch {
      throw CommandError("\(error)")
    }
    switch name {
    case "job": self = .job(try fields.job())
    case "raw_job_with_bad_signature": self = .jobWithBadSignature(try fields.job())
    case "raw": self = .raw(fields.text("text"))
    case "drop": self = .drop
    case "close":
      let reason = fields.text("reason")
      guard reason.utf8.count <= CloseCode.reasonLimit else {
        throw CommandError("reason: give at most \(CloseCode.reasonLimit) bytes, which fit a close frame")
      }
      self = .close(code: UInt16(try fields.integer("code", in: CloseCode.allowed)), reason: reason)
    case "drop_after": self = .dropAfter(try fields.count())
    case "drop_before_answer": self = .dropBeforeAnswer(try fields.count())
    case "answer_error":
      self = .answerError(Faults.AnswerError(type: fields.text("type"), count: try fields.count()))
    case "delay":
      self = .delay(milliseconds: try fields.integer("milliseconds", in: 0...Faults.delayLimit))
    case "never_answer": self = .neverAnswer(fields.isTrue("on"))
    case "ill":
      let how = fields.text("how")
      let illness = Faults.Illness(rawValue: how)
      guard illness != nil || how == "well" else {
        let known = Faults.Illness.allCases.map(\.rawValue).joined(separator: ", ")
        throw CommandError("how: give one of \(known), well")
      }
      self = .ill(illness)
    case "down": self = .down
    case "up": self = .up
    default: self = .quit
    }
  }
}

/// Why a line is no command.
struct CommandError: Error, Equatable, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// The fields of a command whose types are known to fit.
private struct Fields {
  private let model: JSONValue

  init(_ model: JSONValue) { self.model = model }

  func text(_ name: String) -> String { model[name]?.stringValue ?? "" }

  func isTrue(_ name: String) -> Bool {
    if case .bool(true) = model[name] { true } else { false }
  }

  func integer(_ name: String, in range: ClosedRange<Int>) throws(CommandError) -> Int {
    guard case .number(let text) = model[name], let value = Int(text), range.contains(value) else {
      throw CommandError("\(name): give a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func count() throws(CommandError) -> Int { try integer("count", in: 0...Faults.countLimit) }

  func job() throws(CommandError) -> SignedJob {
    guard let job = JobID(text("uuid")) else {
      throw CommandError("uuid: give a UUID in its canonical form, 36 characters in lower case")
    }
    let image = text("image")
    var description = SignedJob(job: job, dockerImage: image.isEmpty ? "hordelink/development" : image)
    if case .array(let arguments) = model["args"] {
      description.arguments = arguments.compactMap(\.stringValue)
    }
    if case .object(let variables) = model["env"] {
      description.environment = variables.map { ($0.name, $0.value.stringValue ?? "") }
    }
    if case .array(let limits) = model["limits"] {
      let seconds = limits.compactMap { limit -> Int64? in
        guard case .number(let text) = limit, let value = Int64(text), value >= 0 else { return nil }
        return value
      }
      guard limits.count == 4, seconds.count == 4 else {
        throw CommandError("limits: give four numbers of seconds, for download, execution, upload and streaming")
      }
      description.downloadLimit = seconds[0]
      description.executionLimit = seconds[1]
      description.uploadLimit = seconds[2]
      description.streamingStartLimit = seconds[3]
    }
    return description
  }
}
