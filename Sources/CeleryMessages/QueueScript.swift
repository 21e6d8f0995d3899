import Facilitator
import Messages
import Redis

/// The one script that puts an order's messages into the queue, those that are not known to be there already.
public struct QueueScript: Sendable {
  /// What became of one task of the order.
  public enum Outcome: Sendable, Hashable {
    case pushed
    /// An earlier run of the same task has done it.
    case pushedBefore
  }

  /// What goes to the broker.
  public let command: RedisCommand
  private let count: Int

  /// A script that fails keeps what it did until then. So a marker is set before the push, to see that it can be, and
  /// counts only with the value that it gets behind the push: what the queue did not take has none.
  ///
  /// KEYS: the queue, the exchange's bindings, a marker for each task. ARGV: the binding, how long a marker stays, a
  /// message for each task. Returns for each task 1 if it was pushed and 0 if it had been before.
  private static let text = """
    redis.call('SADD', KEYS[2], ARGV[1])
    local pushed = {}
    for place = 3, #KEYS do
      pushed[place - 2] = 0
      if redis.call('GET', KEYS[place]) ~= 'pushed' then
        redis.call('SET', KEYS[place], 'pushing', 'EX', ARGV[2])
        redis.call('LPUSH', KEYS[1], ARGV[place])
        redis.call('SET', KEYS[place], 'pushed', 'EX', ARGV[2])
        pushed[place - 2] = 1
      end
    end
    return pushed
    """

  /// - Parameter messages: of the order's tasks, in their order.
  /// - Throws: when the order's markers could not be set.
  public init(_ order: TaskOrder, messages: [[UInt8]]) throws(UnusableOrder) {
    guard 1...JobTimeLimits.longest ~= Int64(order.markerSeconds) else {
      throw UnusableOrder(
        description: "\(order.markerSeconds) s are no time for which to remember that a task was pushed")
    }
    let binding = "\(order.queue)\u{6}\u{16}\u{6}\u{16}\(order.queue)"
    let keys = [order.queue, "_kombu.binding.\(order.queue)"] + order.tasks.map { Self.marker(of: $0.id) }
    let words = ["EVAL", Self.text, "\(keys.count)"] + keys + [binding, "\(order.markerSeconds)"]
    command = RedisCommand(words.map { Array($0.utf8) } + messages)
    count = messages.count
  }

  /// The key that says that a task has been pushed.
  public static func marker(of task: String) -> String { "hordelink-dispatched-\(task)" }

  /// What the broker's answer says of each task, in their order; nil when it is no answer to this script.
  public func outcomes(_ reply: RedisReply) -> [Outcome]? {
    guard let elements = reply.elements, elements.count == count else { return nil }
    let outcomes = elements.compactMap { element -> Outcome? in
      switch element.integer {
      case 1: .pushed
      case 0: .pushedBefore
      default: nil
      }
    }
    return outcomes.count == count ? outcomes : nil
  }
}
