/// How many lines of a command's output reach the journal: a burst, and then a steady rate, so that one job
/// cannot push everybody else's lines out.
public struct OutputLimit: Sendable, Hashable {
  public static let burst = 1000
  public static let perSecond = 100

  /// Nanoseconds in which one line is earned.
  private static let interval = 1_000_000_000 / Int64(perSecond)

  private var tokens = OutputLimit.burst
  private var countedAt: Instant
  private var dropped = 0

  public init(at now: Instant) { countedAt = now }

  /// Whether a line may pass at `now`, and how many were dropped since the last one that did.
  public mutating func admit(at now: Instant) -> (passes: Bool, droppedBefore: Int) {
    let earned = (now - countedAt).nanoseconds / Self.interval
    if earned > 0 {
      tokens = Int(min(Int64(Self.burst), Int64(tokens) + earned))
      // What is left of a line's worth of time counts towards the next.
      countedAt = countedAt + .nanoseconds(earned * Self.interval)
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
