import JSON
import Messages
import StatusUpdates

// Jobs: from the request to the stored terminal status.
extension UplinkCore {
  mutating func requested(_ request: Request, at now: Moment) {
    let id = request.job
    guard !request.isKnown, jobs[id] == nil else {
      figures.refused(.known)
      logRefusal(.warning, "requested again; it starts nothing twice", job: id, at: now.boot)
      return
    }
    var refusal = request.refusal
    if refusal == nil, let hash = request.signatureHash, request.isReplay || signatures[hash] != nil {
      refusal = "its signature is that of another job: a replay"
    }
    if let refusal {
      refuse(id, refusal, at: now)
    } else if let why = reasonToTurnAway(request) {
      turnAway(id, why, at: now)
    } else {
      accept(request, at: now)
    }
  }

  private mutating func accept(_ request: Request, at now: Moment) {
    let entry = newEntry(request.job, .received, metadata: nil, at: now)
    // It must end even if it never comes to its dispatch, from which its time is counted anew.
    let deadline = now.boot + allowedTime(request.limitSeconds)
    note(deadline: deadline)
    jobs[request.job] = Job(
      receivedAt: now.boot, phase: .accepted, statuses: [.received], uncommitted: JobStatusSet(.received),
      limitSeconds: request.limitSeconds, deadline: deadline, signatureHash: request.signatureHash,
      bodyBytes: request.body.count)
    room.openJobs += 1
    room.bytes += request.body.count
    room.requestBytes += request.body.count
    room.take(entry.need)
    if let hash = request.signatureHash { signatures[hash] = request.job }
    requestsBeingStored.begin(bytes: request.body.count)
    commit(
      [.insertJob(newJob(request, at: now))] + insertion(of: entry),
      then: .accepted(request.job, entry))
    log(.info, .jobReceived, "job received", job: request.job)
  }

  private func reasonToTurnAway(_ request: Request) -> String? {
    if stopStep != nil { return "the service stops" }
    if isDraining { return "the service drains: it takes no new jobs" }
    if room.openJobs >= settings.maxOpenJobs {
      return "\(room.openJobs) jobs are open, as many as max_open allows"
    }
    // Each is held for its job's command, which may not have read it, until the job has ended.
    let most = max(32 * settings.maxRequestBytes, 4096 * settings.maxOpenJobs)
    if room.requestBytes + request.body.count > most {
      return "the requests of the open jobs have \(room.requestBytes) bytes, and may have \(most)"
    }
    return room.hasRoom(forRequest: request.body.count) && holding.isEmpty ? nil : whyFull
  }

  private func newJob(_ request: Request, at now: Moment) -> NewJob {
    NewJob(
      job: request.job, receivedAt: now.wall, body: request.body, signatureHash: request.signatureHash,
      limitSeconds: request.limitSeconds)
  }

  private mutating func newEntry(
    _ job: JobID, _ status: JobStatus, metadata: [UInt8]?, at now: Moment
  ) -> OutboxEntry {
    defer { nextUpdate = nextUpdate.next }
    return OutboxEntry(id: nextUpdate, job: job, status: status, metadata: metadata, storedAt: now.wall)
  }

  // MARK: Dispatch

  mutating func listenerReady(_ id: JobID, at now: Moment) {
    guard let job = jobs[id], job.phase == .accepted, stopStep == nil else { return }
    let allowed = allowedTime(job.limitSeconds)
    let deadline = Deadline(boot: now.boot + allowed, bootID: bootID, wall: now.wall + allowed)
    jobs[id]?.phase = .dispatching
    jobs[id]?.deadline = deadline.boot
    jobs[id]?.isTask = settings.tasks != nil
    note(deadline: deadline.boot)
    commit([.setDispatching(id, deadline, isTask: settings.tasks != nil)], then: .dispatching(id))
  }

  mutating func commandKnowledge(_ id: JobID, _ knowledge: CommandKnowledge, at now: Moment) {
    guard let job = jobs[id], job.phase == .dispatching else { return }
    switch knowledge {
    case .started: break
    // Asked again for what an earlier Supervisor may have put into the queue, the broker knows.
    case .neverStarted: wantBody(id)
    case .unknown:
      if settings.commandIsLauncher || job.isTask { return }
      fail(
        id, reason: .genericError,
        message: "the service was restarted while the job's command ran, which ended the command", at: now)
    }
  }

  private mutating func wantBody(_ id: JobID) {
    if let job = jobs[id] { bodies.want(id, bytes: job.bodyBytes) }
  }

  /// Reads the requests for which there is room on the way to their commands.
  mutating func loadBodies() {
    while let id = bodies.next() {
      // It may have ended while it waited.
      if jobs[id]?.phase == .dispatching { actions.append(.loadBody(id)) } else { bodies.arrived(id) }
    }
  }

  mutating func bodyLoaded(_ id: JobID, _ body: [UInt8]?, at now: Moment) {
    guard let job = jobs[id], job.phase == .dispatching else { return }
    guard let body else {
      fail(id, reason: .genericError, message: "the job's request is no longer on record", at: now)
      return
    }
    let left = (job.beginBy ?? now.boot) - now.boot
    if settings.tasks != nil, left <= .zero { return failUndispatched(id, job.delay, at: now) }
    actions.append(.toSupervisor(.dispatch(id, body: body, beginBy: (now.wall + left).milliseconds)))
  }

  /// The broker was not to be had. Until the Supervisor asks for its request again, the job waits for no attempt.
  mutating func dispatchDelayed(_ id: JobID, _ reason: String, at now: Moment) {
    bodies.arrived(id)
    guard let job = jobs[id], job.phase == .dispatching else { return }
    jobs[id]?.delay = reason
    if let beginBy = job.beginBy, beginBy <= now.boot { return failUndispatched(id, reason, at: now) }
    note(deadline: job.beginBy)
  }

  private mutating func failUndispatched(_ id: JobID, _ reason: String?, at now: Moment) {
    fail(
      id, reason: .unhandledTimeout,
      message: "its task could not be put into the queue in time: \(reason ?? "the service did not run")", at: now)
  }

  // MARK: Updates

  mutating func update(
    _ listener: ListenerID, _ id: JobID, _ number: SequenceNumber, _ status: JobStatus, metadata: [UInt8]?,
    at now: Moment
  ) {
    guard let job = jobs[id] else {
      actions.append(.toListener(listener, .refused(number, .jobClosed, "the job is closed")))
      return
    }
    if job.statuses.contains(status) {
      // The first metadata stands. While its commit is under way the answer waits for it in the same order.
      if job.uncommitted.contains(JobStatusSet(status)) {
        commit([], then: .alreadyStored(listener, number))
      } else {
        actions.append(.toListener(listener, .stored(number)))
      }
      return
    }
    guard !job.hasTerminal else {
      // As long as the terminal status is not durable, a successor may have the job open.
      if job.uncommitted.isEmpty {
        refuseUpdate(listener, number)
      } else {
        commit([], then: .refusedUpdate(listener, number))
      }
      return
    }
    let entry = OutboxEntry(
      id: nextUpdate, job: id, status: status, metadata: metadata, storedAt: now.wall)
    guard mayStore(entry, from: listener) else {
      hold(listener, entry)
      return
    }
    if !holding.isEmpty { hasRoom(listener) }
    nextUpdate = nextUpdate.next
    commit(record(entry, at: now), then: .update(listener, number, entry))
  }

  private mutating func refuseUpdate(_ listener: ListenerID, _ number: SequenceNumber) {
    let text = "the job has its terminal status; nothing can follow it"
    actions.append(.toListener(listener, .refused(number, .jobClosed, text)))
  }

  /// The operations that put an update into the record, and the job's state with it.
  private mutating func record(_ entry: OutboxEntry, at now: Moment) -> [StoreOperation] {
    let bodyBytes = change(entry.job) { job in
      job.statuses.append(entry.status)
      job.uncommitted.insert(JobStatusSet(entry.status))
      guard entry.status.isTerminal else { return 0 }
      job.phase = .ended
      defer { job.bodyBytes = 0 }
      return job.bodyBytes
    }
    room.take(entry.need)
    guard entry.status.isTerminal else { return insertion(of: entry) }
    room.openJobs -= 1
    room.bytes -= bodyBytes ?? 0
    room.requestBytes -= bodyBytes ?? 0
    bodies.arrived(entry.job)
    remembered.append((entry.job, now.boot + Self.memory))
    return insertion(of: entry) + [.end(entry.job, at: now.wall)]
  }

  mutating func commandExited(_ listener: ListenerID, _ id: JobID, _ exit: CommandExit, at now: Moment) {
    guard let job = jobs[id] else {
      actions.append(.toListener(listener, .exitStored))
      return
    }
    var operations: [StoreOperation] = job.exitStored ? [] : [.setExit(id, exit)]
    var entry: OutboxEntry?
    if !job.hasTerminal {
      let terminal = newEntry(id, .hordeFailed, metadata: exitMetadata(exit), at: now)
      operations += record(terminal, at: now)
      entry = terminal
      let what = exit.task.map { "its task ended as \($0.state) (\($0.error))" } ?? "its command ended"
      log(.warning, .jobEnded, "\(what) without a terminal status; horde_failed is reported", job: id)
    }
    jobs[id]?.exitStored = true
    commit(operations, then: .exit(id, listener, entry))
  }

  private func exitMetadata(_ exit: CommandExit) -> [UInt8] {
    let text = String(decoding: exit.stderrTail, as: UTF8.self)
    if let task = exit.task {
      return StatusMetadata.hordeFailed(
        reason: .genericError, message: "the job's task \(exit) without a terminal status: \(task.error)",
        context: .object([JSONMember("task_state", .string(task.state)), JSONMember("traceback", .string(text))]))
    }
    var context = [JSONMember("stderr", .string(text))]
    if let code = exit.code { context.append(JSONMember("exit_code", .number(String(code)))) }
    if let signal = exit.signal { context.append(JSONMember("signal", .number(String(signal)))) }
    let why = stopStep != nil ? ", while the service stopped" : ""
    return StatusMetadata.hordeFailed(
      reason: .genericError, message: "the job's command \(exit) without a terminal status\(why)",
      context: .object(context))
  }

  /// Ends a job on our own account, and then stops its command.
  mutating func fail(_ id: JobID, reason: HordeFailureReason, message: String, at now: Moment) {
    guard let job = jobs[id], !job.hasTerminal else { return }
    log(.warning, .jobEnded, "horde_failed (\(reason.rawValue)): \(message)", job: id)
    let metadata = StatusMetadata.hordeFailed(reason: reason, message: message)
    let entry = newEntry(id, .hordeFailed, metadata: metadata, at: now)
    commit(record(entry, at: now), then: .ownTerminal(entry))
  }

  mutating func failOverdueJobs(at now: Moment) {
    guard let earliest = earliestDeadline, earliest <= now.boot else { return }
    earliestDeadline = nil
    var overdue: [(JobID, Job)] = []
    for (id, job) in jobs where !job.hasTerminal {
      // While its task cannot be put into the queue and no attempt is under way, the time to begin counts.
      let isDelayed = job.delay != nil && !bodies.isWanted(id)
      guard let deadline = isDelayed ? job.beginBy : job.deadline else { continue }
      if deadline <= now.boot { overdue.append((id, job)) } else { note(deadline: deadline) }
    }
    for (id, job) in overdue.sorted(by: { $0.0 < $1.0 }) {
      if let deadline = job.deadline, now.boot < deadline {
        failUndispatched(id, job.delay, at: now)
        continue
      }
      fail(
        id, reason: .unhandledTimeout,
        message: "no terminal status within the job's limits of \(job.limitSeconds) s and "
          + "\(settings.graceSeconds) s of grace"
          + (settings.tasks.map { ", and \($0.queueSeconds) s in the queue" } ?? "") + job.whyNotBegun, at: now)
    }
  }

  /// Jobs that have ended are in the record alone after a while.
  mutating func forgetEndedJobs(at now: Moment) {
    while let oldest = remembered.first, oldest.until <= now.boot {
      remembered.removeFirst()
      if let job = jobs[oldest.job], job.listener != nil || !job.uncommitted.isEmpty {
        remembered.append((oldest.job, now.boot + Self.memory))
        continue
      }
      if let hash = jobs[oldest.job]?.signatureHash { signatures[hash] = nil }
      jobs[oldest.job] = nil
    }
  }

  // MARK: What is durable

  mutating func committed(_ what: AfterCommit, at now: Moment) {
    switch what {
    case .nothing: break
    case .accepted(let id, let entry):
      requestsBeingStored.end()
      became(durable: entry, at: now.boot)
      figures.jobsReceived += 1
      actions.append(.toSupervisor(.openJob(OpenJob(job: id, phase: .accepted))))
    case .dispatching(let id): wantBody(id)
    case .update(let listener, let number, let entry):
      became(durable: entry, at: now.boot)
      if listeners[listener] != nil { actions.append(.toListener(listener, .stored(number))) }
      if entry.status.isTerminal { ended(entry, at: now) }
    case .cheat(let report):
      requestsBeingStored.end()
      put(report, at: now.boot)
    case .hookTaken(let run): hookTaken(run, at: now.boot)
    case .alreadyStored(let listener, let number), .specs(let listener, let number):
      if listeners[listener] != nil { actions.append(.toListener(listener, .stored(number))) }
    case .refusedUpdate(let listener, let number):
      if listeners[listener] != nil { refuseUpdate(listener, number) }
    case .exit(let id, let listener, let entry):
      if let entry {
        became(durable: entry, at: now.boot)
        ended(entry, at: now)
      }
      if listeners[listener] != nil { actions.append(.toListener(listener, .exitStored)) }
      actions.append(.toSupervisor(.exitStored(id)))
    case .ownTerminal(let entry):
      became(durable: entry, at: now.boot)
      ended(entry, at: now)
      actions.append(.toSupervisor(.stopCommand(entry.job)))
    case .buried(let id): outbox.buried(id)
    case .closed(let id):
      outbox.buried(id)
      let statuses = jobs[id]?.statuses.map(\.name).joined(separator: ", ") ?? ""
      log(.info, .jobClosed, statuses.isEmpty ? "closed" : "closed after \(statuses)", job: id)
      actions.append(.toSupervisor(.jobClosed(id)))
      jobs[id]?.phase = .closed
    case .drained:
      actions.append(.close(connection: connection))
      actions.append(.toSupervisor(.stopped(.drain)))
      actions.append(.exit(ExitCode.success))
    case .jobsClosed:
      actions.append(.toSupervisor(.stopped(.closeJobs)))
    case .revived(let question, let letters, let refusals): revived(question, letters, refusals, at: now)
    case .droppedDead(let question, let letters, let refusals): droppedDead(question, letters, refusals, at: now)
    }
  }

  private mutating func became(durable entry: OutboxEntry, at now: Instant) {
    _ = change(entry.job) { $0.uncommitted.remove(JobStatusSet(entry.status)) }
    queued += 1
    figures.updatesStored += 1
    hookRoom.stored()
    log(.updateStored, "stored", entry, at: now)
    // While older updates wait in the record alone, this one is read with them in its turn.
    // A load that is under way has seen it: the record does one thing after the other.
    if backlog.isLoading { return }
    // So is what would not fit, or may follow what was put out of memory.
    if backlog.hasGaps || outbox.count >= Self.pageSize || outbox.bytes >= Self.pageBytes { backlog.hasMore = true }
    guard !backlog.hasMore else { return }
    backlog.readUpTo = max(backlog.readUpTo, entry.id)
    outbox.enqueue(entry)
  }

  /// The terminal status of a job that was accepted is durable.
  private mutating func ended(_ terminal: OutboxEntry, at now: Moment) {
    guard let job = jobs[terminal.job] else { return }
    figures.ended(terminal.status, after: now.boot - job.receivedAt)
    if let listener = job.listener { actions.append(.toListener(listener, .ended)) }
  }
}

extension UplinkCore.Job {
  /// Whoever begins later cannot end before the deadline.
  var beginBy: Instant? { deadline.map { $0 + .seconds(-limitSeconds) } }

  /// Behind the news that its time is over: why its work was not begun, if that is so.
  fileprivate var whyNotBegun: String {
    switch phase {
    case .accepted: "; its command was not started: its Listener was not ready"
    case .dispatching where isTask && command == nil:
      delay.map { "; its task was not put into the queue: \($0)" } ?? "; its task is not known to be in the queue"
    default: ""
    }
  }
}
