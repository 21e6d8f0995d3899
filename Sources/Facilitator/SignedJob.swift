import Identity
import JSON
import Messages

/// A job as a facilitator describes it before it signs the request.
public struct SignedJob: Sendable {
  /// The uuid; not signed.
  public var job: JobID
  /// One of the executor classes of PROTOCOL.md.
  public var executorClass = "always_on.test"
  /// The image to run.
  public var dockerImage: String
  /// What the image is run with.
  public var arguments: [String] = []
  /// The container's variables, signed in this order.
  public var environment: [(name: String, value: String)] = []
  /// Whether the job wants a GPU.
  public var usesGPU = true
  /// A volume or upload of one of the kinds of PROTOCOL.md; null for none.
  public var volume = JSONValue.null
  /// Where the output goes, as `volume` says where input comes from.
  public var outputUpload = JSONValue.null
  /// A folder of the container whose files are sent back; nil for none.
  public var artifactsDirectory: String?
  /// Whether only a trusted miner may run it.
  public var onTrustedMiner = false
  /// Seconds.
  public var downloadLimit: Int64 = 60
  /// Seconds.
  public var executionLimit: Int64 = 60
  /// Seconds.
  public var uploadLimit: Int64 = 60
  /// Seconds.
  public var streamingStartLimit: Int64 = 60
  /// The client's certificate when the job streams its output; nil when it does not.
  public var streamingKey: String?

  /// A job with the least there can be to it; the rest has defaults.
  public init(job: JobID, dockerImage: String) {
    self.job = job
    self.dockerImage = dockerImage
  }

  /// The request on the wire, signed by `signer`.
  ///
  /// - Parameter timestamp: nanoseconds since 1970.
  /// - Throws: `SignedJobError`.
  public func request(signedBy signer: Hotkey, timestamp: UInt64) throws(SignedJobError) -> [UInt8] {
    let unsigned = try Self.request(object(signature: .null))
    let signature: Signature
    do { signature = try signer.sign(unsigned.digest(timestamp: timestamp)) } catch {
      throw .cannotSign(error)
    }
    let signed = JSONValue.object([
      JSONMember("signature_type", .string("bittensor")),
      JSONMember("signatory", .string(signer.publicKey.ss58)),
      JSONMember("timestamp_ns", .integer(timestamp)),
      JSONMember("signature", .string(Base64.encode(signature.bytes))),
      JSONMember("signature_scope", .string("SignedFields")),
    ])
    return try Self.request(object(signature: signed)).model.text(.python)
  }

  private static func request(_ object: JSONValue) throws(SignedJobError) -> JobRequest {
    do { return try JobRequest(object) } catch { throw .invalid(error) }
  }

  private func object(signature: JSONValue) -> JSONValue {
    .object([
      JSONMember("signature", signature),
      JSONMember("message_type", .string(JobRequest.messageType)),
      JSONMember("uuid", .string(job.description)),
      JSONMember("executor_class", .string(executorClass)),
      JSONMember("docker_image", .string(dockerImage)),
      JSONMember("args", .array(arguments.map { .string($0) })),
      JSONMember("env", .object(environment.map { JSONMember($0.name, .string($0.value)) })),
      JSONMember("use_gpu", .bool(usesGPU)),
      JSONMember("volume", volume),
      JSONMember("output_upload", outputUpload),
      JSONMember("artifacts_dir", artifactsDirectory.map { .string($0) } ?? .null),
      JSONMember("on_trusted_miner", .bool(onTrustedMiner)),
      JSONMember("download_time_limit", .integer(downloadLimit)),
      JSONMember("execution_time_limit", .integer(executionLimit)),
      JSONMember("upload_time_limit", .integer(uploadLimit)),
      JSONMember("streaming_start_time_limit", .integer(streamingStartLimit)),
      JSONMember(
        "streaming_details",
        streamingKey.map { .object([JSONMember("public_key", .string($0))]) } ?? .null),
    ])
  }
}

/// Why a job request could not be made.
public enum SignedJobError: Error, Equatable, CustomStringConvertible {
  case invalid(SchemaViolation)
  case cannotSign(IdentityError)

  public var description: String {
    switch self {
    case .invalid(let violation): "the job request would be refused: \(violation)"
    case .cannotSign(let error): "the job request cannot be signed: \(error)"
    }
  }
}
