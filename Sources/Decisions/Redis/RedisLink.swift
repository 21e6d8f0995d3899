import DequeModule
import Messages
import Redis

/// The life of one connection to a Redis server: when it is made, who we say we are, whether it still lives, and which
/// reply belongs to which command. Pure.
struct RedisLink<Expected: Sendable>: Sendable {
  /// How long a connection, or an answer, may take.
  static var deadline: Duration { .seconds(10) }
  /// How long nothing may come before the server is asked whether it lives.
  static var pingInterval: Duration { .seconds(20) }

  enum State: Sendable {
    /// Not wanted yet, or no more.
    case idle
    case waiting(until: Instant)
    case connecting(since: Instant)
    /// Our name and database are on their way.
    case greeting
    case up
  }

  private(set) var state = State.idle
  private var backoff = Backoff(first: .milliseconds(250), cap: .seconds(10))
  /// What the server's replies belong to, in their order.
  private var expected = Deque<Expectation>()
  /// When the oldest unanswered command was sent, or the last reply came.
  private var waitsSince: Instant?
  private var heardAt: Instant?
  /// Nothing is read for now, so that nothing can be heard.
  var isPaused = false

  enum Expectation: Sendable {
    case greeting
    case pong
    case reply(Expected)
  }

  /// Whether a reply is awaited.
  var isAsked: Bool { !expected.isEmpty }

  var isUp: Bool { if case .up = state { true } else { false } }

  /// Whether it is being made, and may be there soon.
  var isComing: Bool {
    switch state {
    case .connecting, .greeting: true
    default: false
    }
  }

  mutating func want(at now: Instant) { if case .idle = state { state = .waiting(until: now) } }

  /// It is open. Returns what is to be said first; nil when it is not waited for any more.
  mutating func connected(to server: RedisServer, at now: Instant) -> [RedisCommand]? {
    guard case .connecting = state else { return nil }
    let greeting = server.greeting
    state = greeting.isEmpty ? .up : .greeting
    expected = Deque(greeting.map { _ in .greeting })
    waitsSince = greeting.isEmpty ? nil : now
    heardAt = now
    return greeting
  }

  mutating func sent(_ what: Expectation, at now: Instant) {
    if expected.isEmpty { waitsSince = now }
    expected.append(what)
  }

  /// What a reply belongs to; nil when it is one of the greeting or a pong, or nothing was asked.
  /// - Returns: `greeted` when the greeting is over with this reply.
  mutating func replied(at now: Instant) -> (expected: Expected?, greeted: Bool) {
    heardAt = now
    let first = expected.popFirst()
    waitsSince = expected.isEmpty ? nil : now
    switch first {
    case .reply(let expected): return (expected, false)
    case .greeting:
      if case .greeting = expected.first { return (nil, false) }
      state = .up
      return (nil, true)
    case .pong, nil: return (nil, false)
    }
  }

  /// Something came that nobody asked for, or it is read again. What is awaited may lie behind that.
  mutating func heard(at now: Instant) {
    heardAt = now
    if waitsSince != nil { waitsSince = now }
  }

  /// It has done what it was made for.
  mutating func settled() { backoff.reset() }

  /// It is over, or was not to be had. Returns how long until the next.
  @discardableResult
  mutating func lost(at now: Instant, dice: inout Dice) -> Duration {
    if case .idle = state { return .zero }
    let delay = backoff.next(&dice)
    state = .waiting(until: now + delay)
    expected = []
    waitsSince = nil
    heardAt = nil
    return delay
  }

  mutating func end() {
    state = .idle
    expected = []
  }

  enum Demand: Sendable, Equatable {
    case connect
    case ping
    /// It is to be closed and counts as lost.
    case drop(String)
  }

  mutating func demand(at now: Instant) -> Demand? {
    switch state {
    case .idle: return nil
    case .waiting(let until):
      guard until <= now else { return nil }
      state = .connecting(since: now)
      return .connect
    case .connecting(let since):
      return now - since >= Self.deadline ? .drop("no connection within \(Self.deadline.wholeSeconds) s") : nil
    case .greeting, .up:
      guard !isPaused else { return nil }
      if let waitsSince, now - waitsSince >= Self.deadline {
        return .drop("no answer within \(Self.deadline.wholeSeconds) s")
      }
      if expected.isEmpty, let heardAt, now - heardAt >= Self.pingInterval {
        sent(.pong, at: now)
        return .ping
      }
      return nil
    }
  }

  var nextDeadline: Instant? {
    switch state {
    case .idle: nil
    case .waiting(let until): until
    case .connecting(let since): since + Self.deadline
    case .greeting, .up:
      isPaused ? nil : waitsSince.map { $0 + Self.deadline } ?? heardAt.map { $0 + Self.pingInterval }
    }
  }
}
