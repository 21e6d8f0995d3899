import CeleryMessages
import JSON
import Messages
import Redis
import TestSupport
import Testing

/// The messages and the script, without a broker.
@Suite struct MessageTests {
  private static let requests = vectorEntries("signed.json").filter { $0["celery_arg0_json"] != nil }

  /// As Celery 5.3.6 with kombu 5.5.4 has put it into a list, and the same task from here.
  @Test func aMessageIsAsCelerysOwn() throws {
    let id = "8f1108bb-295f-41eb-869e-bad6efe3ad9d"
    let tag = "33a0cfe2-d86f-4b2a-8c3b-e06878c8fe33"
    let celerys = """
      {"body": "W1sxXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNoYWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d", \
      "content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", \
      "task": "compute_horde_validator.validator.tasks._execute_organic_job_on_worker", "id": "\(id)", "shadow": null, \
      "eta": null, "expires": "2026-11-24T16:25:37Z", "group": null, "group_index": null, "retries": 0, \
      "timelimit": [null, null], "root_id": "\(id)", "parent_id": null, "argsrepr": "(...,)", "kwargsrepr": "{}", \
      "origin": "gen5784@vm", "ignore_result": false, "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}}, \
      "properties": {"correlation_id": "\(id)", "reply_to": "4db091b8-a0a3-3d4a-b738-2b7598d98cf3", "delivery_mode": 2, \
      "delivery_info": {"exchange": "", "routing_key": "organic_jobs"}, "priority": 0, "body_encoding": "base64", \
      "delivery_tag": "\(tag)"}}
      """
    var order = Sample.order([(id, "1")])
    order.expiresAt = 1_795_537_537_683
    let sender = CelerySender(origin: "gen5784@vm", replyTo: "4db091b8-a0a3-3d4a-b738-2b7598d98cf3")
    let message = try CeleryMessages(order, from: sender).message(order.tasks[0], tag: tag)
    #expect(text(message) == celerys)
  }

  @Test func everyEntryIsRead() { #expect(Self.requests.count == 36) }

  @Test(arguments: requests) func aJobRequestIsPassedOnAsByTheOriginal(_ vector: Vector) throws {
    let argument = try #require(vector["celery_arg0_json"])
    var order = Sample.order([(Sample.id(1), try #require(vector["wire"]))])
    order.areJobRequests = true
    let message = try Sample.message(order)
    #expect(try Sample.body(message) == "[[\(argument)], {}, \(Sample.embedded)]")
    // Workers log it, and a request may hold tokens.
    #expect(message["headers"]?["argsrepr"]?.stringValue == "('<job request \(Sample.id(1))>',)")
  }

  @Test func furtherArgumentsFollowTheFirst() throws {
    var order = Sample.order([(Sample.id(1), #"{"é": [1.50, NaN, 123456789012345678901234567890]}"#)])
    order.moreArguments = #"["route", {"x": null}]"#
    order.keywordArguments = #"{"secret": "s3"}"#
    let message = try Sample.message(order)
    let argument = #"{"\u00e9": [1.5, NaN, 123456789012345678901234567890]}"#
    #expect(
      try Sample.body(message) == #"[[\#(argument), "route", {"x": null}], {"secret": "s3"}, \#(Sample.embedded)]"#)
    #expect(message["headers"]?["argsrepr"]?.stringValue == "(..., ...)")
    #expect(message["headers"]?["kwargsrepr"]?.stringValue == "{...}")
  }

  @Test(
    arguments: [
      (nil, nil), (0, "1970-01-01T00:00:00Z"), (Int64.min, "1970-01-01T00:00:00Z"), (Int64.max, "9999-12-31T23:59:59Z"),
    ] as [(Int64?, String?)])
  func anExpiryIsOneThatPythonCanRead(moment: Int64?, expected: String?) throws {
    var order = Sample.order([(Sample.id(1), "1")])
    order.expiresAt = moment
    #expect(try Sample.message(order)["headers"]?["expires"]?.stringValue == expected)
  }

  @Test(arguments: vectorEntries("signed.json").filter { $0["class"] != "job" })
  func whatIsNoJobRequestIsRefused(_ vector: Vector) throws {
    var order = Sample.order([(Sample.id(1), vector["wire"] ?? "")])
    order.areJobRequests = true
    #expect(throws: UnusableOrder.self) { try Sample.message(order) }
  }

  @Test(arguments: ["", "{", "[1,]", "\"\\ud800\"", String(repeating: "[", count: 100_000)])
  func anArgumentThatIsNoJSONIsRefused(argument: String) {
    #expect(throws: UnusableOrder.self) { try Sample.message(Sample.order([(Sample.id(1), argument)])) }
  }

  @Test(arguments: [("{}", "{}"), ("[]", "[]"), ("", "{}"), ("[]", ""), ("[]", "null"), ("1", "{}")])
  func argumentsOfAnotherKindAreRefused(more: String, named: String) {
    var order = Sample.order([(Sample.id(1), "1")])
    order.moreArguments = more
    order.keywordArguments = named
    #expect(throws: UnusableOrder.self) { try Sample.message(order) }
  }

  @Test(arguments: [0, -1, Int.min, Int.max]) func aMarkerThatCannotBeSetIsRefused(seconds: Int) {
    var order = Sample.order([(Sample.id(1), "1")])
    order.markerSeconds = seconds
    #expect(throws: UnusableOrder.self) { try QueueScript(order, messages: [[]]) }
  }

  @Test(
    arguments: [
      .null, .integer(1), .status("OK"), .array([]), .array([.integer(1)]), .array([.integer(1), .integer(2)]),
      .array([.integer(1), .bytes([0x31])]), .array([.integer(0), .integer(1), .integer(1)]),
    ] as [RedisReply])
  func anAnswerThatIsNoneIsToldFromOne(reply: RedisReply) throws {
    let order = Sample.order([(Sample.id(1), "1"), (Sample.id(2), "2")])
    let script = try QueueScript(order, messages: [[], []])
    #expect(script.outcomes(reply) == nil)
    #expect(script.outcomes(.array([.integer(0), .integer(1)])) == [.pushedBefore, .pushed])
  }
}
