import Messages

// What the Supervisor and the Listeners say, and the ordered stop.
extension UplinkCore {
  mutating func fromSupervisor(_ message: SupervisorToUplink, at now: Moment) {
    switch message {
    case .configure:
      log(.warning, .badMessage, "configured twice; the first settings stand")
    case .ping:
      // Answered by the loop itself, which alone knows the age of what is not committed.
      break
    case .listenerReady(let job, _): listenerReady(job, at: now)
    case .commandKnowledge(let job, let knowledge): commandKnowledge(job, knowledge, at: now)
    case .commandStarted(let job, let record):
      bodies.arrived(job)
      guard jobs[job] != nil else { return }
      jobs[job]?.command = record
      jobs[job]?.delay = nil
      commit([.setCommand(job, record)], then: .nothing)
    case .dispatchFailed(let job, let reason):
      bodies.arrived(job)
      fail(
        job, reason: .unhandledException, message: "the job's command could not be started: \(reason)",
        at: now)
    case .dispatchDelayed(let job, let reason): dispatchDelayed(job, reason, at: now)
    case .stop(let step): stop(step, at: now)
    case .hookExited(let run, let last, let exit): hookExited(run, last: last, exit, at: now)
    case .refuseJobs(let refuse): isDraining = refuse
    case .restarts(let restarts): figures.restarts = restarts
    case .reload:
      // Comes back as `reloaded` from the loop, which holds the key.
      break
    case .query(let number, let query): answer(number, query, at: now)
    }
  }

  mutating func fromListener(
    _ listener: ListenerID, _ message: ListenerToUplink, _ generation: Generation, at now: Moment
  ) {
    if case .hello(let job, _) = message {
      hello(listener, job, generation, at: now.boot)
      return
    }
    guard !dropped.contains(listener), !greetings.contains(where: { $0.listener == listener }) else { return }
    guard let link = listeners[listener] else {
      complain("a Listener spoke before it said hello; its connection is closed", at: now.boot)
      drop(listener)
      return
    }
    // It begins again from its next hello.
    guard case .open = link.hearing else { return }
    switch (message, link.channel) {
    case (.update(let number, let status, let metadata), .job(let job)):
      update(listener, job, number, status, metadata: metadata, at: now)
    case (.commandExited(let exit), .job(let job)): commandExited(listener, job, exit, at: now)
    case (.specs(let number, let specs), .specs): specsReported(listener, number, specs)
    default:
      complain(
        "a Listener sent what its channel does not carry; its connection is closed", link.channel.job, at: now.boot)
      drop(listener)
    }
  }

  private mutating func hello(_ listener: ListenerID, _ job: JobID?, _ generation: Generation, at now: Instant) {
    guard let id = job else { return helloForSpecs(listener, generation, at: now) }
    guard let job = jobs[id] else {
      greetings.append((id, listener, generation))
      actions.append(.loadJob(id))
      return
    }
    guard generation >= job.listenerGeneration else {
      complain("a Listener that has been replaced said hello; it is not heard", id, at: now)
      drop(listener)
      return
    }
    if let older = job.listener, older != listener {
      listeners[older] = nil
      drop(older)
    }
    var link = ListenerLink(channel: .job(id))
    if let before = listeners[listener], case .resuming = before.hearing { link.need = before.need }
    listeners[listener] = link
    jobs[id]?.listener = listener
    jobs[id]?.listenerGeneration = generation
    // A terminal status whose commit is under way is told when it is durable.
    let ended = job.hasTerminal && job.uncommitted.isEmpty
    actions.append(.toListener(listener, .welcome(ended: ended)))
  }

  /// Only the newest Listener of machine specs is heard: what a dead one had sent may be read behind what its successor
  /// was sent since, and would stand as the newest of its miner.
  private mutating func helloForSpecs(_ listener: ListenerID, _ generation: Generation, at now: Instant) {
    guard generation >= specsGeneration else {
      complain("a Listener of machine specs that has been replaced said hello; it is not heard", at: now)
      drop(listener)
      return
    }
    if let older = specsListener, older != listener {
      listeners[older] = nil
      drop(older)
    }
    specsListener = listener
    specsGeneration = generation
    listeners[listener] = ListenerLink(channel: .specs)
    actions.append(.toListener(listener, .welcome(ended: false)))
  }

  /// A job that ended a while ago is remembered again, for a worker whose last acknowledgement was lost.
  mutating func jobLoaded(_ id: JobID, _ stored: StoredJob?, at now: Moment) {
    if jobs[id] == nil, let stored, stored.phase.hasTerminalStatus {
      jobs[id] = Job(stored, deadline: nil, at: now)
      remembered.append((id, now.boot + Self.memory))
    }
    let waiting = greetings.filter { $0.job == id }
    greetings.removeAll { $0.job == id }
    for (_, listener, generation) in waiting {
      if jobs[id] == nil {
        actions.append(.toListener(listener, .unknownJob))
      } else {
        hello(listener, id, generation, at: now.boot)
      }
    }
  }

  /// A line that a Listener could cause again and again.
  private mutating func complain(_ text: String, _ job: JobID? = nil, at now: Instant) {
    let (passes, dropped) = listenerLines.admit(job, at: now)
    guard passes else { return }
    if let leftOut = LineLimit.leftOut(dropped) { log(.warning, .badMessage, leftOut, job: job) }
    log(.error, .badMessage, text, job: job)
  }

  private mutating func drop(_ listener: ListenerID) {
    dropped.insert(listener)
    actions.append(.dropListener(listener))
  }

  mutating func listenerGone(_ listener: ListenerID) {
    dropped.remove(listener)
    greetings.removeAll { $0.listener == listener }
    if specsListener == listener { specsListener = nil }
    guard case .job(let id) = listeners.removeValue(forKey: listener)?.channel else { return }
    if jobs[id]?.listener == listener { jobs[id]?.listener = nil }
  }

  // MARK: Stopping

  private mutating func stop(_ step: StopStep, at now: Moment) {
    stopStep = step
    switch step {
    case .refuseJobs: actions.append(.toSupervisor(.stopped(.refuseJobs)))
    case .closeJobs: closeJobs(at: now)
    case .drain: drainUntil = now.boot + .seconds(settings.drainSeconds)
    }
  }

  /// The commands have been stopped: the jobs that ran here end here.
  private mutating func closeJobs(at now: Moment) {
    guard !settings.commandIsLauncher else {
      actions.append(.toSupervisor(.stopped(.closeJobs)))
      return
    }
    for (id, job) in jobs.sorted(by: { $0.key < $1.key }) where job.phase == .dispatching && !job.isTask {
      fail(id, reason: .genericError, message: "the service was stopped while the job ran", at: now)
    }
    // Told once everything before it is durable.
    commit([], then: .jobsClosed)
  }

  mutating func advanceStop(at now: Moment) {
    guard stopStep == .drain, let until = drainUntil else { return }
    let drained = queued == 0 && outbox.inFlight == 0 && rejections.count == 0
    guard drained || until <= now.boot else { return }
    drainUntil = nil
    session.close()
    if !drained {
      log(.warning, .serviceStopping, "\(queued) updates did not drain; they are sent after the next start")
    }
    // What was delivered is retired first, or it would be sent again after the next start.
    commit([], then: .drained)
  }

  // MARK: Time and questions

  mutating func timeReached(at now: Moment) {
    failOverdueJobs(at: now)
    forgetEndedJobs(at: now)
    expire(at: now)
    checkDisk(at: now.boot)
  }

  private mutating func answer(_ number: UInt64, _ query: UplinkQuery, at now: Moment) {
    var report = UplinkReport(state: state(at: now))
    switch query {
    case .status, .drain: break
    case .jobs:
      // A frame has its bounds, and a person reads no more.
      report.jobs = jobs.filter { $0.value.phase != .closed }.sorted { $0.key < $1.key }.prefix(10_000).map { id, job in
        JobReport(
          job: id, phase: job.phase,
          seconds: max(0, (now.boot - job.receivedAt).wholeSeconds), statuses: job.statuses, queued: outbox.queued(id))
      }
    case .queue: report.queue = outbox.report(limit: 1000)
    // Answered once the record has been asked.
    case .dead(let after):
      actions.append(.loadDead(number, after: UpdateID(Int64(after))))
      return
    case .retry(let letters):
      lookUpDead(number, letters, drop: false)
      return
    case .drop(let letters):
      lookUpDead(number, letters, drop: true)
      return
    }
    actions.append(.toSupervisor(.report(number, report)))
  }
}
