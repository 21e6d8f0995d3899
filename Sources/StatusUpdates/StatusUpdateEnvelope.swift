import JSON
import MessagePack
import Messages

/// A job's progress as a worker reported it, checked and ready to be stored.
public struct StatusUpdate: Sendable, Hashable {
  /// The job it is about.
  public var job: JobID
  /// What has become of the job.
  public var status: JobStatus
  /// Compact JSON, byte for byte as the original would send it; nil for null.
  public var metadataJSON: [UInt8]?

  /// An update that is known to be valid; `metadataJSON` must be compact JSON.
  public init(job: JobID, status: JobStatus, metadataJSON: [UInt8]?) {
    self.job = job
    self.status = status
    self.metadataJSON = metadataJSON
  }
}

/// Why a message is no status update for this job.
public enum InvalidUpdate: Error, Hashable, CustomStringConvertible {
  /// A field, named by its path, does not fit.
  case invalid(SchemaViolation)
  /// The update is well formed, and about another job, or about no UUID at all.
  case wrongJob(uuid: String)

  /// The code for the worker: `invalid` or `wrong_job`. Source: DESIGN.md, What users touch.
  public var code: String {
    switch self {
    case .invalid: "invalid"
    case .wrongJob: "wrong_job"
    }
  }

  public var description: String {
    switch self {
    case .invalid(let violation): "\(violation); correct that field and send the update again"
    case .wrongJob(let uuid):
      "payload.uuid: \(String(reflecting: String(uuid.unicodeScalars.prefix(64)))) is not this job's uuid; "
        + "send each job's updates to its own channel"
    }
  }
}

/// The message in which a worker reports a status, the same on every kind of channel and on the job's socket.
/// Source: PROTOCOL.md, The job's channel.
public enum StatusUpdateEnvelope {
  static let messageType = "V0JobStatusUpdate"

  static let payload = Schema.Model(
    [
      .standard("message_type", .literal(messageType), .string(messageType)),
      .required("uuid", .string),
      .required("status", .choice(JobStatus.allCases.map(\.name), otherwise: JobStatus.unknown.name)),
      .optional("metadata", StatusMetadata.schema),
    ], extra: .refused)

  private static let envelope = Schema.Model([
    .standard("type", .literal("job_status_update"), .string("job_status_update")),
    .required("payload", .model(payload)),
  ])

  /// The update in a decoded message.
  ///
  /// What the original relays and this refuses: a uuid that is another job's, or none.
  ///
  /// - Parameter job: the job whose channel the message came on; nil takes any job's.
  /// - Throws: `InvalidUpdate`; the first field that does not fit, or `wrongJob`.
  public static func validate(
    _ message: MessagePackView, expecting job: JobID?
  ) throws(InvalidUpdate) -> StatusUpdate {
    var payload = Payload()
    do throws(SchemaViolation) {
      guard let pairs = message.pairs else { throw SchemaViolation(type: "model_type") }
      try envelope.visit(pairs) { (field, pair) throws(SchemaViolation) in
        guard let value = pair?.value else { return }
        if field.name == "payload" { payload = try Payload(value) } else { try field.schema.check(value) }
      } other: { _ in
      }
    } catch { throw .invalid(error) }
    var update = try payload.update(expecting: job)
    if update.metadataJSON == nil { update.metadataJSON = StatusMetadata.text(ofNullFor: update.status) }
    return update
  }
}

/// What a payload says, field by field.
private struct Payload {
  /// As it was sent, unless it is a job's.
  var uuid = ""
  var job: JobID?
  var status = JobStatus.unknown
  /// Nil for null.
  var metadataJSON: [UInt8]?

  init() {}

  init(_ input: MessagePackView) throws(SchemaViolation) {
    guard let pairs = input.pairs else { throw SchemaViolation(type: "model_type") }
    try StatusUpdateEnvelope.payload.visit(pairs) { (field, pair) throws(SchemaViolation) in
      guard let value = pair?.value else { return }
      switch field.name {
      case "uuid":
        job = value.utf8.flatMap { JobID(utf8: $0) }
        if job == nil { try takeUUID(field.schema.validate(SchemaInput(value))) }
      case "status": status = value.bytes.map { JobStatus(utf8: $0) } ?? .unknown
      case "metadata":
        if value.isNull { return }
        var json: [UInt8] = []
        try field.schema.write(value, to: &json)
        metadataJSON = json
      default: try field.schema.check(value)
      }
    } other: { _ in
    }
  }

  /// A payload that came as JSON and is valid.
  init(_ payload: JSONValue) {
    takeUUID(payload["uuid"] ?? .null)
    status = JobStatus(name: payload["status"]?.stringValue ?? "")
    if let metadata = payload["metadata"], !metadata.isNull { metadataJSON = metadata.text(.compact) }
  }

  private mutating func takeUUID(_ value: JSONValue) {
    uuid = value.stringValue ?? ""
    job = JobID(uuid)
  }

  func update(expecting expected: JobID?) throws(InvalidUpdate) -> StatusUpdate {
    guard let job, expected == nil || expected == job else {
      throw .wrongJob(uuid: job?.description ?? uuid)
    }
    return StatusUpdate(job: job, status: status, metadataJSON: metadataJSON)
  }
}

/// The frame in which the facilitator gets a status update.
public enum StatusUpdateFrame {
  /// The frame's JSON, byte for byte as the original would send it. Source: PROTOCOL.md, The facilitator's
  /// WebSocket.
  ///
  /// - Parameter metadataJSON: compact JSON, nil for null.
  public static func encode(job: JobID, status: JobStatus, metadataJSON: [UInt8]?) -> [UInt8] {
    var frame: [UInt8] = []
    frame.reserveCapacity(128 + (metadataJSON?.count ?? 4))
    frame += beginning
    job.append(to: &frame)
    frame += "\",\"status\":\"".utf8
    frame += status.name.utf8
    frame += "\",\"metadata\":".utf8
    if let metadataJSON { frame += metadataJSON } else { frame += "null".utf8 }
    frame.append(UInt8(ascii: "}"))
    return frame
  }

  private static let beginning = Array("{\"message_type\":\"\(StatusUpdateEnvelope.messageType)\",\"uuid\":\"".utf8)

  /// The update in a parsed frame, as a facilitator reads it; null metadata stays null.
  ///
  /// - Throws: `InvalidUpdate`; the first field that does not fit, or `wrongJob` for a uuid that is none.
  public static func decode(_ frame: JSONValue) throws(InvalidUpdate) -> StatusUpdate {
    let payload: JSONValue
    do { payload = try Schema.model(StatusUpdateEnvelope.payload).validate(frame) } catch {
      throw .invalid(error)
    }
    return try Payload(payload).update(expecting: nil)
  }
}
