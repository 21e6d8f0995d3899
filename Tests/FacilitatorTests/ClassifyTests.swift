import Facilitator
import JSON
import TestSupport
import Testing

/// Tests/Vectors/classify.json, each entry a test, and what it leaves open.
@Suite struct ClassifyTests {
  static let entries = vectorEntries("classify.json")

  @Test func everyEntryIsRead() { #expect(Self.entries.count == 13) }

  @Test(arguments: entries) func vector(_ vector: Vector) throws {
    let frame = Array(try #require(vector["raw"]).utf8)
    switch (FacilitatorMessage.classify(frame), vector["class"]) {
    case (.response(let response), "response"): #expect(response.status.rawValue == vector["status"])
    case (.unsupported(let reason), "unsupported"), (.unreadableAnswer(let reason), "unsupported"):
      #expect(!reason.isEmpty)
    case (let message, let expected): Issue.record("\(message) instead of \(expected ?? "nothing")")
    }
  }

  private func response(_ frame: String) -> Response? {
    if case .response(let response) = FacilitatorMessage.classify(Array(frame.utf8)) { response } else { nil }
  }

  @Test func responseTellsItsFaults() throws {
    let frame =
      #"{"status":"error","errors":[{"msg":"m","type":"job.not_found","help":"h","x":1},{"msg":"","type":"t"}]}"#
    #expect(
      response(frame)
        == Response(
          status: .error,
          errors: [
            Response.Fault(message: "m", type: "job.not_found", help: "h"),
            Response.Fault(message: "", type: "t"),
          ]))
  }

  @Test func responseComesBackFromItsFrame() {
    let fault = Response.Fault(message: "ż\"", type: "auth.signature_invalid", help: "sign")
    for sent in [Response(status: .success), Response(status: .error, errors: [fault])] {
      #expect(response(text(sent.frame)) == sent)
    }
  }

  @Test(arguments: [
    #"{"message_type":"V9"}"#,
    #"{"message_type":1}"#, #"{"message_type":"V2JobRequest"}"#, #"{"message_type":"V0JobCheated"}"#,
    #"{"status":"success","message_type":"Response"}"#, "[NaN]", "{}", #"{"message_type":"V9","x":"#,
  ]) func unsupported(_ frame: String) {
    guard case .unsupported(let reason) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("\(frame) is taken for something")
      return
    }
    #expect(!reason.isEmpty)
  }

  /// To the original they are unsupported as well; but whoever matches answers by their order must know of them.
  @Test(arguments: [
    #"{"status":"success","more":1}"#, #"{"status":"success","errors":[1]}"#, #"{"status":"ok"}"#,
    #"{"errors":[]}"#, "", "x", #""\ud800""#, #"{"status":"suc"#, #"{"status":"success"}{}"#, "\u{feff}{}", #"{"mess"#,
  ]) func answersThatCannotBeRead(_ frame: String) {
    guard case .unreadableAnswer(let reason) = FacilitatorMessage.classify(Array(frame.utf8)) else {
      Issue.record("\(frame) is taken for something else")
      return
    }
    #expect(!reason.isEmpty)
  }

  @Test func frameBeyondTheLimitIsUnsupported() {
    let frame =
      Array(#"{"message_type":"V9"}"#.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: FacilitatorMessage.byteLimit)
    guard case .unsupported = FacilitatorMessage.classify(frame) else {
      Issue.record("a frame beyond the limit is read")
      return
    }
  }
}
