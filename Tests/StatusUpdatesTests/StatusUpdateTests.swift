import JSON
import MessagePack
import Messages
import TestSupport
import Testing

@testable import StatusUpdates

/// What the vectors leave open; the answers are those of pydantic 2.10.6.
@Suite struct StatusUpdateTests {
  static let uuid = "11111111-2222-4333-8444-555555555555"

  /// The metadata that a worker's metadata becomes, or the fault, both as text.
  private func metadata(_ metadata: MessagePackValue, status: String = "accepted") -> String {
    let payload = MessagePackValue.map([
      MessagePackPair(.string("uuid"), .string(Self.uuid)),
      MessagePackPair(.string("status"), .string(status)),
      MessagePackPair(.string("metadata"), metadata),
    ])
    do {
      let update = try StatusUpdateEnvelope.validate(
        .map([MessagePackPair(.string("payload"), payload)]), expecting: JobID(Self.uuid))
      return update.metadataJSON.map { String(decoding: $0, as: UTF8.self) } ?? "null"
    } catch { return "\(error)" }
  }

  private func map(_ pairs: KeyValuePairs<String, MessagePackValue>) -> MessagePackValue {
    .map(pairs.map { MessagePackPair(.string($0.key), $0.value) })
  }

  private func failure(exitStatus: MessagePackValue) -> MessagePackValue {
    map([
      "job_failure_details": map([
        "reason": .null, "stage": .binary(Array("execution".utf8)), "message": .binary(Array("m".utf8)),
        "docker_process_exit_status": exitStatus,
      ])
    ])
  }

  @Test(
    arguments: [
      (.int(-9), "-9"), (.uint(.max), "18446744073709551615"), (.float(137), "137"), (.bool(true), "1"),
      (.binary(Array(" 12".utf8)), "12"), (.null, "null"),
    ] as [(MessagePackValue, String)]) func exitStatus(_ value: MessagePackValue, _ written: String)
  {
    let expected =
      #"{"reason":"unknown","stage":"execution","message":"m","context":null,"docker_process_exit_status":"#
      + written + #","docker_process_stdout":null,"docker_process_stderr":null}"#
    #expect(metadata(failure(exitStatus: value)).contains(expected))
  }

  @Test(
    arguments: [
      (.float(1.5), "int_from_float"), (.string("1x"), "int_parsing"), (.array([]), "int_type"),
      (.float(.infinity), "finite_number"), (.ext(1, []), "int_type"),
    ] as [(MessagePackValue, String)]) func badExitStatus(_ value: MessagePackValue, _ type: String)
  {
    let path = "payload.metadata.job_failure_details.docker_process_exit_status"
    #expect(metadata(failure(exitStatus: value)).hasPrefix("\(path): \(type)"))
  }

  @Test func extrasKeepTheirOrderAndBytesBecomeText() {
    let extra = map([
      "z": .binary(Array("ż".utf8)),
      "miner_response": map([
        "y": .map([MessagePackPair(.binary([0x6b]), .array([.float(1e-7), .null]))]),
        "docker_process_stderr": .string(""), "docker_process_stdout": .string(""),
        "artifacts": .map([MessagePackPair(.binary([0x61]), .binary([0x62]))]),
      ]),
      "a": .int(1), "z": .int(2),
    ])
    #expect(
      metadata(extra)
        == #"{"miner_response":{"docker_process_stderr":"","docker_process_stdout":"","artifacts":{"a":"b"},"#
        + #""upload_results":null,"y":{"k":[1e-7,null]}},"job_rejection_details":null,"job_failure_details":null,"#
        + #""horde_failure_details":null,"streaming_details":null,"z":2,"a":1}"#)
  }

  @Test(
    arguments: [
      (.map([MessagePackPair(.string("b"), .binary([0xff]))]), "payload.metadata.b: string_unicode"),
      (.map([MessagePackPair(.string("b"), .array([.ext(-1, [0])]))]), "payload.metadata.b.0: not_json"),
      (.map([MessagePackPair(.binary([0x61]), .null)]), "payload.metadata: invalid_key"),
      (.map([MessagePackPair(.int(1), .null)]), "payload.metadata: invalid_key"),
      (.array([]), "payload.metadata: model_type"),
      (
        .map([MessagePackPair(.string("a"), .map([MessagePackPair(.int(1), .null)]))]),
        "payload.metadata.a: invalid_key"
      ),
      (
        .map([
          MessagePackPair(
            .string("horde_failure_details"),
            .map([
              MessagePackPair(.string("reported_by"), .string("miner")),
              MessagePackPair(.string("reason"), .string("generic_error")),
              MessagePackPair(.string("message"), .string("m")),
              MessagePackPair(.string("context"), .map([MessagePackPair(.string("k"), .binary([]))])),
            ]))
        ]), "payload.metadata.horde_failure_details.context.k: invalid-json-value"
      ),
      (
        .map([MessagePackPair(.string("miner_response"), .map([]))]),
        "payload.metadata.miner_response.docker_process_stderr: missing"
      ),
    ] as [(MessagePackValue, String)]) func refused(_ value: MessagePackValue, _ fault: String)
  {
    #expect(metadata(value).hasPrefix(fault + ";"))
  }

  @Test(arguments: ["completed", "streaming_ready"]) func endsWithAnObject(_ status: String) {
    #expect(metadata(.null, status: status) == EnvelopeVectorTests.fiveNulls)
    #expect(metadata(map([:]), status: status) == EnvelopeVectorTests.fiveNulls)
  }

  @Test(arguments: [JobStatus.accepted, .failed, .hordeFailed, .unknown]) func keepsNull(_ status: JobStatus) {
    #expect(metadata(.null, status: status.name) == "null")
  }

  private func envelope(uuid: String) -> MessagePackValue {
    map(["id": .int(7), "payload": map(["uuid": .string(uuid), "status": .string("accepted")])])
  }

  @Test(arguments: [
    "99999999-2222-4333-8444-555555555555", "11111111-2222-4333-8444-55555555555A", "u", "",
    "11111111222243338444555555555555",
  ]) func foreignUUIDIsWrongJob(_ uuid: String) throws {
    let job = try #require(JobID("aaaaaaaa-2222-4333-8444-555555555555"))
    let failure = #expect(throws: InvalidUpdate.wrongJob(uuid: uuid)) {
      try StatusUpdateEnvelope.validate(envelope(uuid: uuid), expecting: job)
    }
    #expect(failure?.code == "wrong_job")
  }

  @Test func anyJobIsTakenWhereNoneIsExpected() throws {
    let update = try StatusUpdateEnvelope.validate(envelope(uuid: Self.uuid), expecting: nil)
    #expect(update == StatusUpdate(job: try #require(JobID(Self.uuid)), status: .accepted, metadataJSON: nil))
    #expect(throws: InvalidUpdate.wrongJob(uuid: "u")) {
      try StatusUpdateEnvelope.validate(envelope(uuid: "u"), expecting: nil)
    }
  }
}

@Suite struct StatusMetadataTests {
  private func text(_ bytes: [UInt8]?) -> String {
    String(decoding: bytes ?? Array("null".utf8), as: UTF8.self)
  }

  @Test func hordeFailedTellsWhy() {
    let metadata = StatusMetadata.hordeFailed(
      reason: .executionTimedOut, message: "\"late\"\n",
      context: .object([JSONMember("deadline_seconds", .integer(5)), JSONMember("é", .null)]))
    #expect(
      text(metadata)
        == #"{"miner_response":null,"job_rejection_details":null,"job_failure_details":null,"horde_failure_details":"#
        + #"{"reported_by":"validator","reason":"execution_timed_out","message":"\"late\"\n","#
        + #""context":{"deadline_seconds":5,"é":null}},"streaming_details":null}"#)
  }

  @Test func ownMetadataIsWhatWeWouldTakeFromAWorker() throws {
    for metadata in [
      StatusMetadata.rejected(reason: .busy, message: "m", context: .string("c")),
      StatusMetadata.hordeFailed(reason: .genericError, message: ""),
    ] {
      let value = try JSONValue.parse(metadata, limits: JSONLimits(bytes: 1000))
      #expect(try Schema.nullable(StatusMetadata.schema).validate(value).text(.compact) == metadata)
    }
  }
}

@Suite struct MachineSpecsTests {
  private func message(_ pairs: KeyValuePairs<String, MessagePackValue>) -> MessagePackValue {
    .map(pairs.map { MessagePackPair(.string($0.key), $0.value) })
  }

  @Test func specsAreKeptAsTheyAre() throws {
    let specs = try MachineSpecs(
      message([
        "type": .string("machine.specs"), "batch_id": .string("b\""), "miner_hotkey": .string("m"),
        "specs": message(["gpu": .array([.float(0.5), .bool(false)]), "cpu": .null]),
      ]))
    #expect(
      String(decoding: specs.frame(validatorHotkey: "v"), as: UTF8.self)
        == #"{"message_type":"V0MachineSpecsUpdate","miner_hotkey":"m","validator_hotkey":"v","#
        + #""specs":{"gpu":[0.5,false],"cpu":null},"batch_id":"b\""}"#)
  }

  @Test func missingKeyIsNamed() {
    #expect(throws: InvalidUpdate.invalid(SchemaViolation(path: ["specs"], type: "missing"))) {
      try MachineSpecs(
        message(["type": .string("machine.specs"), "batch_id": .string("b"), "miner_hotkey": .string("m")]))
    }
  }
}

@Suite struct RandomMessageTests {
  @Test func arbitraryAndMutatedMessagesNeverCrash() {
    let seed = testSeed("RandomMessageTests")
    var random = SplitMix64(state: seed)
    let messages = EnvelopeVector.load().map(\.message).filter { !$0.isEmpty }
    for _ in 0..<5000 {
      _ = outcome(
        of: (0..<Int.random(in: 0...64, using: &random)).map { _ in .random(in: 0...255, using: &random) })
      guard var message = messages.randomElement(using: &random) else { continue }
      for _ in 0..<Int.random(in: 1...3, using: &random) where !message.isEmpty {
        let place = Int.random(in: 0..<message.count, using: &random)
        switch Int.random(in: 0...2, using: &random) {
        case 0: message[place] = .random(in: 0...255, using: &random)
        case 1: message.remove(at: place)
        default: message.insert(.random(in: 0...255, using: &random), at: place)
        }
      }
      guard case .update(let frame, _) = outcome(of: message) else { continue }
      // Whatever is relayed is JSON.
      #expect(throws: Never.self) {
        try JSONValue.parse(Array(frame.utf8), limits: JSONLimits(bytes: 1 << 16))
      }
    }
  }
}

@Suite struct StatusUpdateFrameTests {
  @Test func frameIsReadAsItWasWritten() throws {
    let job = try #require(JobID(StatusUpdateTests.uuid))
    for update in [
      StatusUpdate(job: job, status: .completed, metadataJSON: nil),
      StatusUpdate(
        job: job, status: .rejected, metadataJSON: StatusMetadata.rejected(reason: .busy, message: "ż")),
    ] {
      let frame = StatusUpdateFrame.encode(
        job: job, status: update.status, metadataJSON: update.metadataJSON)
      let value = try JSONValue.parse(frame, limits: JSONLimits(bytes: 1000))
      #expect(try StatusUpdateFrame.decode(value) == update)
    }
  }

  @Test(
    arguments: [
      (#"{"uuid":"u","status":"sent"}"#, .wrongJob(uuid: "u")),
      (#"{"status":"sent"}"#, .invalid(SchemaViolation(path: ["uuid"], type: "missing"))),
      (
        #"{"uuid":"u","status":"sent","x":1}"#,
        .invalid(SchemaViolation(path: ["x"], type: "extra_forbidden"))
      ),
    ] as [(String, InvalidUpdate)]) func otherFramesAreRefused(_ frame: String, _ fault: InvalidUpdate) throws
  {
    let value = try JSONValue.parse(Array(frame.utf8), limits: JSONLimits(bytes: 1000))
    #expect(throws: fault) { try StatusUpdateFrame.decode(value) }
  }
}
