import Facilitator
import TestSupport
import Testing

@Suite struct RandomFrameTests {
  /// Whatever arrives is taken for something, and what it is taken for can be asked everything.
  private func exercise(_ frame: [UInt8]) {
    switch FacilitatorMessage.classify(frame) {
    case .response(let response):
      // A facilitator's answer without a fault's help says so in one way only.
      guard case .response(let again) = FacilitatorMessage.classify(response.frame) else {
        Issue.record("\(text(frame)) is a response, and \(text(response.frame)) is not")
        return
      }
      #expect(again == response, "\(text(frame))")
    case .jobRequest(let request, let raw):
      #expect(raw == frame)
      _ = (request.signature?.fingerprint, try? request.verifySignature())
      // What is passed on is the same request, signed over the same bytes.
      guard case .jobRequest(let again, _) = FacilitatorMessage.classify(request.model.text(.python)) else {
        Issue.record("\(text(frame)) is a job request, and its model is not")
        return
      }
      #expect(again.signedPayload == request.signedPayload, "\(text(frame))")
      #expect(again.signature == request.signature && again.uuid == request.uuid, "\(text(frame))")
    case .jobCheated(let report, let raw):
      #expect(raw == frame)
      _ = (report.hashedPayload, try? report.verifySignature())
    case .unsupported(let reason), .unreadableAnswer(let reason): #expect(!reason.isEmpty)
    }
    _ = try? AuthenticationRequest(frame: frame).isVerified
  }

  @Test func arbitraryAndMutatedFramesAreHandled() {
    let seed = testSeed("RandomFrameTests")
    var random = SplitMix64(state: seed)
    let frames = (vectorEntries("signed.json") + vectorEntries("classify.json") + vectorEntries("auth.json"))
      .compactMap { ($0["wire"] ?? $0["raw"] ?? $0["json"]).map { Array($0.utf8) } }
    for _ in 0..<2000 {
      exercise((0..<Int.random(in: 0...64, using: &random)).map { _ in .random(in: 0...255, using: &random) })
      guard var frame = frames.randomElement(using: &random) else { continue }
      for _ in 0..<Int.random(in: 1...3, using: &random) where !frame.isEmpty {
        let place = Int.random(in: 0..<frame.count, using: &random)
        switch Int.random(in: 0...3, using: &random) {
        case 0: frame[place] = .random(in: 0...255, using: &random)
        case 1: frame.remove(at: place)
        case 2: frame.removeSubrange(place...)
        default: frame.insert(Array("\"{}[]:,\\u0-e".utf8).randomElement(using: &random) ?? 0, at: place)
        }
      }
      exercise(frame)
    }
  }

  /// Values of every kind, those included that some field takes for another kind.
  private static let values = [
    "null", "true", "0", "-1", "1.0", "1.5", "1e3", "1e400", "NaN", "-Infinity", "18446744073709551616", "\"\"",
    "\"1\"", "\" +1_0.0 \"", "\"oFF\"", "\"\\u00e9\\ud83d\\ude00\"", "\"e\u{301}\"", "[]", "[\"a\"]", "[[{}]]", "{}",
    #"{"a":"b","c":"d","a":"e"}"#, "\"always_on.test\"", "\"SignedFields\"", "\"YWJj\"",
    #"{"volume_type":"inline","contents":"x"}"#, #"{"volume_type":"multi_volume","volumes":[]}"#,
    #"{"output_upload_type":"zip_and_http_put","url":"u","z":1}"#, #"{"public_key":"k"}"#,
    #"{"signatory":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY","timestamp_ns":"1","signature":"YWJj"}"#,
    #"[{"msg":"m","type":"t","help":1}]"#, #"[{"msg":"m","type":"t"}]"#,
  ]

  private static let names = [
    "signature", "type", "message_type", "uuid", "job_namespace", "executor_class", "docker_image", "args", "env",
    "use_gpu", "volume", "output_upload", "artifacts_dir", "on_trusted_miner", "download_time_limit",
    "execution_time_limit", "streaming_details", "job_uuid", "details", "status", "errors", "x",
  ]

  private static let frames = [
    #""message_type":"V2JobRequest","uuid":"u","executor_class":"always_on.test","docker_image":"d","args":[],"#
      + #""env":{},"download_time_limit":1,"execution_time_limit":1,"upload_time_limit":1,"streaming_start_time_limit":1"#,
    #""message_type":"V0JobCheated","job_uuid":"j","trusted_job_uuid":"t","details":{}"#, #""status":"error""#,
  ]

  @Test func framesWithFieldsOfAnyKindAreHandled() {
    var random = SplitMix64(state: testSeed("RandomFrameTests.fields"))
    for _ in 0..<6000 {
      var frame = Self.frames.randomElement(using: &random) ?? ""
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let name = Self.names.randomElement(using: &random) ?? ""
        frame += ",\"\(name)\":\(Self.values.randomElement(using: &random) ?? "")"
      }
      exercise(Array("{\(frame)}".utf8))
    }
  }
}
