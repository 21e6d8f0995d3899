import Messages

/// The life of the facilitator's connection: when to connect, to authenticate, to speak and to give up on it.
///
/// Full-jitter backoff, 1 s doubling to 30 s, for ever; begun anew after a minute of readiness.
/// Source: PROTOCOL.md, The facilitator's WebSocket.
public struct Session: Sendable {
  public static let connectDeadline = Duration.seconds(30)
  public static let answerDeadline = Duration.seconds(30)
  public static let pingInterval = Duration.seconds(20)
  public static let pongDeadline = Duration.seconds(20)
  /// How long a connection must have been ready for its losses to be forgotten.
  public static let stable = Duration.seconds(60)

  public enum State: Sendable, Hashable {
    case waiting(until: Instant)
    case connecting(since: Instant)
    case authenticating(since: Instant)
    case ready(since: Instant)
    /// Given up for good: the service stops.
    case closed

    /// The names of all states, in the order of a connection's life.
    static let names = ["waiting", "connecting", "authenticating", "ready", "closed"]

    public var name: String {
      switch self {
      case .waiting: "waiting"
      case .connecting: "connecting"
      case .authenticating: "authenticating"
      case .ready: "ready"
      case .closed: "closed"
      }
    }
  }

  public enum Demand: Sendable, Hashable {
    case connect
    case authenticate
    case heartbeat
    case ping
    /// An answer is overdue: look at what the other side takes, and tell it by `seen`.
    case look
    /// Drop the connection at once; the loss is reported as that.
    case drop(String)
  }

  public private(set) var state: State
  /// Why the connection was last lost or refused; empty when it never was.
  public private(set) var lastLoss = ""
  public var heartbeatInterval: Duration
  private var backoff = Backoff()
  private var nextHeartbeat: Instant?
  private var nextPing: Instant?
  /// When the first ping that has no pong was sent.
  private var pingedAt: Instant?
  private var pongPatience = Patience(limit: Self.pongDeadline)
  private var answerPatience = Patience(limit: Self.answerDeadline)
  /// The line is being looked at.
  private var isLooking = false

  public init(heartbeatInterval: Duration, at now: Instant) {
    self.heartbeatInterval = heartbeatInterval
    state = .waiting(until: now)
  }

  public var isAuthenticating: Bool {
    if case .authenticating = state { true } else { false }
  }

  /// Connections and attempts that were lost since the last one that held.
  public var attempts: Int { backoff.attempts }

  public var isReady: Bool {
    if case .ready = state { true } else { false }
  }

  /// The WebSocket is open: the next thing to do is to authenticate.
  public mutating func opened(at now: Instant) -> Demand? {
    guard case .connecting = state else { return nil }
    state = .authenticating(since: now)
    return .authenticate
  }

  /// The authentication was accepted. The first heartbeat is due at once.
  public mutating func authenticated(at now: Instant) {
    state = .ready(since: now)
    nextHeartbeat = now
    nextPing = now + Self.pingInterval
  }

  /// A ping was sent that was not asked for here.
  public mutating func pinged(at now: Instant) { if pingedAt == nil { pingedAt = now } }

  public mutating func ponged() { pingedAt = nil }

  /// The connection, or the attempt at one, is over. Returns how long to wait before the next.
  @discardableResult
  public mutating func lost(_ reason: String, at now: Instant, dice: inout Dice) -> Duration {
    if case .closed = state { return .zero }
    if case .ready(let since) = state, now - since >= Self.stable { backoff.reset() }
    lastLoss = reason
    let delay = backoff.next(&dice)
    state = .waiting(until: now + delay)
    nextHeartbeat = nil
    nextPing = nil
    pingedAt = nil
    isLooking = false
    return delay
  }

  /// No connection is wanted any more.
  public mutating func close() { state = .closed }

  /// When `demand` has something to say next.
  /// - Parameter awaited: since when an update's answer is awaited: since it was sent, or since the last answer before
  ///   it; nil when none is.
  public func nextDeadline(awaited: Instant?) -> Instant? {
    switch state {
    case .waiting(let until): until
    case .connecting(let since): since + Self.connectDeadline
    case .authenticating(let since): since + Self.answerDeadline
    case .ready: [nextHeartbeat, nextPing, isLooking ? nil : lookDue(awaited)].compactMap(\.self).min()
    case .closed: nil
    }
  }

  private func lookDue(_ awaited: Instant?) -> Instant? {
    let pong = pingedAt.map { pongPatience.due(since: $0) }
    let answer = awaited.map { answerPatience.due(since: $0) }
    return [pong, answer].compactMap(\.self).min()
  }

  /// What is due at `now`, one thing at a time; nil when nothing is.
  public mutating func demand(at now: Instant, awaited: Instant?) -> Demand? {
    switch state {
    case .closed: return nil
    case .waiting(let until):
      guard until <= now else { return nil }
      state = .connecting(since: now)
      return .connect
    case .connecting(let since):
      return now - since >= Self.connectDeadline ? .drop("no connection within 30 s") : nil
    case .authenticating(let since):
      return now - since >= Self.answerDeadline ? .drop("no answer to the authentication within 30 s") : nil
    case .ready:
      if !isLooking, let due = lookDue(awaited), due <= now {
        isLooking = true
        return .look
      }
      if let due = nextHeartbeat, due <= now {
        nextHeartbeat = now + heartbeatInterval
        return .heartbeat
      }
      if let due = nextPing, due <= now {
        nextPing = now + Self.pingInterval
        pinged(at: now)
        return .ping
      }
      return nil
    }
  }

  /// The line was looked at. Returns the demand to drop the connection, unless it moves or the answer has come meanwhile.
  /// - Parameter sent: bytes that were sent and are not known to have arrived.
  public mutating func seen(_ line: LineState, sent: Int, at now: Instant, awaited: Instant?) -> Demand? {
    guard isReady, isLooking else { return nil }
    isLooking = false
    let stands = line.waiting == 0 ? "" : ", and \(line.waiting) bytes wait that the facilitator does not take"
    if let since = pingedAt, pongPatience.due(since: since) <= now,
      !pongPatience.goesOn(line, sent: sent, since: since, at: now)
    {
      return .drop("no pong within 20 s\(stands)")
    }
    if let awaited, answerPatience.due(since: awaited) <= now,
      !answerPatience.goesOn(line, sent: sent, since: awaited, at: now)
    {
      return .drop("no answer to an update within 30 s\(stands)")
    }
    return nil
  }
}
