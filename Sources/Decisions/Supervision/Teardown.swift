/// How a process is ended: signals, each with the time it is given to take effect. The last is always SIGKILL,
/// so that a stop always ends.
public struct Teardown: Sendable, Hashable {
  private struct Step: Sendable, Hashable {
    var signal: Int32
    var grace: Duration
  }

  private var steps: [Step]
  /// When the next signal is due; nil once SIGKILL has been sent.
  public private(set) var nextSignalAt: Instant?

  /// Signal numbers of Linux (signal(7)); decisions import no system module.
  enum Number {
    static let abort: Int32 = 6
    static let kill: Int32 = 9
    static let terminate: Int32 = 15
  }

  private init(first signal: Int32, grace: Duration, at now: Instant) {
    steps = [Step(signal: signal, grace: grace), Step(signal: Number.kill, grace: .zero)]
    nextSignalAt = now
  }

  /// A polite stop: SIGTERM, and SIGKILL after `grace`.
  public static func stop(grace: Duration, at now: Instant) -> Teardown {
    Teardown(first: Number.terminate, grace: grace, at: now)
  }

  /// For a process that hangs: SIGABRT, so that there is a core to look at, and SIGKILL after five seconds.
  public static func abort(at now: Instant) -> Teardown {
    Teardown(first: Number.abort, grace: .seconds(5), at: now)
  }

  /// Skips the grace that is left.
  public mutating func hurry(at now: Instant) {
    guard nextSignalAt != nil else { return }
    nextSignalAt = now
    // Enough to hear SIGTERM and leave, and no more.
    for index in steps.indices { steps[index].grace = min(steps[index].grace, .seconds(1)) }
  }

  /// The signal that is due now, if one is.
  public mutating func dueSignal(at now: Instant) -> Int32? {
    guard let due = nextSignalAt, due <= now, !steps.isEmpty else { return nil }
    let step = steps.removeFirst()
    nextSignalAt = steps.isEmpty ? nil : now + step.grace
    return step.signal
  }
}
