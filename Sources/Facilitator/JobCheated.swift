import JSON

/// The facilitator reports that a job's result was forged. Source: PROTOCOL.md, V2JobRequest.
public struct JobCheated: SignedRequest {
  static let messageType = "V0JobCheated"

  /// Every field in the model's order, with its defaults.
  public let model: JSONValue
  public let ambiguity: SchemaViolation?
  /// Nil when the report came without one, which no verification accepts.
  public let signature: RequestSignature?
  /// The job whose result was forged; any text.
  public let jobUUID: String
  /// The job that computed the same on a trusted miner.
  public let trustedJobUUID: String
  /// Whatever the reporter found, with its numbers as received.
  public let details: JSONValue

  /// The report in a message of that type.
  ///
  /// - Throws: the first field that does not fit.
  init(_ message: JSONValue) throws(SchemaViolation) {
    model = try JobSchema.jobCheated.validate(message)
    ambiguity = Self.ambiguity(of: message, model)
    signature = RequestSignature(model["signature"])
    jobUUID = model["job_uuid"]?.stringValue ?? ""
    trustedJobUUID = model["trusted_job_uuid"]?.stringValue ?? ""
    details = model["details"] ?? .null
  }

  /// The report as Python's `json.dumps(sort_keys=True)` writes it.
  public var hashedPayload: [UInt8] {
    JSONValue.object([
      JSONMember("job_uuid", .string(jobUUID)),
      JSONMember("trusted_job_uuid", .string(trustedJobUUID)),
      JSONMember("details", details),
    ]).text(.pythonSorted)
  }
}
