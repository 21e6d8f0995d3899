import JSON
import Messages

/// What a status update carries beside the status. Source: PROTOCOL.md, Values.
public enum StatusMetadata {
  /// A text of a given vocabulary; what is not in it counts as `unknown`, whatever it is.
  private static func word<Word: CaseIterable & RawRepresentable<String>>(_: Word.Type) -> Schema {
    .choice(Word.allCases.map(\.rawValue), otherwise: "unknown")
  }

  private static let minerResponse = Schema.Model(
    [
      .required("docker_process_stderr", .string),
      .required("docker_process_stdout", .string),
      .optional("artifacts", .map(.string)),
      .optional("upload_results", .map(.string)),
    ], extra: .kept)

  private static let rejectionDetails = Schema.Model([
    .required("rejected_by", word(Participant.self)),
    .required("reason", word(RejectionReason.self)),
    .required("message", .string),
    .optional("context", .json),
  ])

  private static let jobFailureDetails = Schema.Model([
    .required("reason", word(JobFailureReason.self)),
    .required("stage", word(JobStage.self)),
    .required("message", .string),
    .optional("context", .json),
    .optional("docker_process_exit_status", .integer),
    .optional("docker_process_stdout", .string),
    .optional("docker_process_stderr", .string),
  ])

  private static let hordeFailureDetails = Schema.Model([
    .required("reported_by", word(Participant.self)),
    .required("reason", word(HordeFailureReason.self)),
    .required("message", .string),
    .optional("context", .json),
  ])

  private static let streamingDetails = Schema.Model(
    [
      .optional("streaming_server_cert", .string),
      .optional("streaming_server_address", .string),
      .optional("streaming_server_port", .integer),
    ], extra: .refused)

  static let schema = Schema.model(
    Schema.Model(
      [
        .optional("miner_response", .model(minerResponse)),
        .optional("job_rejection_details", .model(rejectionDetails)),
        .optional("job_failure_details", .model(jobFailureDetails)),
        .optional("horde_failure_details", .model(hordeFailureDetails)),
        .optional("streaming_details", .model(streamingDetails)),
      ], extra: .kept))

  /// What null metadata becomes: the facilitator drops the connection over `completed` and `streaming_ready` with
  /// null, so these get an object of nulls (PROTOCOL.md).
  static func text(ofNullFor status: JobStatus) -> [UInt8]? {
    status == .completed || status == .streamingReady ? nothing : nil
  }

  private static let nothing = details(nil, .null)

  /// The metadata of a job that is not taken on, rejected by the validator.
  ///
  /// - Parameter context: anything more there is to say; null for nothing.
  public static func rejected(reason: RejectionReason, message: String, context: JSONValue = .null) -> [UInt8] {
    details(
      "job_rejection_details",
      .object([
        JSONMember("rejected_by", .string(Participant.validator.rawValue)),
        JSONMember("reason", .string(reason.rawValue)),
        JSONMember("message", .string(message)),
        JSONMember("context", context),
      ]))
  }

  /// The metadata of a job that could not be carried through, reported by the validator.
  ///
  /// - Parameter context: anything more there is to say; null for nothing.
  public static func hordeFailed(
    reason: HordeFailureReason, message: String, context: JSONValue = .null
  ) -> [UInt8] {
    details(
      "horde_failure_details",
      .object([
        JSONMember("reported_by", .string(Participant.validator.rawValue)),
        JSONMember("reason", .string(reason.rawValue)),
        JSONMember("message", .string(message)),
        JSONMember("context", context),
      ]))
  }

  /// Metadata with one of its five fields set.
  private static func details(_ name: String?, _ value: JSONValue) -> [UInt8] {
    let names = [
      "miner_response", "job_rejection_details", "job_failure_details", "horde_failure_details",
      "streaming_details",
    ]
    return JSONValue.object(names.map { JSONMember($0, $0 == name ? value : .null) }).text(.compact)
  }
}
