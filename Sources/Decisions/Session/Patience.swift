/// How much of what was written to a connection its other side has taken. Acknowledged is taken: what a program does not
/// read fills its window, and is acknowledged no more.
public struct LineState: Sendable, Hashable {
  /// Bytes that were taken since the connection was made.
  public var taken: UInt64
  /// Bytes that wait to be taken, here and on the way.
  public var waiting: UInt64

  public init(taken: UInt64, waiting: UInt64) {
    self.taken = taken
    self.waiting = waiting
  }
}

/// How long an answer is waited for: `limit` from when it could have come. Whatever was written before its question
/// stands before it on the line, and on a slow one takes its time.
///
/// The line is looked at when the time is over. As long as what waited at the first look is being taken, no slower than
/// `slowestLine`, the wait goes on; once all of that is taken, for `limit` more. So it is bounded by what may wait.
struct Patience: Sendable {
  /// Bytes a second that a line must have taken to count as one that moves.
  static let slowestLine: UInt64 = 4096

  private struct Look: Sendable {
    /// Since when the answer is awaited.
    var since: Instant
    var taken: UInt64
    /// The bytes that must be taken before the answer can come.
    var target: UInt64
    var until: Instant
  }

  let limit: Duration
  private var look: Look?

  init(limit: Duration) { self.limit = limit }

  /// When the line is to be looked at, if the answer awaited `since` then has not come.
  func due(since: Instant) -> Instant {
    if let look, look.since == since { return look.until }
    return since + limit
  }

  /// Whether the wait goes on, now that it was due.
  /// - Parameter sent: bytes that were sent and are not known to have arrived: so much may have been under way until now.
  mutating func goesOn(_ line: LineState, sent: Int, since: Instant, at now: Instant) -> Bool {
    let share = Self.slowestLine * UInt64(clamping: limit.wholeSeconds)
    var target = line.taken.saturatingAdd(line.waiting)
    if let look, look.since == since {
      target = look.target
      guard look.taken < target, line.taken >= min(target, look.taken.saturatingAdd(share)) else { return false }
    } else if line.waiting == 0, UInt64(clamping: sent) < share {
      return false
    }
    look = Look(since: since, taken: line.taken, target: target, until: now + limit)
    return true
  }
}
