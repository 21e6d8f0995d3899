/// A point on the clock that decisions are given: nanoseconds on CLOCK_BOOTTIME, which counts through a
/// suspend and never jumps (clock_gettime(2)). Sums and differences stay at the limits of 292 years.
public struct Instant: Sendable, Hashable, Comparable {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

  public static func + (instant: Instant, duration: Duration) -> Instant {
    Instant(nanoseconds: instant.nanoseconds.saturatingAdd(duration.nanoseconds))
  }

  public static func - (left: Instant, right: Instant) -> Duration {
    .nanoseconds(left.nanoseconds.saturatingSubtract(right.nanoseconds))
  }

  /// The earlier of two, either of which may not be; nil if neither is.
  public static func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
  }
}

extension Duration {
  /// The duration in whole nanoseconds; at most the 292 years that fit.
  public var nanoseconds: Int64 {
    if self > .seconds(Self.longest) { return .max }
    if self < .seconds(-Self.longest) { return .min }
    return components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }

  /// Seconds that fit an Int64 as nanoseconds.
  private static let longest: Int64 = 9_223_372_036

  /// The duration in whole seconds, rounded down.
  public var wholeSeconds: Int { Int(nanoseconds / 1_000_000_000) }

  /// The duration in whole milliseconds, rounded down.
  public var wholeMilliseconds: Int { Int(nanoseconds / 1_000_000) }
}

/// The wall clock in milliseconds since 1970, for what must be compared across boots or shown to people. Sums and
/// differences stay at the limits.
public struct WallTime: Sendable, Hashable, Comparable {
  public var milliseconds: Int64

  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  public static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }

  public static func + (time: WallTime, duration: Duration) -> WallTime {
    WallTime(milliseconds: time.milliseconds.saturatingAdd(Int64(duration.wholeMilliseconds)))
  }

  public static func - (time: WallTime, duration: Duration) -> WallTime {
    WallTime(milliseconds: time.milliseconds.saturatingSubtract(Int64(duration.wholeMilliseconds)))
  }

  public static func - (left: WallTime, right: WallTime) -> Duration {
    .milliseconds(left.milliseconds.saturatingSubtract(right.milliseconds))
  }
}

/// Both clocks at one moment.
public struct Moment: Sendable, Hashable {
  public var boot: Instant
  public var wall: WallTime

  public init(boot: Instant, wall: WallTime) {
    self.boot = boot
    self.wall = wall
  }
}
