import Facilitator
import JSON
import Messages

/// Why an order can never become tasks, however often it is given.
public struct UnusableOrder: Error, Hashable, CustomStringConvertible {
  public var description: String
}

/// Who sends a message, as Celery's headers and properties name it.
public struct CelerySender: Sendable, Hashable {
  /// As in `hordelink@host`; workers show it.
  public var origin: String
  /// A UUID. A Redis result backend has no use for it.
  public var replyTo: String

  public init(origin: String, replyTo: String) {
    self.origin = origin
    self.replyTo = replyTo
  }
}

/// Makes the messages of one order, byte for byte as Celery's own client would put them on Redis.
///
/// Source: PROTOCOL.md, Celery on Redis, protocol 2; `as_task_v2` in celery/app/amqp.py and `Channel` in
/// kombu/transport/virtual/base.py, of the versions named in PROTOCOL.md.
public struct CeleryMessages: Sendable {
  /// The last second that Python's datetime knows, in milliseconds since 1970: the end of the year 9999.
  private static let lastMoment: Int64 = 253_402_300_799_000

  private let order: TaskOrder
  private let sender: CelerySender
  private let moreArguments: [JSONValue]
  private let keywordArguments: JSONValue

  /// - Throws: what of the order is not as its fields say, and where it comes from.
  public init(_ order: TaskOrder, from sender: CelerySender) throws(UnusableOrder) {
    guard !order.tasks.isEmpty else { throw UnusableOrder(description: "an order without a task; give it one") }
    guard case .array(let more) = try Self.parse(Array(order.moreArguments.utf8), "the list of further arguments")
    else {
      throw UnusableOrder(description: "the further arguments of the task are no JSON array; write them as [...]")
    }
    let named = try Self.parse(Array(order.keywordArguments.utf8), "the keyword arguments")
    guard case .object = named else {
      throw UnusableOrder(description: "the keyword arguments of the task are no JSON object; write them as {...}")
    }
    self.order = order
    self.sender = sender
    moreArguments = more
    keywordArguments = named
  }

  /// What is pushed to the queue's list for one task of the order.
  /// - Parameter tag: a UUID that no other message has.
  /// - Throws: why its argument is none.
  public func message(_ task: TaskOrder.Task, tag: String) throws(UnusableOrder) -> [UInt8] {
    let nothing = ["callbacks", "errbacks", "chain", "chord"].map { JSONMember($0, .null) }
    let body = JSONValue.array([
      .array([try argument(of: task)] + moreArguments), keywordArguments, .object(nothing),
    ])
    return JSONValue.object([
      JSONMember("body", .string(Base64.encode(body.text(.python)))),
      JSONMember("content-encoding", .string("utf-8")),
      JSONMember("content-type", .string("application/json")),
      JSONMember("headers", headers(task)),
      JSONMember("properties", properties(task, tag: tag)),
    ]).text(.python)
  }

  private func argument(of task: TaskOrder.Task) throws(UnusableOrder) -> JSONValue {
    guard order.areJobRequests else { return try Self.parse(task.argument, "the argument of task \(task.id)") }
    let reason: String
    switch FacilitatorMessage.classify(task.argument) {
    case .jobRequest(let request, raw: _): return request.model
    case .unsupported(let why), .unreadableAnswer(let why): reason = why
    case .response, .jobCheated: reason = "it is another kind of message"
    }
    throw UnusableOrder(
      description: "what task \(task.id) is to be given is no job request (\(reason)); see PROTOCOL.md, V2JobRequest")
  }

  private func headers(_ task: TaskOrder.Task) -> JSONValue {
    let expires = order.expiresAt.map { moment in
      JSONValue.string(UTC.text(milliseconds: Int(min(max(moment, 0), Self.lastMoment))))
    }
    return .object([
      JSONMember("lang", .string("py")),
      JSONMember("task", .string(order.task)),
      JSONMember("id", .string(task.id)),
      JSONMember("shadow", .null),
      JSONMember("eta", .null),
      JSONMember("expires", expires ?? .null),
      JSONMember("group", .null),
      JSONMember("group_index", .null),
      JSONMember("retries", .integer(0)),
      JSONMember("timelimit", .array([.null, .null])),
      JSONMember("root_id", .string(task.id)),
      JSONMember("parent_id", .null),
      // Workers log these and monitors show them. An argument may hold tokens.
      JSONMember("argsrepr", .string(argumentsForPeople(task))),
      JSONMember("kwargsrepr", .string(hasKeywordArguments ? "{...}" : "{}")),
      JSONMember("origin", .string(sender.origin)),
      JSONMember("ignore_result", .bool(!order.keepsResult)),
      JSONMember("replaced_task_nesting", .integer(0)),
      JSONMember("stamped_headers", .null),
      JSONMember("stamps", .object([])),
    ])
  }

  private func argumentsForPeople(_ task: TaskOrder.Task) -> String {
    let first = order.areJobRequests ? "'<job request \(task.id)>'" : "..."
    return moreArguments.isEmpty ? "(\(first),)" : "(\(first), ...)"
  }

  private var hasKeywordArguments: Bool {
    if case .object(let members) = keywordArguments { !members.isEmpty } else { false }
  }

  private func properties(_ task: TaskOrder.Task, tag: String) -> JSONValue {
    .object([
      JSONMember("correlation_id", .string(task.id)),
      JSONMember("reply_to", .string(sender.replyTo)),
      JSONMember("delivery_mode", .integer(2)),
      JSONMember(
        "delivery_info",
        .object([JSONMember("exchange", .string("")), JSONMember("routing_key", .string(order.queue))])),
      JSONMember("priority", .integer(0)),
      JSONMember("body_encoding", .string("base64")),
      JSONMember("delivery_tag", .string(tag)),
    ])
  }

  /// As Python would: a cheat report may hold NaN (see `FacilitatorMessage.classify`).
  private static func parse(_ text: [UInt8], _ what: String) throws(UnusableOrder) -> JSONValue {
    do {
      return try JSONValue.parse(text, limits: JSONLimits(bytes: Limits.taskOrderBytes), nonFinite: true)
    } catch { throw UnusableOrder(description: "\(what) cannot be passed on: \(error)") }
  }
}
