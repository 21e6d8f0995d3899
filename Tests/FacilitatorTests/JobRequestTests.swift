import Facilitator
import Identity
import JSON
import Messages
import TestSupport
import Testing

@Suite struct JobRequestTests {
  static func alice() throws -> Hotkey { Hotkey(try SecretKey.development("//Alice")) }

  private func job() throws -> SignedJob {
    SignedJob(job: try #require(JobID("11111111-2222-4333-8444-555555555555")), dockerImage: "hello-world")
  }

  private func request(_ frame: [UInt8]) throws -> JobRequest {
    guard case .jobRequest(let request, _) = FacilitatorMessage.classify(frame) else {
      throw Unclassified(frame: text(frame))
    }
    return request
  }

  struct Unclassified: Error { var frame: String }

  /// A request on the wire with some fields in place of the job's own.
  private func request(with fields: String) throws -> JobRequest {
    let frame = text(try job().request(signedBy: Self.alice(), timestamp: 1))
    return try request(Array((frame.dropLast() + ", " + fields + "}").utf8))
  }

  @Test func signedJobSaysWhatItWasToldAndHolds() throws {
    var job = try job()
    job.executorClass = "always_on.gpu-24gb"
    job.arguments = ["-v", "żó"]
    job.environment = [("B", "1"), ("A", "2")]
    job.volume = .object([
      JSONMember("volume_type", .string("inline")), JSONMember("contents", .string("UEsDBA==")),
    ])
    job.artifactsDirectory = "/out"
    job.executionLimit = 5
    job.streamingKey = "-----BEGIN\nX"
    let signer = try Self.alice()
    let request = try request(try job.request(signedBy: signer, timestamp: 1_795_490_896_186_065_617))
    #expect(request.job == job.job)
    #expect(request.uuid == job.job.description)
    #expect(request.executorClass == "always_on.gpu-24gb")
    #expect(request.dockerImage == "hello-world")
    #expect(request.arguments == ["-v", "żó"])
    #expect(request.environment.map(\.name) == ["B", "A"])
    #expect(request.environment.map(\.value) == ["1", "2"])
    #expect(request.limits.execution == 5)
    #expect(request.limits.download == 60)
    #expect(request.wantsStreaming)
    #expect(request.signature?.timestamp.uint64 == 1_795_490_896_186_065_617)
    try request.verify(trusted: TrustedSigners([signer.publicKey]))
  }

  @Test func jobThatWouldBeRefusedIsNotSigned() throws {
    var job = try job()
    job.executorClass = "nope"
    #expect(throws: SignedJobError.invalid(SchemaViolation(path: ["executor_class"], type: "enum"))) {
      try job.request(signedBy: Self.alice(), timestamp: 1)
    }
  }

  @Test func strangerIsToldBeforeAnythingElse() throws {
    let bob = Hotkey(try SecretKey.development("//Bob"))
    let request = try request(with: #""signature": {"signatory": "x", "signature": "YWJj"}"#)
    #expect(throws: VerificationError.untrustedSigner("x")) {
      try request.verify(trusted: TrustedSigners([Self.alice().publicKey]))
    }
    let signed = try self.request(try job().request(signedBy: bob, timestamp: 1))
    #expect(throws: VerificationError.untrustedSigner(bob.publicKey.ss58)) {
      try signed.verify(trusted: TrustedSigners([Self.alice().publicKey]))
    }
    try signed.verify(trusted: TrustedSigners([Self.alice().publicKey, bob.publicKey]))
  }

  @Test func fingerprintTellsSignaturesApart() throws {
    let first = try job().request(signedBy: Self.alice(), timestamp: 1)
    let second = try job().request(signedBy: Self.alice(), timestamp: 1)
    let prints = try [first, first, second].map { try #require(request($0).signature).fingerprint }
    #expect(prints[0] == prints[1])
    #expect(prints[0] != prints[2])
    #expect(prints[0].count == 32)
  }

  @Test func signatureIgnoresUUIDAndNamespace() throws {
    let request = try request(
      with: #""uuid": "99999999-2222-4333-8444-555555555555", "job_namespace": "n""#)
    #expect(request.uuid.hasPrefix("9999"))
    try request.verifySignature()
  }

  @Test(arguments: [
    "11111111-2222-4333-8444-55555555555A", "../../etc", "", "11111111222243338444555555555555",
  ])
  func uuidThatIsNotCanonicalIsNoJob(_ uuid: String) throws {
    #expect(try request(with: "\"uuid\": \"\(uuid)\"").job == nil)
  }

  @Test(
    arguments: [
      ("-5", 0), ("0", 0), ("true", 1), ("\" +1_0.0 \"", 10), ("3e2", 300), ("1e15", JobTimeLimits.longest),
      ("99999999999999999999999999", JobTimeLimits.longest), ("-99999999999999999999999999", 0),
    ] as [(String, Int64)])
  func limitsAreHeldWithinBounds(_ text: String, _ seconds: Int64) throws {
    #expect(try request(with: "\"execution_time_limit\": \(text)").limits.execution == seconds)
  }

  @Test(arguments: [
    #""execution_time_limit": null"#, #""execution_time_limit": "1e3""#, #""args": [1]"#, #""args": "a""#,
    #""env": {"A": null}"#, #""env": [["A", "1"]]"#, #""use_gpu": 2"#, #""use_gpu": null"#, #""more": 1"#,
    #""volume": {"volume_type": "tar"}"#, #""volume": {"contents": "x"}"#, #""docker_image": null"#,
    #""volume": {"volume_type": "multi_volume", "volumes": [{"volume_type": "multi_volume", "volumes": []}]}"#,
    #""output_upload": {"output_upload_type": "multi_upload", "uploads": [{"output_upload_type": "zip_and_http_put", "url": "u"}]}"#,
    #""streaming_details": {}"#, #""signature": {"signature": "abc"}"#, #""signature": {}"#,
  ])
  func refused(_ field: String) {
    #expect(throws: Unclassified.self) { try request(with: field) }
  }

  @Test func modelsLoseWhatTheyDoNotKnowAndGainTheirNulls() throws {
    let request = try request(
      with: #""volume": {"x": 1, "relative_path": "p", "volume_type": "multi_volume", "volumes": "#
        + #"[{"url": "u", "relative_path": "r", "volume_type": "single_file", "y": 2}, "#
        + #"{"volume_type": "huggingface_volume", "repo_id": "a/b", "allow_patterns": ["*"]}]}, "#
        + #""output_upload": {"output_upload_type": "zip_and_http_post", "url": "u"}, "use_gpu": "oFF""#)
    let payload = text(request.signedPayload)
    let volumes =
      #""volumes":[{"volume_type":"single_file","url":"u","relative_path":"r"},{"volume_type":"huggingface_volume","#
      + #""repo_id":"a/b","repo_type":null,"revision":null,"relative_path":null,"allow_patterns":["*"],"token":null}]"#
    #expect(payload.contains(volumes))
    #expect(
      payload.hasSuffix(
        #","uploads":[{"output_upload_type":"zip_and_http_post","url":"u","form_fields":null}]}"#))
    #expect(payload.contains(#""use_gpu":false"#))
  }
}
