import Facilitator
import Identity
import JSON
import TestSupport
import Testing

/// Tests/Vectors/signed.json, each entry a test.
@Suite struct SignedVectorTests {
  static let entries = vectorEntries("signed.json")

  @Test func everyEntryIsRead() { #expect(Self.entries.count == 56) }

  @Test(arguments: entries) func classified(_ vector: Vector) throws {
    let frame = Array(try #require(vector["wire"]).utf8)
    switch (FacilitatorMessage.classify(frame), vector["class"]) {
    case (.jobRequest(let request, let raw), "job"):
      #expect(raw == frame)
      #expect(text(request.signedPayload) == vector["signed_payload_text"] ?? text(request.signedPayload))
      if let uuid = vector["uuid"] { #expect(request.uuid == uuid) }
      #expect((request.job == nil) == (request.uuid == "changed"))
      if let argument = vector["celery_arg0_json"] { #expect(text(request.model.text(.python)) == argument) }
      try expectSignature(of: request, vector)
    case (.jobCheated(let report, let raw), "cheated"):
      #expect(raw == frame)
      #expect(text(report.hashedPayload) == vector["signed_payload_text"])
      try expectSignature(of: report, vector)
    case (.unsupported(let reason), "unsupported"): #expect(!reason.isEmpty)
    case (let message, let expected): Issue.record("\(message) instead of \(expected ?? "nothing")")
    }
  }

  private func expectSignature(of request: some SignedRequest, _ vector: Vector) throws {
    if let hashed = vector["hashed_suffix_text"] { #expect(text(request.hashedPayload) == hashed) }
    if let signatory = vector["signatory"] { #expect(request.signature?.signatory == signatory) }
    if let signature = vector["signature_hex"] {
      #expect(Hex.encode(request.signature?.bytes ?? []) == signature)
    }
    if case .number(let timestamp) = vector.value["timestamp_ns"] {
      #expect(request.signature?.timestamp.text == timestamp)
      if let digest = vector["blake2b_512"], let nanoseconds = UInt64(timestamp) {
        #expect(Hex.encode(request.digest(timestamp: nanoseconds)) == digest)
      }
    }
    let verdict = try #require(vector["verify"])
    let expected: VerificationError? =
      switch verdict {
      case "ok": nil
      case "Signature is empty": .missing
      case "raises OverflowError: int too big to convert":
        .timestampOutOfRange(request.signature?.timestamp.text ?? "")
      case "raises SignatureInvalidException: Signature is invalid": .badSignature
      case "raises SignatureInvalidException: Signature is malformed":
        .malformed(bytes: request.signature?.bytes.count ?? -1)
      case "raises SignatureInvalidException: Invalid signatory for BittensorWalletVerifier":
        .invalidSignatory(request.signature?.signatory ?? "")
      default: try #require(nil, "unknown verdict \(verdict)")
      }
    #expect(failure(of: request) == expected)
  }

  private func failure(of request: some SignedRequest) -> VerificationError? {
    do {
      try request.verifySignature()
      return nil
    } catch { return error }
  }
}
