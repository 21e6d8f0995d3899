/// Exponential backoff with full jitter: each delay is drawn evenly between nothing and a ceiling that
/// doubles up to a cap (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
public struct Backoff: Sendable, Hashable {
  private let first: Duration
  private let cap: Duration
  /// How many delays have been drawn since the last `reset`.
  public private(set) var attempts = 0

  public init(first: Duration = .seconds(1), cap: Duration = .seconds(30)) {
    self.first = first
    self.cap = cap
  }

  /// The next delay. It never gives up: past the cap the ceiling stays the cap.
  public mutating func next(_ dice: inout Dice) -> Duration {
    // 2^32 times any first delay is beyond any cap; larger shifts would overflow.
    let ceiling = min(cap, first * (1 << min(attempts, 32)))
    attempts += 1
    return .nanoseconds(Int64.random(in: 0...ceiling.nanoseconds, using: &dice))
  }

  /// Begins anew, after a stretch of stability.
  public mutating func reset() { attempts = 0 }
}
