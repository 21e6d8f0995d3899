import Facilitator
import Identity
import Messages
import StatusUpdates

@testable import DevFacilitator

/// Jobs and validators for the tests.
enum Fixture {
  static let uuid = "11111111-2222-4333-8444-555555555555"
  static let otherUUID = "66666666-7777-4888-8999-aaaaaaaaaaaa"

  static func validator() throws -> Hotkey { Hotkey(try SecretKey.development("//Validator")) }

  static func authentication(_ hotkey: Hotkey) throws -> [UInt8] {
    try AuthenticationRequest(signedBy: hotkey).frame
  }

  static func update(_ status: String, uuid: String = uuid, metadata: String = "{}") -> [UInt8] {
    Array(
      #"{"message_type":"V0JobStatusUpdate","uuid":"\#(uuid)","status":"\#(status)","metadata":\#(metadata)}"#
        .utf8)
  }

  static let specs = Array(
    #"{"message_type":"V0MachineSpecsUpdate","miner_hotkey":"m","validator_hotkey":"v","specs":{"a":1},"batch_id":"b"}"#
      .utf8)
}

/// What the ledger's actions come to, as short as a table needs it.
enum Outcome: Equatable {
  case success
  case error(String)
  case text(String)
  case close(UInt16)
  case drop
  case discard
  case event(String)

  init(_ action: Ledger.Action) {
    switch action {
    case .answer(_, let response): self = response.errors.first.map { .error($0.type) } ?? .success
    case .send(_, let frame): self = .text(String(decoding: frame, as: UTF8.self))
    case .close(_, let code, _): self = .close(code)
    case .drop: self = .drop
    case .discardWaiting: self = .discard
    case .report(let event):
      let name =
        switch event {
        case .listening: "listening"
        case .connected: "connected"
        case .authenticated: "authenticated"
        case .authenticationRefused: "authentication_refused"
        case .heartbeat: "heartbeat"
        case .jobSent: "job_sent"
        case .accepted: "accepted"
        case .duplicate: "duplicate"
        case .refused: "refused"
        case .specs: "specs"
        case .unparsable: "unparsable"
        case .disconnected: "disconnected"
        case .badCommand: "bad_command"
        }
      self = .event(name)
    }
  }
}

extension Ledger {
  /// A ledger that knows the fixture's job, with connection 1 open and, where asked for, authenticated.
  static func withJob(
    validators: Set<PublicKey> = [], faults: Faults = Faults(), authenticated: Bool = true
  ) throws -> Ledger {
    var ledger = Ledger(validators: validators)
    guard let job = JobID(Fixture.uuid) else { throw FixtureError.unusable }
    _ = ledger.connected(1, validatorVersion: nil, runnerVersion: nil)
    if authenticated {
      let outcomes = ledger.receives(try Fixture.authentication(Fixture.validator()))
      guard outcomes == [.event("authenticated"), .success] else { throw FixtureError.unusable }
    }
    _ = ledger.send(job: job, request: Array("request".utf8))
    ledger.faults = faults
    return ledger
  }

  mutating func receives(_ frame: [UInt8], on connection: Int = 1) -> [Outcome] {
    received(frame, on: connection).map { Outcome($0) }
  }
}

enum FixtureError: Error { case unusable }
