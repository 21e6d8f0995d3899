import Messages

/// What the death of a child means, in the terms of Erlang/OTP's supervisor.
public enum RestartPolicy: Sendable, Hashable {
  /// Always replaced.
  case permanent
  /// Replaced unless it exited with 0, which is the end of its work.
  case transient
  /// Never replaced.
  case temporary
}

/// What to do about a death.
public enum RestartDecision: Sendable, Hashable {
  case restart(after: Duration)
  /// Its work is done.
  case end
  /// Exit 78 (EX_CONFIG) before the first Ready: the configuration is wrong, which systemd must hear.
  case passUp
}

/// A child's deaths, and what follows from them.
///
/// The first death after Ready restarts at once; further ones within a stable minute, and a death before
/// Ready, back off. Nothing is ever given up on: past the cap the delay stays the cap.
public struct RestartHistory: Sendable, Hashable {
  /// How long a child must have been ready for its earlier deaths to be forgotten.
  public static let stable = Duration.seconds(60)
  private static let hour = Duration.seconds(3600)
  /// A child that dies more often than this within an hour is counted up to here.
  private static let rememberedDeaths = 10_000

  private var backoff = Backoff(first: .milliseconds(250), cap: .seconds(30))
  private var deaths: [Instant] = []
  private var everReady = false
  private var troubled = false

  public init() {}

  public mutating func becameReady() { everReady = true }

  /// Takes note of a death and decides.
  /// - Parameter readyFor: how long it had been ready, or nil when it never got there.
  public mutating func died(
    _ exit: ProcessExit, readyFor: Duration?, policy: RestartPolicy, at now: Instant, dice: inout Dice
  ) -> RestartDecision {
    switch (policy, exit) {
    case (.temporary, _), (.transient, .code(0)): return .end
    case (_, .code(ExitCode.configuration)) where !everReady: return .passUp
    default: break
    }
    deaths.removeAll { now - $0 > Self.hour }
    if deaths.count < Self.rememberedDeaths { deaths.append(now) }

    if let readyFor, readyFor >= Self.stable {
      backoff.reset()
      troubled = false
    }
    if readyFor != nil, !troubled {
      troubled = true
      return .restart(after: .zero)
    }
    troubled = true
    return .restart(after: backoff.next(&dice))
  }

  /// How many deaths led to a restart within the hour before `now`.
  public func restartsInLastHour(at now: Instant) -> Int { deaths.count { now - $0 <= Self.hour } }
}
