/// How many lines of a command's output reach the journal: a burst, and then a steady rate, so that one job
/// cannot push everybody else's lines out.
public struct OutputLimit: Sendable, Hashable {
  public static let burst = 1000
  public static let perSecond = 100

  private var tokens = OutputLimit.burst
  private var countedAt: Instant
  private var dropped = 0

  public init(at now: Instant) { countedAt = now }

  /// Whether a line may pass at `now`, and how many were dropped since the last one that did.
  public mutating func admit(at now: Instant) -> (passes: Bool, droppedBefore: Int) {
    let earned = Int(clamping: (now - countedAt).wholeMilliseconds * Self.perSecond / 1000)
    if earned > 0 {
      tokens = min(Self.burst, tokens + earned)
      countedAt = now
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
