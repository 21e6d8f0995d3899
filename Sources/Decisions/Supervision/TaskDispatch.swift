import Messages

// Jobs that are tasks in a Celery queue: a short-lived program puts each there, and once at most however often it runs,
// since the broker remembers what it was given.
extension SupervisorCore {
  /// How long that may take. It bounds itself to less; one that hangs is killed and another is started.
  static let dispatchLimit = Duration.seconds(60)

  /// Whether an earlier Supervisor's dispatch is to be done again: nobody knows whether it has taken place.
  func mayBeDispatchedAgain(_ open: OpenJob) -> Bool {
    settings.uplink.tasks != nil && stage == .running && open.phase == .dispatching && open.isTask
      && open.command == nil
  }

  /// Its task is on its way into the queue.
  func isBeingDispatched(_ id: JobID) -> Bool {
    settings.uplink.tasks != nil && jobs[id]?.commandRuns == true
  }

  mutating func dispatcherExited(_ id: JobID, _ exit: CommandExit, at now: Instant) {
    guard let job = jobs[id] else { return }
    jobs[id]?.hangsAt = nil
    jobs[id]?.teardown = nil
    jobs[id]?.command = .exited(exit, told: true)
    let reason = exit.lastWords ?? "what puts it there \(exit)"
    if exit.code == ExitCode.success {
      log(.info, .jobDispatched, "its task is in the queue", job: id)
      jobs[id]?.dispatchFailure = nil
      tellStarted(id)
    } else if exit.code == ExitCode.data {
      commandFailed(id, reason)
    } else if job.teardown == nil, stage == .running {
      delayDispatch(id, reason, at: now)
    }
    // Otherwise it was stopped: the job has ended, or the next start asks again.
    forgetIfOver(id)
  }

  mutating func delayDispatch(_ id: JobID, _ reason: String, at now: Instant) {
    let delay = jobs[id]?.backoff.next(&dice) ?? .zero
    jobs[id]?.command = .delayed(until: now + delay)
    jobs[id]?.dispatchFailure = reason
    log(
      .warning, .dispatchDelayed,
      "its task could not be put into the queue: \(reason); the next attempt is in \(delay.wholeMilliseconds) ms",
      job: id)
    tellDispatchFailure(id)
  }

  /// Tells Uplink why the job's task is not in the queue yet: its deadline may pass before the next attempt.
  mutating func tellDispatchFailure(_ id: JobID) {
    guard uplink.isReady, let reason = jobs[id]?.dispatchFailure else { return }
    actions.append(.toUplink(.dispatchDelayed(id, reason: reason)))
  }

  /// Asks for the request once more when that is due, and kills what hangs.
  mutating func serveDispatch(_ id: JobID, at now: Instant) {
    if case .delayed(let until) = jobs[id]?.command, until <= now {
      // An Uplink that comes later is told so with the inventory.
      jobs[id]?.command = SupervisedJob.Command.none
      if uplink.isReady { actions.append(.toUplink(.commandKnowledge(id, .neverStarted))) }
    }
    if let limit = jobs[id]?.hangsAt, limit <= now {
      jobs[id]?.hangsAt = nil
      log(.warning, .commandStopped, "what puts its task into the queue hangs; it is killed", job: id)
      actions.append(.signalCommand(id, signal: Teardown.Number.kill))
    }
  }

  /// A worker's result says that the job's task has ended otherwise than well. What it reported before is read first.
  mutating func taskEnded(_ id: JobID, _ exit: CommandExit) {
    // A stop leaves it to the next start, when the result is found again.
    guard stage == .running, let job = jobs[id], !job.commandRuns, job.untoldExit == nil else { return }
    tellExit(id, exit)
  }
}

extension SupervisedJob {
  /// When `serveDispatch` has something to do.
  var dispatchDue: Instant? {
    if case .delayed(let until) = command { until } else { hangsAt }
  }
}
