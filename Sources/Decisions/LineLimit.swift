/// How many lines of one kind reach the journal: a burst, and then a steady rate, so that they cannot push everybody
/// else's lines out.
public struct LineLimit: Sendable, Hashable {
  /// Of one command's output.
  public static let output = (burst: 1000, perSecond: 100)
  /// About single updates. Two thirds of what journald takes of a service unless it is told otherwise: 10,000 lines in 30 s,
  /// beyond which it drops errors with the rest (journald.conf(5), RateLimitBurst=).
  public static let updates = (burst: 200, perSecond: 200)

  private let burst: Int
  /// Nanoseconds in which one line is earned.
  private let interval: Int64
  private var tokens: Int
  private var countedAt: Instant
  private var dropped = 0

  public init(_ rate: (burst: Int, perSecond: Int), at now: Instant) {
    burst = rate.burst
    interval = 1_000_000_000 / Int64(rate.perSecond)
    tokens = burst
    countedAt = now
  }

  /// Whether a line may pass at `now`, and how many were dropped since the last one that did.
  public mutating func admit(at now: Instant) -> (passes: Bool, droppedBefore: Int) {
    let earned = (now - countedAt).nanoseconds / interval
    if earned > 0 {
      tokens = Int(min(Int64(burst), Int64(tokens).saturatingAdd(earned)))
      // What is left of a line's worth of time counts towards the next.
      countedAt = countedAt + .nanoseconds(earned * interval)
    }
    guard tokens > 0 else {
      dropped += 1
      return (false, 0)
    }
    tokens -= 1
    defer { dropped = 0 }
    return (true, dropped)
  }
}
