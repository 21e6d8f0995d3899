import CeleryMessages
import JSON
import Messages
import TestSupport
import Testing

/// Orders and their messages.
enum Sample {
  static let task = "compute_horde_validator.validator.tasks._execute_organic_job_on_worker"
  static let queue = "organic_jobs"
  /// What Celery embeds into a body for a task that stands alone.
  static let embedded = #"{"callbacks": null, "errbacks": null, "chain": null, "chord": null}"#

  static func id(_ number: UInt64) -> String { "\(JobID(high: 0x1111_2222_3333_4444, low: number))" }

  /// An order of tasks whose arguments are any JSON.
  static func order(
    _ tasks: [(id: String, argument: String)], to broker: RedisServer = RedisServer(place: .socket("/nowhere"))
  ) -> TaskOrder {
    TaskOrder(
      broker: broker, task: task, queue: queue, areJobRequests: false, expiresAt: nil, markerSeconds: 600,
      tasks: tasks.map { TaskOrder.Task(id: $0.id, argument: Array($0.argument.utf8)) })
  }

  /// The message of the order's first task, read again.
  static func message(_ order: TaskOrder) throws -> JSONValue {
    let messages = try CeleryMessages(order, from: CelerySender(origin: "o", replyTo: "r"))
    return try read(try messages.message(order.tasks[0], tag: "t"))
  }

  static func read(_ message: [UInt8]) throws -> JSONValue {
    try JSONValue.parse(message, limits: JSONLimits(bytes: 64 << 20))
  }

  /// The text that a worker decodes.
  static func body(_ message: JSONValue) throws -> String {
    let encoded = try #require(message["body"]?.stringValue)
    return text(try #require(Base64.decodeLaxly(encoded.utf8)))
  }
}
