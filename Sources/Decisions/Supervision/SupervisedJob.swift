import Messages

/// What the Supervisor knows of one open job.
struct SupervisedJob: Timed, Sendable {
  enum Command: Sendable {
    /// Not started by this Supervisor.
    case none
    /// It may have been started by an earlier Supervisor, and so never is again.
    case beforeUs
    /// Asked for; its process is being made.
    case starting
    case running
    /// The job's task could not be put into the queue: Uplink is asked for its request again then.
    case delayed(until: Instant)
    /// Reaped. `told`: Uplink has stored it, or it means nothing (a launcher's exit 0).
    case exited(CommandExit, told: Bool)
    /// Could not be started.
    case failed(reason: String)
  }

  var listener: Child?
  var command = Command.none
  var record: CommandRecord?
  var startedAt: Instant?
  var teardown: Teardown?
  /// Between two attempts to put the job's task into the queue.
  var backoff = Backoff(first: .milliseconds(250))
  /// Why the last of them failed.
  var dispatchFailure: String?
  /// When the command is taken for hung; only for one that puts a task into a queue.
  var hangsAt: Instant?

  var commandRuns: Bool {
    switch command {
    case .starting, .running: true
    default: false
    }
  }

  /// When its Listener, its command or its dispatch is to be looked at.
  var nextDeadline: Instant? {
    var first = listener?.nextDeadline
    if let due = teardown?.nextSignalAt, first.map({ due < $0 }) ?? true { first = due }
    if let due = dispatchDue, first.map({ due < $0 }) ?? true { first = due }
    return first
  }

  /// The exit that Uplink has not stored yet, as far as is known.
  var untoldExit: CommandExit? {
    guard case .exited(let exit, told: false) = command else { return nil }
    return exit
  }
}

// Jobs: their Listeners and their commands.
extension SupervisorCore {
  mutating func fromUplink(_ message: UplinkToSupervisor, at now: Instant) {
    switch message {
    case .ready:
      uplink.becameReady(at: now)
      log(.info, .childReady, "uplink is ready", child: .uplink)
      tellRestarts()
      announceReady()
      resumeReload()
      resumeStop()
    case .pong(_, let age): uplinkAnswered(uncommitted: .milliseconds(Int64(clamping: age)), at: now)
    case .openJob(let job): openJob(job, at: now)
    case .inventoryComplete: inventoryComplete(at: now)
    case .dispatch(let job, let body, let beginBy): dispatch(job, body, beginBy: beginBy, at: now)
    case .taskEnded(let job, let exit): taskEnded(job, exit)
    case .stopCommand(let job): stopCommand(job, at: now)
    case .exitStored(let job):
      if case .exited(let exit, _) = jobs[job]?.command { jobs[job]?.command = .exited(exit, told: true) }
      forgetIfOver(job)
    case .jobClosed(let job):
      forgetIfOver(job)
    case .state(let state):
      uplinkState = state
      notifyStatus()
    case .stopped(let step): stopStepDone(step, at: now)
    case .runHook(let run, let last, let items): runHook(run, last: last, items, at: now)
    case .reloaded(let problem): reloaded(problem)
    case .report(let number, let report): answer(number, report, at: now)
    }
  }

  /// A slow disk is reported. Only one that does nothing for two minutes is taken for a hang.
  private mutating func uplinkAnswered(uncommitted age: Duration, at now: Instant) {
    uplink.answeredPing()
    if age >= .seconds(120) {
      log(
        .error, .childHung, "uplink has not committed for \(age.wholeSeconds) s; it is killed and replaced",
        child: .uplink)
      uplink.misbehaved(at: now)
    } else if age >= UplinkCore.slowCommit {
      log(
        .warning, .storeFailed, "uplink's oldest commit takes \(age.wholeSeconds) s: the disk is slow", child: .uplink)
    }
  }

  private mutating func announceReady() {
    if !announcedReady { actions.append(.notifyReady) }
    if !announcedReady || isDegraded { log(.notice, .serviceReady, "ready: updates are accepted and kept") }
    announcedReady = true
    isDegraded = false
  }

  /// Without Uplink the service is up and does not do its work, which the unit's status line says. Whoever waits for the
  /// unit's start, as a boot does, is not held up by what may take a person to mend.
  mutating func uplinkFailed(_ reason: String) {
    actions.append(.notifyStatus("degraded: uplink \(reason); no jobs are taken, and workers wait"))
    guard !announcedReady else { return }
    announcedReady = true
    isDegraded = true
    actions.append(.notifyReady)
    log(
      .error, .serviceDegraded,
      "up, but degraded: uplink \(reason) before it was ready, and is tried again; no jobs are taken, and workers wait")
  }

  private mutating func openJob(_ open: OpenJob, at now: Instant) {
    let id = open.job
    inventory.insert(id)
    if jobs[id] == nil {
      adopt(open, at: now)
    } else {
      // A new Uplink does not know what its predecessor was told.
      tellListenerReady(id)
      if case .failed(let reason) = jobs[id]?.command {
        actions.append(.toUplink(.dispatchFailed(id, reason: reason)))
      } else if open.phase == .dispatching {
        switch jobs[id]?.command {
        case .beforeUs: actions.append(.toUplink(.commandKnowledge(id, .unknown)))
        case .some(.none):
          tellDispatchFailure(id)
          actions.append(.toUplink(.commandKnowledge(id, .neverStarted)))
        // Its request is asked for when that is due.
        case .delayed: tellDispatchFailure(id)
        default:
          actions.append(.toUplink(.commandKnowledge(id, .started)))
          if open.command == nil, !isBeingDispatched(id), let record = jobs[id]?.record {
            actions.append(.toUplink(.commandStarted(id, record)))
          }
        }
      }
    }
  }

  /// A job this Supervisor has not seen: a new one, or one from before its own start.
  private mutating func adopt(_ open: OpenJob, at now: Instant) {
    if let record = open.command { actions.append(.killLeftover(open.job, record)) }
    let isToStart = open.phase == .accepted || mayBeDispatchedAgain(open)
    if open.phase == .dispatching {
      actions.append(.toUplink(.commandKnowledge(open.job, isToStart ? .neverStarted : .unknown)))
    }
    // What has ended, or ends now, needs a Listener only for those who still come to its socket.
    let isElsewhere = settings.uplink.commandIsLauncher || open.isTask
    let goesOn = open.phase == .accepted || (open.phase == .dispatching && isElsewhere)
    if goesOn || inherited.contains(open.job) || mayHaveLeftKeys(open) {
      hear(open.job, command: isToStart ? .none : .beforeUs, at: now)
    }
  }

  /// An earlier Supervisor's Listeners may have been killed before they took their jobs' keys out of Redis.
  private func mayHaveLeftKeys(_ open: OpenJob) -> Bool {
    // Of launchers all jobs of a day are told, since nobody stores how a launcher ended: their senders' keys expire.
    isNew && settings.redis?.layer == .core && (open.isTask || !settings.uplink.commandIsLauncher)
  }

  /// Takes on a job with a Listener. A stop has no use for one: the job starts, or goes on, after the next start.
  private mutating func hear(_ id: JobID, command: SupervisedJob.Command, at now: Instant) {
    guard stage == .running else { return }
    jobs[id] = SupervisedJob(listener: Child(.listener(.job(id)), at: now), command: command)
  }

  private mutating func inventoryComplete(at now: Instant) {
    // Of the others Uplink has nothing in memory: their Listeners ask it by their hello, and leave if it knows them no
    // more. Workers whose last acknowledgement an earlier Supervisor's end has cost them may wait at such a socket.
    for id in inherited.sorted() where jobs[id] == nil { hear(id, command: .beforeUs, at: now) }
    for id in jobs.keys.sorted() where !inventory.contains(id) { forgetIfOver(id) }
    // Without Listeners the sockets wait for the next start.
    actions.append(.keepIngress(only: stage == .running ? Set(jobs.keys) : inherited.union(jobs.keys)))
    if stage == .running { inherited = [] }
    isNew = false
  }

  mutating func tellListenerReady(_ id: JobID) {
    guard uplink.isReady, let run = jobs[id]?.listener?.run, run.readySince != nil else { return }
    actions.append(.toUplink(.listenerReady(id, run.generation)))
  }

  private mutating func dispatch(_ id: JobID, _ body: [UInt8], beginBy: Int64, at now: Instant) {
    guard let job = jobs[id], case .none = job.command else {
      log(.warning, .jobDispatched, "asked to dispatch a job that is unknown or dispatched already", job: id)
      return
    }
    guard stage == .running else {
      // The stop has overtaken it: it counts as not started, and Uplink closes it, unless the next start asks again.
      if settings.uplink.tasks == nil { commandFailed(id, "the service stops") }
      return
    }
    if settings.uplink.tasks != nil, job.listener?.isReady != true {
      // Asked again after a start of ours: a layer that keeps nothing must be heard before a worker can speak.
      delayDispatch(id, "its Listener is not ready", at: now)
      return
    }
    jobs[id]?.command = .starting
    actions.append(.spawnCommand(id, body: body, beginBy: beginBy))
  }

  mutating func commandStarted(_ id: JobID, _ record: CommandRecord, at now: Instant) {
    jobs[id]?.command = .running
    jobs[id]?.startedAt = now
    jobs[id]?.record = record
    guard settings.uplink.tasks == nil else {
      // Its start says nothing: told once it has put the task into the queue.
      jobs[id]?.hangsAt = now + Self.dispatchLimit
      return
    }
    actions.append(
      .log(
        LogEntry(
          .info, .jobDispatched, "command started", job: id, pid: record.pid)))
    tellStarted(id)
  }

  mutating func commandFailed(_ id: JobID, _ reason: String) {
    jobs[id]?.command = .failed(reason: reason)
    log(.error, .jobDispatched, "the job's command could not be started: \(reason)", job: id)
    if uplink.isReady { actions.append(.toUplink(.dispatchFailed(id, reason: reason))) }
  }

  mutating func tellStarted(_ id: JobID) {
    guard uplink.isReady, let record = jobs[id]?.record else { return }
    actions.append(.toUplink(.commandStarted(id, record)))
  }

  mutating func commandExited(_ id: JobID, _ exit: CommandExit, at now: Instant) {
    guard let job = jobs[id] else { return }
    guard settings.uplink.tasks == nil else { return dispatcherExited(id, exit, at: now) }
    let startedElsewhere = settings.uplink.commandIsLauncher && exit.code == 0
    jobs[id]?.teardown = nil
    actions.append(
      .log(LogEntry(.info, .commandExited, "command \(exit)", job: id, pid: job.record?.pid)))
    if startedElsewhere {
      jobs[id]?.command = .exited(exit, told: true)
    } else {
      tellExit(id, exit)
    }
    forgetIfOver(id)
  }

  /// What ran of the job has ended: each generation of its Listener is told so until Uplink has stored it.
  mutating func tellExit(_ id: JobID, _ exit: CommandExit) {
    jobs[id]?.command = .exited(exit, told: false)
    if jobs[id]?.listener?.isReady == true { actions.append(.toListener(.job(id), .commandExited(exit))) }
  }

  mutating func stopCommand(_ id: JobID, at now: Instant) {
    guard let job = jobs[id], job.commandRuns, job.teardown == nil else { return }
    jobs[id]?.teardown = .stop(grace: settings.stopGrace, at: now)
    log(
      .notice, .commandStopped,
      "its command is stopped: SIGTERM now, SIGKILL after \(settings.stopGrace.wholeSeconds) s", job: id)
  }

  /// Its Listener has heard everything it was to hear, or the service stops: then the job's socket waits for the next
  /// start, as its workers do.
  mutating func listenerEnded(_ id: JobID, at now: Instant) {
    stopCommand(id, at: now)
    if stage == .running || jobs[id]?.listener?.hasFinished ?? true { actions.append(.removeIngress(id)) }
    forgetIfOver(id)
  }

  mutating func forgetIfOver(_ id: JobID) {
    guard let job = jobs[id], !job.commandRuns, job.listener?.hasEnded ?? true else { return }
    jobs[id] = nil
  }

  // MARK: Questions

  mutating func ask(_ number: UInt64, _ query: UplinkQuery, at now: Instant) {
    if case .drain(let refuse) = query, stage == .running {
      isDraining = refuse
      log(
        .notice, .serviceDraining,
        refuse
          ? "draining: no new jobs are taken until hordelinkctl drain --cancel or a restart"
          : "new jobs are taken again")
      // One that opens its record hears it behind its configuration.
      if uplink.run != nil { actions.append(.toUplink(.refuseJobs(refuse))) }
    }
    guard uplink.isReady else {
      actions.append(.answerControl(number, reports(at: now), nil))
      return
    }
    questions[number] = now + .seconds(2)
    actions.append(.toUplink(.query(number, query)))
  }

  mutating func answer(_ number: UInt64, _ report: UplinkReport?, at now: Instant) {
    guard questions.removeValue(forKey: number) != nil else { return }
    actions.append(.answerControl(number, reports(at: now), report))
  }

  private func reports(at now: Instant) -> [ChildReport] {
    let listeners = jobs.sorted.compactMap(\.value.listener)
    var reports = ([uplink, specs] + listeners).map { $0.report(at: now) }
    for (id, job) in jobs.sorted where job.commandRuns {
      reports.append(
        ChildReport(
          name: "command", job: id, pid: Int(job.record?.pid ?? 0), generation: 0,
          state: job.teardown == nil ? "running" : "stopping",
          seconds: job.startedAt.map { (now - $0).wholeSeconds } ?? 0, restartsLastHour: 0, lastDeath: ""))
    }
    return reports
  }

  private mutating func notifyStatus() {
    guard let state = uplinkState, stage == .running else { return }
    var text = "facilitator \(state.session); \(state.openJobs) jobs open, \(state.queued) updates queued"
    if state.dead > 0 { text += ", \(state.dead) dead letters (hordelinkctl dead list)" }
    if !state.full.isEmpty { text += "; the \(state.full) is full" }
    if state.draining { text += "; draining" }
    actions.append(.notifyStatus(text))
  }
}

extension Child {
  func report(at now: Instant) -> ChildReport {
    let name: String
    let since: Instant
    switch state {
    case .waiting(let until):
      name = "backoff"
      since = diedAt ?? until
    case .running(let run):
      name = run.teardown != nil ? "stopping" : run.readySince == nil ? "starting" : "ready"
      since = run.readySince ?? run.since
    case .ended:
      name = "ended"
      since = now
    }
    return ChildReport(
      name: key.name, job: key.job, pid: Int(run?.pid ?? 0), generation: run?.generation.number ?? 0,
      state: name, seconds: max(0, (now - since).wholeSeconds),
      restartsLastHour: history.restartsInLastHour(at: now), lastDeath: lastDeath)
  }
}
