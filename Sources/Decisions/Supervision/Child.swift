import Messages

/// One child of ours through all its generations: when it is started, when it counts as hung, and what its
/// death leads to. Pure; the Supervisor's decisions hold one for each child.
public struct Child: Sendable {
  /// How often a child is asked whether it is alive.
  public static let pingInterval = Duration.seconds(10)
  /// How long it has for the answer.
  public static let pingDeadline = Duration.seconds(10)
  /// How long Uplink has while it opens its record, which a slow disk and a long log can make long.
  public static let openingDeadline = Duration.seconds(120)
  /// How long a child that stops has before it is killed, unless its owner sets another bound.
  public static let stopGrace = Duration.seconds(5)

  public enum State: Sendable {
    /// Will be spawned at that time.
    case waiting(until: Instant)
    /// Spawned; nothing of its process is known yet but its generation.
    case running(Run)
    /// Over: its work is done or it is no longer wanted.
    case ended
  }

  /// One generation's life.
  public struct Run: Sendable {
    public var generation: Generation
    public var pid: Int32?
    public var since: Instant
    public var readySince: Instant?
    /// When the ping that is not answered yet was sent.
    var pingedAt: Instant?
    /// It has said that its work is done.
    var finished = false
    var teardown: Teardown?
  }

  /// What has to be done to the process.
  public enum Demand: Sendable, Hashable {
    case spawn
    case signal(Int32, hung: Bool)
    case ping
  }

  public let key: ChildKey
  public private(set) var state: State
  public private(set) var history = RestartHistory()
  /// Why it last died; empty when it never did.
  public private(set) var lastDeath = ""
  public private(set) var diedAt: Instant?
  /// Whether its death is the end of it, whatever its policy says.
  public private(set) var stopping = false
  /// Whether it had done its work when it ended.
  public private(set) var hasFinished = false
  private var nextPing: Instant

  public init(_ key: ChildKey, at now: Instant) {
    self.key = key
    state = .waiting(until: now)
    nextPing = now + Self.pingInterval
  }

  /// The run that is under way, if one is.
  public var run: Run? {
    guard case .running(let run) = state else { return nil }
    return run
  }

  public var isReady: Bool { run?.readySince != nil }
  public var hasEnded: Bool {
    if case .ended = state { true } else { false }
  }

  /// Whether a message of that generation is from the living child and not a late word from a dead one.
  public func isCurrent(_ generation: Generation) -> Bool { run?.generation == generation }

  public mutating func spawned(_ generation: Generation, at now: Instant) {
    state = .running(Run(generation: generation, since: now))
    nextPing = now + Self.pingInterval
  }

  public mutating func hasPID(_ pid: Int32) { update { $0.pid = pid } }

  public mutating func becameReady(at now: Instant) {
    history.becameReady()
    update { $0.readySince = $0.readySince ?? now }
  }

  /// It says that its work is done: an exit with 0 is its end from here on.
  public mutating func finished() { update { $0.finished = true } }

  public mutating func answeredPing() { update { $0.pingedAt = nil } }

  /// Its process, or the attempt to spawn one, came to an end.
  /// - Parameter reason: why it could not be spawned; nil when it was.
  public mutating func died(
    _ exit: ProcessExit, reason: String? = nil, at now: Instant, dice: inout Dice
  ) -> RestartDecision {
    let readyFor = run?.readySince.map { now - $0 }
    hasFinished = run?.finished ?? false
    lastDeath = reason ?? exit.description
    diedAt = now
    if stopping {
      state = .ended
      return .end
    }
    // An exit with 0 that nobody expected is no end of its work.
    let policy = key.policy == .transient && !hasFinished ? .permanent : key.policy
    let decision = history.died(exit, readyFor: readyFor, policy: policy, at: now, dice: &dice)
    switch decision {
    case .restart(let delay): state = .waiting(until: now + delay)
    case .end, .passUp: state = .ended
    }
    return decision
  }

  /// It is no longer wanted: a living process is told and given `grace`, and nothing follows it.
  ///
  /// The telling is the owner's, by message; the signals here are for a process that does not listen.
  public mutating func stop(grace: Duration = Child.stopGrace, at now: Instant) {
    stopping = true
    if case .waiting = state { state = .ended }
    update { run in
      if run.teardown == nil {
        run.teardown = .stop(grace: Child.stopGrace, at: now + grace)
      }
    }
  }

  /// Skips all grace.
  public mutating func hurry(at now: Instant) { update { $0.teardown?.hurry(at: now) } }

  /// It sent what cannot be: it is replaced.
  public mutating func misbehaved(at now: Instant) {
    update { $0.teardown = $0.teardown ?? .abort(at: now) }
  }

  /// When `demands` has something to say next; nil while it has not.
  public var nextDeadline: Instant? {
    switch state {
    case .waiting(let until): until
    case .ended: nil
    case .running(let run):
      if let teardown = run.teardown {
        teardown.nextSignalAt
      } else {
        run.pingedAt.map { $0 + pingDeadline(run) } ?? nextPing
      }
    }
  }

  /// What is due at `now`.
  public mutating func demand(at now: Instant) -> Demand? {
    switch state {
    case .ended: return nil
    case .waiting(let until): return until <= now ? .spawn : nil
    case .running(var run):
      defer { if case .running = state { state = .running(run) } }
      var hung = false
      if run.teardown == nil, let pinged = run.pingedAt, now - pinged >= pingDeadline(run) {
        run.teardown = .abort(at: now)
        hung = true
      }
      if let signal = run.teardown?.dueSignal(at: now) { return .signal(signal, hung: hung) }
      if run.teardown == nil, run.pingedAt == nil, nextPing <= now {
        run.pingedAt = now
        nextPing = now + Self.pingInterval
        return .ping
      }
      return nil
    }
  }

  private func pingDeadline(_ run: Run) -> Duration {
    key == .uplink && run.readySince == nil ? Self.openingDeadline : Self.pingDeadline
  }

  private mutating func update(_ change: (inout Run) -> Void) {
    guard case .running(var run) = state else { return }
    change(&run)
    state = .running(run)
  }
}
