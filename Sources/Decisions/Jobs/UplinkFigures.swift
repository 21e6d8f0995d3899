import Messages

// What is counted, and how it is told.
extension UplinkCore {
  /// Everything that is counted and measured, as an OpenMetrics text.
  public func openMetrics(at now: Moment) -> String {
    figures.text(state(at: now), queueAge: queueAge(at: now), forHook: hookRoom.rows)
  }

  /// Whether updates are accepted and kept, and a text that says so to a person. That the facilitator is away is no
  /// illness of ours.
  public func health(at now: Moment) -> (isWell: Bool, text: String) {
    let facilitator = "facilitator: \(session.state.name)\n"
    if let oldestCommit, now.boot - oldestCommit >= Self.slowCommit {
      let seconds = (now.boot - oldestCommit).wholeSeconds
      return (false, "a commit has taken \(seconds) s so far: the disk is slow or hangs; workers wait\n\(facilitator)")
    }
    if isFull { return (false, "\(whyFull); new jobs are rejected and workers wait\n\(facilitator)") }
    return (true, "ok\n\(facilitator)")
  }

  /// Since when the oldest of the updates that wait is stored; zero when none waits.
  func queueAge(at now: Moment) -> Duration {
    let oldest = [outbox.oldestStoredAt, backlog.oldestAside].compactMap(\.self).min()
    return max(.zero, oldest.map { now.wall - $0 } ?? .zero)
  }

  /// When the oldest commit that is not durable yet was asked for.
  public var oldestCommit: Instant? { commits.first?.askedAt }

  /// Asks for a commit, whose time is measured from now on.
  mutating func commit(_ operations: [StoreOperation], then what: AfterCommit) {
    commits.append((turnBeganAt, !operations.isEmpty))
    actions.append(.commit(operations, then: what))
  }

  /// The first of those that were asked for is durable. What writes nothing only waits its turn.
  mutating func noteDurable(at now: Instant) {
    guard let (askedAt, writes) = commits.popFirst(), writes else { return }
    figures.commitTime.observe(now - askedAt)
  }
}
