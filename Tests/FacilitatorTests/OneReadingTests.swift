import Facilitator
import Identity
import JSON
import Messages
import TestSupport
import Testing

/// A request is handed on as it was received: a text that another reader may understand otherwise is refused, also where
/// its signature holds for what we read.
@Suite struct OneReadingTests {
  private static let uuid = "11111111-2222-4333-8444-555555555555"

  private func trusted() throws -> TrustedSigners { TrustedSigners([try JobRequestTests.alice().publicKey]) }

  private func signed(_ change: (inout SignedJob) -> Void = { _ in }) throws -> String {
    var job = SignedJob(job: try #require(JobID(Self.uuid)), dockerImage: "hello-world")
    job.volume = .object([
      JSONMember("volume_type", .string("zip_url")), JSONMember("contents", .string("https://signed")),
    ])
    change(&job)
    return text(try job.request(signedBy: try JobRequestTests.alice(), timestamp: 1))
  }

  private func refusal(_ frame: String) throws -> String? {
    guard case .jobRequest(let request, _) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("\(frame) is no job request")
      return nil
    }
    // What hordelink reads is what was signed; the trouble is what others read.
    #expect(throws: Never.self) { try request.verifySignature() }
    let trusted = try trusted()
    do throws(VerificationError) { try request.verify(trusted: trusted) } catch { return "\(error)" }
    return nil
  }

  @Test func aSignedTextWithOneMeaningHolds() throws { #expect(try refusal(try signed()) == nil) }

  @Test(arguments: [
    (#""contents": "#, #""contents": "https://EVIL", "contents": "#, "volume.contents"),
    (#""contents": "#, #""cont\u0065nts": "https://EVIL", "contents": "#, "volume.contents"),
    (#""args": "#, #""args": ["evil"], "args": "#, "args"),
    (#""env": {"#, #""env": {"A": "evil", "A": "signed"#, "env.A"),
    (#""signatory": "#, #""signatory": "evil", "signatory": "#, "signature.signatory"),
    (#""volume_type": "#, #""url": "https://EVIL", "volume_type": "#, "volume.url"),
    (#""volume_type": "#, #""Contents": "https://EVIL", "volume_type": "#, "volume.Contents"),
    (#""use_gpu": true"#, #""use_gpu": "true""#, "use_gpu"),
    (#""use_gpu": true"#, #""use_gpu": 1"#, "use_gpu"),
    (#""execution_time_limit": 60"#, #""execution_time_limit": 60.0"#, "execution_time_limit"),
    (#""execution_time_limit": 60"#, #""execution_time_limit": "60""#, "execution_time_limit"),
    (#""execution_time_limit": 60"#, #""execution_time_limit": 6e1"#, "execution_time_limit"),
  ]) func aTextWithTwoMeaningsIsRefusedAndTheNameIsSaid(_ old: String, _ new: String, _ place: String) throws {
    let text = try signed { if place == "env.A" { $0.environment = [("A", "signed")] } }
    let frame =
      place == "env.A"
      ? text.replacing(#""env": {"A": "signed""#, with: new + "\"") : text.replacing(old, with: new)
    #expect(frame != text)
    #expect(try refusal(frame)?.contains("two ways (\(place): ") == true, "\(frame)")
  }

  @Test func aUUIDThatIsThereTwiceNamesNoJob() throws {
    let frame = try signed().replacing(#""uuid": "#, with: #""uuid": "\#(Self.uuid)", "uuid": "#)
    guard case .jobRequest(let request, _) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("no job request")
      return
    }
    #expect(request.job == nil)
  }

  @Test func theSignatureItselfMayBeWrittenInAnyForm() throws {
    #expect(try refusal(try signed().replacing(#"==", "signature_scope"#, with: #"==\n", "signature_scope"#)) == nil)
  }

  @Test(arguments: [(#"{"a": 1}"#, nil), (#"{"a": {"b": 1, "b": 2}}"#, "details.a.b")] as [(String, String?)])
  func cheatReports(_ details: String, _ place: String?) throws {
    let frame = #"{"message_type":"V0JobCheated","job_uuid":"j","trusted_job_uuid":"t","details":\#(details)}"#
    guard case .jobCheated(let report, _) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("no cheat report")
      return
    }
    #expect(report.ambiguity?.path.joined(separator: ".") == place)
  }
}

/// Messages that are too large to be read.
@Suite struct MessageBeginningTests {
  private static let uuid = "11111111-2222-4333-8444-555555555555"

  private func beginning(_ text: String) -> MessageBeginning {
    MessageBeginning(Array(text.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: 3 << 20))
  }

  @Test(arguments: [
    #"{"signature": {"a": [1, {}]}, "message_type": "V2JobRequest", "uuid": "\#(uuid)", "args": ["#,
    #" {"uuid":"\#(uuid)","message_type":"V2JobRequest"}"#,
    #"{"uuid":"\#(uuid)","message_type":"V2JobRequest","x":tru"#,
  ]) func aRequestNamesItsJob(_ text: String) throws {
    #expect(beginning(text) == .jobRequest(try #require(JobID(Self.uuid))))
  }

  @Test(arguments: [
    #"{"message_type": "V2JobRequest", "uuid": "x"}"#, #"{"message_type": "V0JobCheated", "uuid": "\#(uuid)"}"#,
    #"{"message_type": "V2JobRequest", "uuid": "\#(uuid)", "uuid": "\#(uuid)""#,
    #"{"message_type": "V2JobRequest", "#, #"{"message_type": 1, "status": "#,
  ]) func whatNamesNoneIsNotAnswered(_ text: String) { #expect(beginning(text) == .other) }

  @Test func whatIsNamedTooLateIsNotSeen() {
    let late =
      #"{"args":["\#(String(repeating: "x", count: 65_536))"],"message_type":"V2JobRequest","uuid":"\#(Self.uuid)"}"#
    #expect(beginning(late) == .mayBeAnswer)
  }

  /// Only answers have no `message_type`.
  @Test(arguments: [
    #"{"status": "error", "errors": ["#, #"{"errors": [], "#, "", "[", "x", #"{"x": [[[["#, #"{"message_type": "#,
  ]) func whatNamesNoTypeMayBeAnAnswer(_ text: String) { #expect(beginning(text) == .mayBeAnswer) }
}

@Suite struct AgeTests {
  @Test(
    arguments: [
      ("1000000000000000000", nil), ("1000000149999000000", nil), ("999999850000999999", nil),
      ("1000000151000000000", -151), ("999999849000000000", 151), ("0", 1_000_000_000),
      ("18446744073709551615", -17_446_744_073),
    ] as [(String, Int64?)]) func isMeasuredBothWays(_ timestamp: String, _ distance: Int64?) throws
  {
    let frame =
      #"{"message_type":"V0JobCheated","job_uuid":"j","trusted_job_uuid":"t","details":1,"#
      + #""signature":{"signature":"","timestamp_ns":\#(timestamp)}}"#
    guard case .jobCheated(let report, _) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("no cheat report")
      return
    }
    let expected = distance.map { VerificationError.farFromNow(distance: $0, allowed: 150) }
    var error: VerificationError?
    do throws(VerificationError) {
      try report.verifyAge(atMost: 150, nowMilliseconds: 1_000_000_000_000)
    } catch let found { error = found }
    #expect(error == expected)
  }
}
