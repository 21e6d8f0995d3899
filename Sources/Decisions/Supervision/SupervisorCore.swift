import Messages

/// What the Supervisor decides: who runs, who is told what, and what a death leads to.
///
/// It knows nothing that Uplink would not tell it again, but for one thing: which commands it has started
/// itself. Source: DESIGN.md, One job, Rules of restart, promise 5.
public struct SupervisorCore: Sendable {
  public enum Event: Sendable {
    case childSpawned(ChildKey, Generation, pid: Int32)
    /// The process could not be made; counts as a death before Ready.
    case spawnFailed(ChildKey, Generation, reason: String)
    case childExited(ChildKey, Generation, ProcessExit)
    case fromUplink(UplinkToSupervisor, Generation)
    case fromListener(Channel, ListenerToSupervisor, Generation)
    /// A frame that cannot be, or too many that were not read.
    case misbehaved(ChildKey, Generation, reason: String)
    case commandStarted(JobID, CommandRecord)
    case commandFailed(JobID, reason: String)
    case commandExited(JobID, CommandExit)
    /// A run of a hook has ended; nil when it could not be started.
    case hookExited(HookRun, CommandExit?)
    /// SIGHUP.
    case reloadRequested
    /// After `readConfiguration`: what the file says now.
    case configurationRead(Reload)
    /// After `readConfiguration`: why it cannot be used, one line a problem.
    case configurationUnusable([String])
    /// hordelinkctl asks; answered by `answerControl` with the same number.
    case controlQuery(UInt64, UplinkQuery)
    /// SIGTERM or SIGINT; a second one hurries.
    case stopRequested
    case timeReached
  }

  public enum Action: Sendable, Equatable {
    case spawnUplink(Generation)
    /// Makes the channel's ingress socket where there is none, and spawns its Listener.
    case spawnListener(Channel, Generation)
    /// `beginBy`, in milliseconds since 1970: from then on its work cannot end in time.
    case spawnCommand(JobID, body: [UInt8], beginBy: Int64)
    case spawnHook(HookRun, [TaskOrder.Task])
    /// To the hook's whole process group.
    case signalHook(HookRun, signal: Int32)
    case signalChild(ChildKey, pid: Int32, signal: Int32)
    /// To the command's whole process group.
    case signalCommand(JobID, signal: Int32)
    /// Kills what an earlier Supervisor left running, if it is still that process.
    case killLeftover(JobID, CommandRecord)
    case toUplink(SupervisorToUplink)
    case toListener(Channel, SupervisorToListener)
    case removeIngress(JobID)
    /// Drops ingress sockets on the disk that belong to none of these jobs.
    case keepIngress(only: Set<JobID>)
    case answerControl(UInt64, [ChildReport], UplinkReport?)
    /// Read the configuration again, and hold what it says without using it.
    case readConfiguration
    /// Use what was read last.
    case useConfiguration
    case notifyReady
    case notifyReloading
    /// `within`: the longest that the stop can take.
    case notifyStopping(within: Duration)
    case notifyStatus(String)
    case log(LogEntry)
    case exit(Int32)
  }

  /// What the Supervisor's configuration says that matters here.
  public struct Settings: Sendable {
    /// Uplink's, sent first to each generation of it.
    public var uplink: UplinkSettings
    /// Where workers report besides their jobs' sockets; nil: nowhere.
    public var redis: RedisChannelSettings?
    public var uplinkSocket: String
    /// How long a command has after SIGTERM.
    public var stopGrace: Duration

    public init(
      uplink: UplinkSettings, redis: RedisChannelSettings? = nil, uplinkSocket: String, stopGrace: Duration
    ) {
      self.uplink = uplink
      self.redis = redis
      self.uplinkSocket = uplinkSocket
      self.stopGrace = stopGrace
    }
  }

  enum Stage: Sendable, Equatable {
    case running
    /// Ordered stop, one step after the other, each until its deadline.
    case stoppingCommands(until: Instant)
    case closingJobs(until: Instant)
    case stoppingListeners(until: Instant)
    case draining
    case exited
  }

  public internal(set) var settings: Settings
  var stage = Stage.running
  var uplink: Child
  var specs: Child
  var jobs = Timetable<JobID, SupervisedJob>()
  var hooks: [HookRun: SupervisedHook] = [:]
  var generation = Generation.none
  var dice: Dice
  var announcedReady = false
  /// Announced as ready although Uplink has not been yet.
  var isDegraded = false
  /// The open jobs that this Uplink has told.
  var inventory: Set<JobID> = []
  /// No Uplink has told its inventory yet.
  var isNew = true
  /// Jobs whose sockets an earlier Supervisor has left open, until their Listeners have been started.
  var inherited: Set<JobID>
  var uplinkState: UplinkState?
  var exitCode = ExitCode.success
  var reload = ReloadStage.none
  /// A reload is asked for, and begins once Uplink is ready and no other one is under way.
  var reloadWaits = false
  /// The last Uplink ended before it was ready.
  var uplinkCannotStart = false
  /// No new jobs are taken, until a person says otherwise or the service restarts.
  var isDraining = false
  var restarts = ChildRestarts()
  /// Questions of hordelinkctl that Uplink has not answered yet, with the time by which it must have.
  var questions: [UInt64: Instant] = [:]
  /// Lines that Listeners have asked for.
  var listenerLines: LineLimits<Channel>
  var actions: [Action] = []

  /// In characters.
  private static let longestLine = 2000

  /// - Parameters:
  ///   - inherited: jobs whose sockets an earlier Supervisor has left open, with those who wait there.
  ///   - seed: of the jitter.
  public init(settings: Settings, inherited: Set<JobID> = [], seed: UInt64, at now: Instant) {
    self.settings = settings
    self.inherited = inherited
    dice = Dice(seed: seed)
    listenerLines = LineLimits(LineLimit.relayed, at: now)
    uplink = Child(.uplink, at: now)
    specs = Child(.listener(.specs), at: now)
  }

  /// What happened and when, and what to do about it, in order.
  public mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    actions = []
    // Nobody is left to carry anything out.
    guard stage != .exited else { return [] }
    switch event {
    case .childSpawned(let key, let generation, let pid):
      withChild(key) { if $0.isCurrent(generation) { $0.hasPID(pid) } }
      log(.info, .childStarted, "\(key.name) started", child: key)
    case .spawnFailed(let key, let generation, let reason):
      guard child(key)?.isCurrent(generation) == true else { break }
      childDied(key, .code(ExitCode.software), reason: "could not be started: \(reason)", at: now)
    case .childExited(let key, let generation, let exit):
      guard child(key)?.isCurrent(generation) == true else { break }
      childDied(key, exit, at: now)
    case .fromUplink(let message, let generation):
      guard uplink.isCurrent(generation) else { break }
      fromUplink(message, at: now)
    case .fromListener(let channel, let message, let generation):
      guard child(.listener(channel))?.isCurrent(generation) == true else { break }
      fromListener(channel, message, at: now)
    case .misbehaved(let key, let generation, let reason):
      guard child(key)?.isCurrent(generation) == true else { break }
      log(.error, .badMessage, "\(key.name) sent \(reason); it is replaced", child: key)
      withChild(key) { $0.misbehaved(at: now) }
    case .commandStarted(let job, let record): commandStarted(job, record, at: now)
    case .commandFailed(let job, let reason):
      if settings.uplink.tasks == nil { commandFailed(job, reason) } else { delayDispatch(job, reason, at: now) }
    case .commandExited(let job, let exit): commandExited(job, exit, at: now)
    case .hookExited(let run, let exit): hookExited(run, exit)
    case .reloadRequested: reloadRequested()
    case .configurationRead(let reload): configurationRead(reload)
    case .configurationUnusable(let problems): configurationUnusable(problems)
    case .controlQuery(let number, let query): ask(number, query, at: now)
    case .stopRequested: stopRequested(at: now)
    case .timeReached: break
    }
    carryOn(at: now)
    jobs.settle()
    // Behind all that is still to be done, such as the end of what hangs.
    if stage == .exited { actions.append(.exit(exitCode)) }
    return actions
  }

  /// When `timeReached` is wanted next.
  public var nextDeadline: Instant? {
    var deadlines = [uplink.nextDeadline, specs.nextDeadline, jobs.nextDeadline, questions.values.min()]
    deadlines += hooks.values.map(\.teardown.nextSignalAt)
    switch stage {
    case .stoppingCommands(let until), .closingJobs(let until), .stoppingListeners(let until):
      deadlines.append(until)
    default: break
    }
    return deadlines.compactMap(\.self).min()
  }

  // MARK: Children

  func child(_ key: ChildKey) -> Child? {
    switch key {
    case .uplink: uplink
    case .listener(.specs): specs
    case .listener(.job(let job)): jobs[job]?.listener
    }
  }

  mutating func withChild(_ key: ChildKey, _ change: (inout Child) -> Void) {
    switch key {
    case .uplink: change(&uplink)
    case .listener(.specs): change(&specs)
    case .listener(.job(let job)):
      if var child = jobs[job]?.listener {
        change(&child)
        jobs[job]?.listener = child
      }
    }
  }

  private mutating func childDied(_ key: ChildKey, _ exit: ProcessExit, reason: String? = nil, at now: Instant) {
    guard var child = child(key) else { return }
    let pid = child.run?.pid
    let generation = child.run?.generation
    let wanted = !child.stopping
    if key == .uplink { uplinkCannotStart = !child.isReady }
    let decision = child.died(exit, reason: reason, at: now, dice: &dice)
    withChild(key) { $0 = child }
    func entry(_ priority: LogPriority, _ event: JournalEvent, _ what: String) -> LogEntry {
      LogEntry(
        priority, event, "\(key.name) \(reason ?? exit.description)\(what)", child: key, pid: pid,
        generation: generation)
    }
    switch decision {
    case .restart(let delay):
      let when = delay == .zero ? "at once" : "in \(delay.wholeMilliseconds) ms"
      actions.append(.log(entry(.warning, .childDied, "; its successor starts \(when)")))
      countRestart(of: key)
      if key == .uplink, stage == .running { uplinkFailed(reason ?? exit.description) }
    case .passUp:
      actions.append(
        .log(
          entry(
            .critical, .configurationWrong,
            ": the configuration is wrong, see its message above; mend it and start the service again")))
      exitCode = ExitCode.configuration
      beginStop(at: now)
    case .end:
      let expected = exit == .code(ExitCode.success) || !wanted
      actions.append(
        .log(entry(expected ? .info : .warning, expected ? .childEnded : .childDied, expected ? "" : "; not replaced")))
    }
    if key == .uplink { uplinkIsGone(at: now) }
    if case .listener(.job(let job)) = key, decision == .end { listenerEnded(job, at: now) }
  }

  private mutating func uplinkIsGone(at now: Instant) {
    inventory = []
    for run in hooks.keys { hooks[run]?.isAskedFor = false }
    reloadLost()
    resumeReload()
    for number in questions.keys.sorted() { answer(number, nil, at: now) }
  }

  private mutating func fromListener(_ channel: Channel, _ message: ListenerToSupervisor, at now: Instant) {
    let key = ChildKey.listener(channel)
    switch message {
    case .ready:
      withChild(key) { $0.becameReady(at: now) }
      log(.info, .childReady, "\(key.name) is ready", child: key)
      guard case .job(let id) = channel, let job = jobs[id] else { return }
      // What its predecessor was told may have died with it.
      if let exit = job.untoldExit { actions.append(.toListener(channel, .commandExited(exit))) }
      tellListenerReady(id)
    case .pong: withChild(key) { $0.answeredPing() }
    case .log(let priority, let text):
      let (passes, dropped) = listenerLines.admit(channel, at: now)
      guard passes else { return }
      if let leftOut = LineLimit.leftOut(dropped) { log(.warning, .listenerMessage, leftOut, child: key) }
      log(priority, .listenerMessage, String(text.prefix(Self.longestLine)), child: key)
    case .finished:
      withChild(key) { $0.finished() }
    }
  }

  // MARK: Time

  /// Does what is due, for every child and every command, and moves an ordered stop along.
  private mutating func carryOn(at now: Instant) {
    advanceStop(at: now)
    stopOverdueHooks(at: now)
    serve(.uplink, at: now)
    serve(.listener(.specs), at: now)
    for id in jobs.due(at: now) {
      serveDispatch(id, at: now)
      guard let job = jobs[id] else { continue }
      if let due = job.listener?.nextDeadline, due <= now { serve(.listener(.job(id)), at: now) }
      if let due = job.teardown?.nextSignalAt, due <= now,
        let signal = jobs[id]?.teardown?.dueSignal(at: now)
      {
        actions.append(.signalCommand(id, signal: signal))
      }
    }
    for number in questions.filter({ $0.value <= now }).keys.sorted() { answer(number, nil, at: now) }
  }

  private mutating func serve(_ key: ChildKey, at now: Instant) {
    guard stage != .exited else { return }
    while let demand = demand(key, at: now) {
      switch demand {
      case .spawn:
        let next = generation.next
        generation = next
        withChild(key) { $0.spawned(next, at: now) }
        spawn(key)
      case .ping:
        switch key {
        case .uplink: actions.append(.toUplink(.ping(UInt64(now.nanoseconds))))
        case .listener(let channel):
          actions.append(.toListener(channel, .ping(UInt64(now.nanoseconds))))
        }
      case .signal(let signal, let hung):
        if hung {
          log(
            .warning, .childHung,
            "\(key.name) has not answered for \(Child.pingDeadline.wholeSeconds) s; it is killed and replaced",
            child: key)
        }
        if let pid = child(key)?.run?.pid {
          actions.append(.signalChild(key, pid: pid, signal: signal))
        }
      }
    }
  }

  private mutating func demand(_ key: ChildKey, at now: Instant) -> Child.Demand? {
    var demand: Child.Demand?
    withChild(key) { demand = $0.demand(at: now) }
    return demand
  }

  private mutating func spawn(_ key: ChildKey) {
    switch key {
    case .uplink:
      actions.append(.spawnUplink(generation))
      var uplink = settings.uplink
      // Told by a message of its own, it could take a job before.
      uplink.refuseJobs = isDraining
      actions.append(.toUplink(.configure(uplink)))
    case .listener(let channel):
      actions.append(.spawnListener(channel, generation))
      actions.append(
        .toListener(
          channel,
          .assign(
            ListenerSettings(
              job: key.job, uplinkSocket: settings.uplinkSocket, maxFrameBytes: settings.uplink.maxFrameBytes,
              redis: settings.redis)
          )))
    }
  }

  mutating func log(
    _ priority: LogPriority, _ event: JournalEvent, _ text: String, job: JobID? = nil, child key: ChildKey? = nil
  ) {
    let run = key.flatMap { child($0)?.run }
    actions.append(
      .log(
        LogEntry(
          priority, event, text, job: job, child: key, pid: run?.pid, generation: run?.generation)))
  }
}
