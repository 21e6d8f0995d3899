import JSON

/// The facilitator's answer to the oldest message it has not answered. Source: PROTOCOL.md, The facilitator's
/// WebSocket.
public struct Response: Sendable, Hashable {
  /// Whether the message was accepted.
  public enum Status: String, Sendable, Hashable {
    case success, error
  }

  /// One thing that was wrong.
  public struct Fault: Sendable, Hashable {
    /// In words.
    public var message: String
    /// Such as `job.not_found`, `auth.signature_invalid`, or a pydantic error type.
    public var type: String
    /// What to do about it; nil when the facilitator does not say.
    public var help: String?

    /// A fault as a facilitator tells it.
    public init(message: String, type: String, help: String? = nil) {
      self.message = message
      self.type = type
      self.help = help
    }
  }

  /// Whether the message was accepted.
  public var status: Status
  /// Why it was not; the facilitator names none on success.
  public var errors: [Fault]

  private static let schema = Schema.model(
    Schema.Model(
      [
        .required("status", .choice([Status.success.rawValue, Status.error.rawValue], otherwise: nil)),
        .standard(
          "errors",
          .array(
            .model(
              Schema.Model(
                [
                  .required("msg", .string), .required("type", .string),
                  .standard("help", .string, .string("")),
                ], extra: .ignored))),
          .array([])),
      ], extra: .refused))

  /// A response as a facilitator makes it.
  public init(status: Status, errors: [Fault] = []) {
    self.status = status
    self.errors = errors
  }

  /// The response in a message.
  ///
  /// - Throws: the first field that does not fit.
  init(_ message: JSONValue) throws(SchemaViolation) {
    let model = try Self.schema.validate(message)
    status = Status(rawValue: model["status"]?.stringValue ?? "") ?? .error
    guard case .array(let faults) = model["errors"] else {
      errors = []
      return
    }
    errors = faults.map { fault in
      let help = fault["help"]?.stringValue ?? ""
      return Fault(
        message: fault["msg"]?.stringValue ?? "", type: fault["type"]?.stringValue ?? "",
        help: help.isEmpty ? nil : help)
    }
  }

  /// The frame in which a facilitator sends this response.
  public var frame: [UInt8] {
    JSONValue.object([
      JSONMember("status", .string(status.rawValue)),
      JSONMember(
        "errors",
        .array(
          errors.map {
            .object([
              JSONMember("msg", .string($0.message)), JSONMember("type", .string($0.type)),
              JSONMember("help", .string($0.help ?? "")),
            ])
          })),
    ]).text(.compact)
  }
}
