import Messages

// The ordered, bounded stop (DESIGN.md, promise 5): no new jobs; the commands; their last updates; the jobs that
// ran here; the Listeners; the outbox; exit.
extension SupervisorCore {
  /// How long Listeners have to hand over the exits of their commands, beyond the commands' own grace.
  private static let handOver = Duration.seconds(5)
  /// How long Listeners have to leave: what ignores the message gets SIGTERM and then SIGKILL within this time.
  private static let leaving = Child.stopGrace * 2 + .seconds(1)
  /// How long Uplink has beyond its time to drain.
  private static let closing = Duration.seconds(5)

  /// The sum of all steps' bounds, and what the last SIGKILL takes.
  var longestStop: Duration {
    settings.stopGrace + Self.handOver + Self.handOver + Self.leaving + .seconds(settings.uplink.drainSeconds)
      + Self.closing + Child.stopGrace + .seconds(5)
  }

  mutating func stopRequested(at now: Instant) {
    guard stage == .running else {
      log(.notice, .serviceStopping, "asked to stop again: no more grace")
      hurry(at: now)
      return
    }
    beginStop(at: now)
  }

  mutating func beginStop(at now: Instant) {
    guard stage == .running else { return }
    actions.append(.notifyStopping(within: longestStop))
    actions.append(.notifyStatus("stopping: the jobs' commands"))
    log(.notice, .serviceStopping, "stopping; commands that run: \(jobs.values.count { $0.commandRuns })")
    stage = .stoppingCommands(until: now + settings.stopGrace + Self.handOver)
    if uplink.isReady { actions.append(.toUplink(.stop(.refuseJobs))) }
    for id in jobs.keys.sorted() { stopCommand(id, at: now) }
    // They run again after the next start.
    for run in hooks.keys { hooks[run]?.teardown.hurry(at: now) }
  }

  private mutating func hurry(at now: Instant) {
    for id in jobs.keys {
      jobs[id]?.teardown?.hurry(at: now)
      jobs[id]?.listener?.hurry(at: now)
    }
    specs.hurry(at: now)
    uplink.hurry(at: now)
    switch stage {
    case .stoppingCommands: stage = .stoppingCommands(until: now + .seconds(1))
    case .closingJobs: stage = .closingJobs(until: now)
    default: break
    }
  }

  /// A successor of an Uplink that died on the way is told how far the stop had come.
  mutating func resumeStop() {
    switch stage {
    case .stoppingCommands: actions.append(.toUplink(.stop(.refuseJobs)))
    case .closingJobs, .stoppingListeners: actions.append(.toUplink(.stop(.closeJobs)))
    case .running, .draining, .exited: break
    }
  }

  mutating func stopStepDone(_ step: StopStep, at now: Instant) {
    if step == .closeJobs, case .closingJobs = stage { stopListeners(at: now) }
  }

  /// Moves on when a step is done or has had its time.
  mutating func advanceStop(at now: Instant) {
    switch stage {
    case .running, .exited: break
    case .stoppingCommands(let until):
      let settled = hooks.isEmpty && jobs.values.allSatisfy { !$0.commandRuns && $0.untoldExit == nil }
      guard settled || until <= now else { return }
      stage = .closingJobs(until: now + Self.handOver)
      if uplink.isReady {
        actions.append(.toUplink(.stop(.closeJobs)))
      } else if uplink.hasEnded {
        stopListeners(at: now)
      }
    case .closingJobs(let until):
      if until <= now { stopListeners(at: now) }
    case .stoppingListeners(let until):
      let gone = specs.hasEnded && jobs.values.allSatisfy { $0.listener?.hasEnded ?? true }
      guard gone || until <= now else { return }
      drain(at: now)
    case .draining:
      guard uplink.hasEnded else { return }
      stage = .exited
      log(.notice, .serviceStopped, "stopped")
    }
  }

  private mutating func stopListeners(at now: Instant) {
    stage = .stoppingListeners(until: now + Self.leaving)
    actions.append(.notifyStatus("stopping: the Listeners"))
    for id in jobs.keys.sorted() where jobs[id]?.listener?.run != nil {
      actions.append(.toListener(.job(id), .stop))
    }
    if specs.run != nil { actions.append(.toListener(.specs, .stop)) }
    for id in jobs.keys { jobs[id]?.listener?.stop(at: now) }
    specs.stop(at: now)
    advanceStop(at: now)
  }

  private mutating func drain(at now: Instant) {
    stage = .draining
    actions.append(.notifyStatus("stopping: the outbox drains"))
    if uplink.run != nil { actions.append(.toUplink(.stop(.drain))) }
    uplink.stop(grace: .seconds(settings.uplink.drainSeconds) + Self.closing, at: now)
    advanceStop(at: now)
  }
}
