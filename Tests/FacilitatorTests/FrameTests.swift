import Facilitator
import Identity
import JSON
import MessagePack
import Messages
import StatusUpdates
import TestSupport
import Testing

/// Tests/Vectors/frames_out.json, each entry a test.
@Suite struct FrameTests {
  static let frames = vectors("frames_out.json")

  private func frame(_ name: String) throws -> String { try #require(Self.frames[name]?.stringValue) }

  /// A frame about the vectors' job `u` as one about a job with a UUID.
  private func frameOfJob(_ name: String) throws -> String {
    try frame(name).replacing(#""uuid":"u""#, with: "\"uuid\":\"\(Self.uuid)\"")
  }

  static let uuid = "11111111-2222-4333-8444-555555555555"

  @Test func everyEntryHasItsTest() {
    guard case .object(let members) = Self.frames else {
      Issue.record("frames_out.json cannot be read")
      return
    }
    #expect(members.map(\.name) == ["heartbeat", "auth", "received", "rejected_signature", "specs"])
  }

  @Test func heartbeat() throws { #expect(text(Heartbeat.frame) == (try frame("heartbeat"))) }

  @Test func authentication() throws {
    let request = try AuthenticationRequest(frame: Array(frame("auth").utf8))
    #expect(text(request.frame) == (try frame("auth")))
    #expect(request.isVerified)
  }

  @Test func received() throws {
    let job = try #require(JobID(Self.uuid))
    #expect(
      text(StatusUpdateFrame.encode(job: job, status: .received, metadataJSON: nil))
        == (try frameOfJob("received")))
  }

  @Test func rejected() throws {
    let job = try #require(JobID(Self.uuid))
    let metadata = StatusMetadata.rejected(reason: .invalidSignature, message: "Bad signature")
    #expect(
      text(StatusUpdateFrame.encode(job: job, status: .rejected, metadataJSON: metadata))
        == (try frameOfJob("rejected_signature")))
  }

  @Test func specs() throws {
    let message = MessagePackValue.map([
      MessagePackPair(.string("type"), .string("machine.specs")),
      MessagePackPair(.string("batch_id"), .string("b")),
      MessagePackPair(.string("miner_hotkey"), .string("m")),
      MessagePackPair(.string("specs"), .map([MessagePackPair(.string("a"), .int(1))])),
    ])
    #expect(text(try MachineSpecs(message).frame(validatorHotkey: "v")) == (try frame("specs")))
  }
}

/// Tests/Vectors/auth.json, each entry a test.
@Suite struct AuthenticationVectorTests {
  static let entries = vectorEntries("auth.json")

  @Test func everyEntryIsRead() { #expect(Self.entries.count == 5) }

  @Test(arguments: entries) func vector(_ vector: Vector) throws {
    let frame = Array(try #require(vector["json"]).utf8)
    switch vector.value["verify"] {
    case .bool(let verified):
      let request = try AuthenticationRequest(frame: frame)
      #expect(request.isVerified == verified)
      #expect(request.publicKey.ss58 == vector["ss58"])
      if let message = vector["signed_message_hex"] { #expect(request.publicKey.hex == message) }
    case .string(let verdict):
      let failure = #expect(throws: AuthenticationError.self) { try AuthenticationRequest(frame: frame) }
      switch failure {
      case .malformedKey: #expect(verdict.contains("fromhex"))
      case .malformedSignature: #expect(verdict.contains("Invalid signature format"))
      default: Issue.record("\(String(describing: failure)), the original \(verdict)")
      }
    default: Issue.record("no verdict")
    }
  }

  @Test func ownRequestIsVerified() throws {
    let hotkey = try JobRequestTests.alice()
    let request = try AuthenticationRequest(frame: AuthenticationRequest(signedBy: hotkey).frame)
    #expect(request.publicKey == hotkey.publicKey)
    #expect(request.isVerified)
  }

  @Test(arguments: [
    "", "{}", "[]", #"{"public_key":"","signature":"","x":1}"#, #"{"public_key":1,"signature":""}"#,
  ])
  func noRequest(_ frame: String) {
    #expect(throws: AuthenticationError.self) { try AuthenticationRequest(frame: Array(frame.utf8)) }
  }
}
