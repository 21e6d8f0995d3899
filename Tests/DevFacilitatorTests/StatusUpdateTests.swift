import Testing

@testable import DevFacilitator

/// Which rows are kept and what is answered. Source: PROTOCOL.md, The facilitator's WebSocket.
@Suite struct StatusUpdateTests {
  static let accepted: [Outcome] = [.event("accepted"), .success]
  static let duplicate: [Outcome] = [.event("duplicate"), .error("job.integrity_error")]

  struct Step: Sendable {
    var status: String
    var uuid = Fixture.uuid
    var metadata = "{}"
    var expected: [Outcome]
  }

  static let conversations: [(name: String, steps: [Step])] = [
    (
      "each status once",
      [
        Step(status: "received", expected: accepted), Step(status: "received", expected: duplicate),
        Step(status: "accepted", metadata: "null", expected: accepted),
        Step(status: "completed", expected: accepted), Step(status: "completed", expected: duplicate),
      ]
    ),
    ("sent is there from the start", [Step(status: "sent", expected: duplicate)]),
    (
      "an unlisted status is unknown, once",
      [Step(status: "levitating", expected: accepted), Step(status: "soaring", expected: duplicate)]
    ),
    (
      "an unknown job",
      [
        Step(
          status: "received", uuid: Fixture.otherUUID,
          expected: [.event("refused"), .error("job.not_found")])
      ]
    ),
    (
      "after a terminal status the original still keeps rows",
      [Step(status: "failed", expected: accepted), Step(status: "accepted", expected: accepted)]
    ),
    (
      "a row is kept although the connection is dropped",
      [Step(status: "completed", metadata: "null", expected: [.event("accepted"), .drop])]
    ),
    (
      "likewise for streaming_ready",
      [Step(status: "streaming_ready", metadata: "null", expected: [.event("accepted"), .drop])]
    ),
    ("a uuid that is none", [Step(status: "received", uuid: "u", expected: [.drop])]),
    (
      "metadata that does not fit",
      [Step(status: "received", metadata: "1", expected: [.event("unparsable"), .error("model_type")])]
    ),
  ]

  @Test(arguments: conversations)
  func conversation(_ name: String, _ steps: [Step]) throws {
    var ledger = try Ledger.withJob()
    for step in steps {
      let frame = Fixture.update(step.status, uuid: step.uuid, metadata: step.metadata)
      #expect(ledger.receives(frame) == step.expected)
      if step.expected.contains(.drop) { #expect(ledger.receives(frame) == []) }
    }
  }

  /// What the row kept behind a dropped connection means for the update when it is sent again.
  @Test func aKeptRowIsKnownOnTheNextConnection() throws {
    var ledger = try Ledger.withJob()
    let frame = Fixture.update("completed", metadata: "null")
    #expect(ledger.receives(frame) == [.event("accepted"), .drop])
    _ = ledger.disconnected(1, reason: "")
    _ = ledger.connected(2, validatorVersion: nil, runnerVersion: nil)
    _ = ledger.receives(try Fixture.authentication(Fixture.validator()), on: 2)
    #expect(ledger.receives(frame, on: 2) == Self.duplicate)
  }

  @Test func eventsCarryTheExactTextAndCountRows() throws {
    var ledger = try Ledger.withJob()
    let text =
      "{ \"metadata\":null ,\"status\":\"accepted\",\"uuid\":\"\(Fixture.uuid)\",\"message_type\":\"V0JobStatusUpdate\"}"
    _ = ledger.receives(Fixture.update("received"))
    #expect(
      ledger.received(Array(text.utf8), on: 1).first
        == .report(.accepted(1, uuid: Fixture.uuid, status: "accepted", frame: text, row: 2)))
    #expect(
      ledger.received(Array(text.utf8), on: 1).first
        == .report(.duplicate(1, uuid: Fixture.uuid, status: "accepted", frame: text)))
  }

  static let otherMessages: [(frame: String, expected: [Outcome])] = [
    (#"{"message_type":"V0Heartbeat"}"#, [.event("heartbeat")]),
    (#"{"message_type":"V0Heartbeat","more":1}"#, [.event("unparsable"), .error("extra_forbidden")]),
    (String(decoding: Fixture.specs, as: UTF8.self), [.event("specs")]),
    (
      #"{"message_type":"V0MachineSpecsUpdate","miner_hotkey":"m","validator_hotkey":"v","specs":[],"batch_id":"b"}"#,
      [.event("unparsable"), .error("dict_type")]
    ),
    ("x", [.event("unparsable"), .error("json_invalid")]),
    ("", [.event("unparsable"), .error("json_invalid")]),
    ("[]", [.event("unparsable"), .error("model_attributes_type")]),
    ("{}", [.event("unparsable"), .error("union_tag_not_found")]),
    (#"{"message_type":"V2JobRequest"}"#, [.event("unparsable"), .error("union_tag_invalid")]),
    (#"{"message_type":1}"#, [.event("unparsable"), .error("union_tag_invalid")]),
    (#"{"message_type":"V0JobStatusUpdate","uuid":"u"}"#, [.event("unparsable"), .error("missing")]),
  ]

  @Test(arguments: otherMessages)
  func otherMessage(frame: String, expected: [Outcome]) throws {
    var ledger = try Ledger.withJob()
    #expect(ledger.receives(Array(frame.utf8)) == expected)
    #expect(ledger.receives(Fixture.update("received")) == Self.accepted)
  }

  @Test func textThatIsNotUTF8ClosesTheConnection() throws {
    var ledger = try Ledger.withJob()
    #expect(ledger.receives([0x22, 0xff, 0x22]) == [.close(1007)])
    #expect(ledger.receives(Fixture.update("received")) == [])
  }
}
