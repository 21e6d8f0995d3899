import Identity
import TestSupport
import Testing

@testable import DevFacilitator

/// Who is let in, and what the others are told. Source: PROTOCOL.md, The facilitator's WebSocket.
@Suite struct AuthenticationTests {
  private func outcomes(_ frame: [UInt8], validators: Set<PublicKey>) throws -> [Outcome] {
    var ledger = try Ledger.withJob(validators: validators, authenticated: false)
    return ledger.receives(frame)
  }

  @Test func everyVectorIsRead() { #expect(vectorEntries("auth.json").count == 5) }

  /// The original answers a signature that verifies, refuses one that does not, and fails on what it cannot read.
  @Test(arguments: vectorEntries("auth.json"))
  func vectorOfAKnownValidator(_ vector: Vector) throws {
    let key = try PublicKey(ss58: try #require(vector["ss58"]))
    let expected: [Outcome]
    switch vector.value["verify"] {
    case .bool(true): expected = [.event("authenticated"), .success, .event("job_sent"), .text("request")]
    case .bool(false): expected = [.event("authentication_refused"), .error("auth.signature_invalid"), .close(3000)]
    default: expected = [.drop]
    }
    let frame = Array(try #require(vector["json"]).utf8)
    #expect(try outcomes(frame, validators: [key]) == expected)
    #expect(try outcomes(frame, validators: []) == expected)
  }

  /// Whether the validator is known is looked at before its signature, but not before its key can be read.
  @Test(arguments: vectorEntries("auth.json"))
  func vectorOfAStranger(_ vector: Vector) throws {
    let frame = Array(try #require(vector["json"]).utf8)
    let expected: [Outcome] =
      vector["name"] == "0x on key"
      ? [.drop] : [.event("authentication_refused"), .error("auth.validator_not_found"), .close(3001)]
    #expect(try outcomes(frame, validators: [Fixture.validator().publicKey]) == expected)
  }

  static let malformed: [(frame: String, type: String)] = [
    (#"{"message_type":"V0AuthenticationRequest"}"#, "missing"),
    (#"{"message_type":"V0AuthenticationRequest","public_key":1,"signature":"0x"}"#, "string_type"),
    (#"{"message_type":"V0AuthenticationRequest","public_key":"","signature":"","more":1}"#, "extra_forbidden"),
  ]

  @Test(arguments: malformed)
  func whatDoesNotParseIsAnswered(frame: String, type: String) throws {
    #expect(try outcomes(Array(frame.utf8), validators: []) == [.event("unparsable"), .error(type)])
  }

  @Test func onceIsEnough() throws {
    var ledger = try Ledger.withJob()
    let again = try Fixture.authentication(Fixture.validator())
    #expect(ledger.receives(again) == [.event("authentication_refused"), .error("auth.already_authenticated")])
    #expect(ledger.receives(Fixture.update("received")) == [.event("accepted"), .success])
  }

  static let early: [[UInt8]] = [
    Fixture.update("received"), Fixture.update("received", uuid: "none"), Fixture.specs,
    Array(#"{"message_type":"V0Heartbeat"}"#.utf8),
  ]

  @Test(arguments: early)
  func nothingElseComesFirst(_ frame: [UInt8]) throws {
    var ledger = try Ledger.withJob(authenticated: false)
    #expect(ledger.receives(frame) == [.event("refused"), .error("auth.not_authenticated")])
    #expect(ledger.receives(frame) == [.event("refused"), .error("auth.not_authenticated")])
  }

  @Test func nothingIsHeardAfterARefusal() throws {
    var ledger = try Ledger.withJob(
      validators: [Fixture.validator().publicKey], authenticated: false)
    let stranger = Hotkey(try SecretKey.development("//Stranger"))
    #expect(ledger.receives(try Fixture.authentication(stranger)).last == .close(3001))
    #expect(ledger.receives(try Fixture.authentication(Fixture.validator())) == [])
  }

  @Test func closeCodeClosesOnceAndKeepsTheJob() throws {
    var ledger = try Ledger.withJob(faults: Faults(closeCode: 1001), authenticated: false)
    let frame = try Fixture.authentication(Fixture.validator())
    #expect(ledger.receives(frame) == [.event("authenticated"), .success, .close(1001)])
    _ = ledger.connected(2, validatorVersion: nil, runnerVersion: nil)
    #expect(
      ledger.receives(frame, on: 2) == [
        .event("authenticated"), .success, .event("job_sent"), .text("request"),
      ])
  }
}
