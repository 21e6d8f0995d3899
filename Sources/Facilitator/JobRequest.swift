import JSON
import Messages

/// The facilitator asks for a job. Source: PROTOCOL.md, V2JobRequest.
public struct JobRequest: SignedRequest {
  static let messageType = "V2JobRequest"

  /// Every field in the model's order, with its defaults, as the original would pass it on: to the Celery task
  /// it goes as `model.text(.python)`.
  public let model: JSONValue
  public let ambiguity: SchemaViolation?
  /// Nil when the request came without one, which no verification accepts.
  public let signature: RequestSignature?
  /// As received; not signed.
  public let uuid: String
  /// Nil when `uuid` is not a canonical UUID, since such a job must not become a path, or is there twice.
  public let job: JobID?
  /// The kind of machine, one of PROTOCOL.md's executor classes.
  public let executorClass: String
  /// The image to run.
  public let dockerImage: String
  /// What the image is run with.
  public let arguments: [String]
  /// In the order received; a name that came twice has its last value.
  public let environment: [(name: String, value: String)]
  /// How long each part of the job may take.
  public let limits: JobTimeLimits
  /// Whether the job streams its output: then its time includes `limits.streamingStart`.
  public let wantsStreaming: Bool

  /// The request in a message of that type.
  ///
  /// - Throws: the first field that does not fit.
  init(_ message: JSONValue) throws(SchemaViolation) {
    model = try JobSchema.jobRequest.validate(message)
    ambiguity = Self.ambiguity(of: message, model)
    signature = RequestSignature(model["signature"])
    uuid = model["uuid"]?.stringValue ?? ""
    job = message.hasOnce("uuid") ? JobID(uuid) : nil
    executorClass = model["executor_class"]?.stringValue ?? ""
    dockerImage = model["docker_image"]?.stringValue ?? ""
    if case .array(let values) = model["args"] {
      arguments = values.compactMap(\.stringValue)
    } else {
      arguments = []
    }
    if case .object(let members) = model["env"] {
      environment = members.map { ($0.name, $0.value.stringValue ?? "") }
    } else {
      environment = []
    }
    limits = JobTimeLimits(model)
    if case .object = model["streaming_details"] { wantsStreaming = true } else { wantsStreaming = false }
  }

  /// The signed fields as compact JSON. `uuid` and `job_namespace` are not among them.
  public var signedPayload: [UInt8] {
    func field(_ name: String) -> JSONMember { JSONMember(name, model[name] ?? .null) }
    return JSONValue.object([
      field("executor_class"), field("docker_image"), field("args"), field("env"), field("use_gpu"),
      JSONMember("artifacts_dir", .string(model["artifacts_dir"]?.stringValue ?? "")),
      field("on_trusted_miner"), field("download_time_limit"), field("execution_time_limit"),
      field("upload_time_limit"), field("streaming_start_time_limit"), field("streaming_details"),
      JSONMember("volumes", list(model["volume"], of: "volumes")),
      JSONMember("uploads", list(model["output_upload"], of: "uploads")),
    ]).text(.compact)
  }

  /// `signedPayload` once more as a JSON string with ASCII escapes.
  public var hashedPayload: [UInt8] {
    JSONValue.string(String(decoding: signedPayload, as: UTF8.self)).text(.python)
  }

  /// The list that a multiple volume or upload holds under `name`; one that is not multiple makes a list of one.
  private func list(_ value: JSONValue?, of name: String) -> JSONValue {
    guard let value, case .object = value else { return .array([]) }
    return value[name] ?? .array([value])
  }
}

/// The time each part of a job may take, in seconds.
///
/// The wire's integers have no bounds; these are held between zero and a hundred years, so that any sum of them
/// fits an Int64.
public struct JobTimeLimits: Sendable, Hashable {
  /// A hundred years, in seconds.
  public static let longest: Int64 = 100 * 365 * 86400

  /// For its volumes to arrive.
  public let download: Int64
  /// For its command to run.
  public let execution: Int64
  /// For its output to leave.
  public let upload: Int64
  /// For its stream to start; counts only where streaming is asked for.
  public let streamingStart: Int64

  init(_ model: JSONValue) {
    download = Self.seconds(model["download_time_limit"])
    execution = Self.seconds(model["execution_time_limit"])
    upload = Self.seconds(model["upload_time_limit"])
    streamingStart = Self.seconds(model["streaming_start_time_limit"])
  }

  private static func seconds(_ value: JSONValue?) -> Int64 {
    guard case .number(let text) = value, !text.hasPrefix("-") else { return 0 }
    return min(Int64(text) ?? longest, longest)
  }
}
