/// How many lines of one kind reach the journal: a burst, and then a steady rate, so that they cannot push everybody
/// else's lines out.
public struct LineLimit: Sendable, Hashable {
  /// Of one command's output.
  public static let output = (burst: 1000, perSecond: 100)
  /// About single updates. Two thirds of what journald takes of a service unless it is told otherwise: 10,000 lines in 30 s,
  /// beyond which it drops errors with the rest (journald.conf(5), RateLimitBurst=).
  public static let updates = (burst: 200, perSecond: 200)
  /// Of what one job, or one other peer, is told off for: enough to see what is wrong with it.
  public static let complaints = (burst: 50, perSecond: 1)
  /// Lines passed on for a Listener, which keeps to `complaints` itself.
  static let relayed = (burst: 200, perSecond: 5)
  /// About attempts that failed: an outage tries every update again and again.
  public static let trouble = (burst: 100, perSecond: 5)

  private let burst: Int
  /// Nanoseconds in which one line is earned.
  private let interval: Int64
  private var tokens: Int
  private var countedAt: Instant
  /// Lines that were dropped since the last one that passed.
  public private(set) var dropped = 0

  public init(_ rate: (burst: Int, perSecond: Int), at now: Instant) {
    burst = rate.burst
    interval = 1_000_000_000 / Int64(rate.perSecond)
    tokens = burst
    countedAt = now
  }

  /// Whether a line may pass at `now`, and how many were dropped since the last one that did.
  /// - Parameter isBlocked: there is no room for it just now, whatever the limit says.
  public mutating func admit(at now: Instant, orDrop isBlocked: Bool = false) -> (passes: Bool, droppedBefore: Int) {
    earn(until: now)
    guard tokens > 0, !isBlocked else {
      dropped += 1
      return (false, 0)
    }
    tokens -= 1
    defer { dropped = 0 }
    return (true, dropped)
  }

  /// When it can be said at last how many lines were dropped, if no other line comes; nil when none was.
  public var reportDue: Instant? { dropped == 0 ? nil : tokens > 0 ? countedAt : countedAt + .nanoseconds(interval) }

  /// How many lines were dropped since the last one that passed, for a line that says so and nothing else; 0 when none was, or
  /// not even that line may pass yet.
  public mutating func report(at now: Instant) -> Int {
    guard let due = reportDue, due <= now else { return 0 }
    return admit(at: now).droppedBefore
  }

  /// Whether it lets as much pass as when it was made.
  fileprivate mutating func isWhole(at now: Instant) -> Bool {
    earn(until: now)
    return tokens == burst
  }

  private mutating func earn(until now: Instant) {
    // In whole numbers: each line about an update comes by here, and durations have 128 bits.
    let earned = now.nanoseconds.saturatingSubtract(countedAt.nanoseconds) / interval
    guard earned > 0 else { return }
    tokens = Int(min(Int64(burst), Int64(tokens).saturatingAdd(earned)))
    // The rest of a line's worth of time counts towards the next.
    countedAt = Instant(nanoseconds: countedAt.nanoseconds + earned * interval)
  }
}

/// A limit for each job, or each other peer, so that none uses up the lines of others.
public struct LineLimits<Peer: Hashable & Sendable>: Sendable {
  /// How many peers are remembered. Those beyond it share one limit.
  private static var capacity: Int { 4096 }

  private let rate: (burst: Int, perSecond: Int)
  private var limits: [Peer: LineLimit] = [:]
  private var others: LineLimit

  public init(_ rate: (burst: Int, perSecond: Int), at now: Instant) {
    self.rate = rate
    others = LineLimit(rate, at: now)
  }

  /// Whether a line about `peer` may pass at `now`, and how many were dropped since the last one that did.
  public mutating func admit(_ peer: Peer, at now: Instant) -> (passes: Bool, droppedBefore: Int) {
    if limits[peer] == nil, limits.count >= Self.capacity {
      limits = limits.filter { entry in
        var limit = entry.value
        return !limit.isWhole(at: now)
      }
      if limits.count >= Self.capacity { return others.admit(at: now) }
    }
    return limits[peer, default: LineLimit(rate, at: now)].admit(at: now)
  }
}

extension LineLimit {
  /// The line that says how many were left out; nil for none.
  public static func leftOut(_ count: Int) -> String? {
    count == 0 ? nil : "\(count) lines of this kind were left out: they came too fast"
  }
}
