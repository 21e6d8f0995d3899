import DequeModule
import Messages
import Redis

/// What Uplink decides: the record of jobs and updates, who is told what once it is durable, and what goes to
/// the facilitator in which order. Source: DESIGN.md, One job, Promises, Rules of restart.
public struct UplinkCore: Sendable {
  /// A connection of a Listener to Uplink.
  public typealias ListenerID = ConnectionID

  /// A job request, once its signature has been looked at.
  public struct Request: Sendable {
    public var job: JobID
    public var body: [UInt8]
    public var signatureHash: [UInt8]?
    public var limitSeconds: Int
    /// Why its signature is refused; nil when it holds or is not to be verified.
    public var refusal: String?
    /// The record has a job of this uuid.
    public var isKnown: Bool
    /// The record has a job of another uuid with this signature.
    public var isReplay: Bool

    public init(
      job: JobID, body: [UInt8], signatureHash: [UInt8]?, limitSeconds: Int, refusal: String?,
      isKnown: Bool, isReplay: Bool
    ) {
      self.job = job
      self.body = body
      self.signatureHash = signatureHash
      self.limitSeconds = limitSeconds
      self.refusal = refusal
      self.isKnown = isKnown
      self.isReplay = isReplay
    }
  }

  /// Those with much in them are `indirect`: every event is as large as the largest, and most are small.
  public enum Event: Sendable {
    indirect case fromSupervisor(SupervisorToUplink)
    case fromListener(ListenerID, ListenerToUplink, Generation)
    case listenerGone(ListenerID)
    indirect case requested(Request)
    /// The WebSocket of that number is open.
    case opened(connection: UInt64)
    case answered(FacilitatorAnswer, connection: UInt64)
    /// Something that may have been an answer and cannot be read as one.
    case unreadableAnswer(connection: UInt64)
    /// The pong to the ping of that number.
    case ponged(UInt64, connection: UInt64)
    /// The line as `lookAtLine` has seen it.
    case line(LineState, connection: UInt64)
    /// A cheat report whose signature holds, and is not on record.
    case cheated([UInt8], signatureHash: [UInt8])
    /// The hotkey and the certificates have been read again, for the next connection, and these settings are in effect.
    indirect case reloaded(UplinkSettings)
    case lost(reason: String, connection: UInt64)
    /// The commit that this belonged to is durable. Commits and loads are told in the order they were asked for.
    case committed(AfterCommit)
    /// A transaction of the record is durable; what it committed was told before.
    case transacted
    case loaded([OutboxEntry], more: Bool)
    case loadedForHook([OutboxEntry], more: Bool)
    case bodyLoaded(JobID, [UInt8]?)
    /// What `loadJob` found; nil when the record has no such job.
    indirect case jobLoaded(JobID, StoredJob?)
    /// What `loadDead` found, for the question of that number.
    case deadLoaded(UInt64, [DeadLetter])
    /// What `lookUpDead` found.
    case deadFound(DeadLetterRequest, [FoundDeadLetter])
    /// So many closed jobs have expired.
    case expired(Int)
    /// The disk has no room but the reserve, or has some again.
    case disk(isFull: Bool)
    /// The server that holds the results of tasks.
    case resultsConnected
    case resultsReplied(RedisReply)
    case resultsLost(String)
    case timeReached
  }

  /// What a commit was for, given back when it is durable.
  public enum AfterCommit: Sendable, Hashable {
    case nothing
    case accepted(JobID, OutboxEntry)
    case dispatching(JobID)
    case update(ListenerID, SequenceNumber, OutboxEntry)
    /// The update was in the record, or on its way there, already.
    case alreadyStored(ListenerID, SequenceNumber)
    /// The terminal status that this came behind is durable.
    case refusedUpdate(ListenerID, SequenceNumber)
    case exit(JobID, ListenerID, OutboxEntry?)
    case ownTerminal(OutboxEntry)
    case closed(JobID)
    case buried(JobID)
    case specs(ListenerID, SequenceNumber)
    case cheat(CheatReport)
    case hookTaken(HookRun)
    /// The outbox is empty, or its time to drain is over.
    case drained
    /// Everything the second step of a stop wrote.
    case jobsClosed
    case revived(UInt64, [FoundDeadLetter], [DeadLetterRefusal])
    case droppedDead(UInt64, [UpdateID], [DeadLetterRefusal])
  }

  public enum Action: Sendable, Equatable {
    case commit([StoreOperation], then: AfterCommit)
    /// The next updates of the record behind that one, in the order of their numbers.
    /// Where updates before it may wait that are not in memory, those of their jobs are passed over.
    case load(after: UpdateID, limit: Int, passingOver: Bool)
    case loadBody(JobID)
    /// The next updates for the hook behind that one, in the order of their numbers.
    case loadForHook(after: UpdateID, limit: Int)
    /// A job that is in the record alone.
    case loadJob(JobID)
    /// The dead letters behind that number, for the question of the first number.
    case loadDead(UInt64, after: UpdateID)
    case lookUpDead(DeadLetterRequest)
    /// Forget the updates of jobs that were closed before the one time, and the jobs closed before the other; at most
    /// `limit` jobs at once.
    case expire(closedBefore: WallTime, forgottenBefore: WallTime, limit: Int)
    /// Make the reserve again, if the disk has the room.
    case checkDisk
    indirect case toSupervisor(UplinkToSupervisor)
    case toListener(ListenerID, UplinkToListener)
    case dropListener(ListenerID)
    case connect(connection: UInt64)
    /// Drop the connection, without a word.
    case disconnect(connection: UInt64)
    /// End the connection with a close frame.
    case close(connection: UInt64)
    case authenticate
    case heartbeat
    case ping(UInt64)
    /// Say how much of what was written the facilitator has taken, by `line`.
    case lookAtLine(connection: UInt64)
    case send(JobID, JobStatus, metadata: [UInt8]?)
    case sendSpecs(MachineSpecs)
    /// To the server that holds the results of tasks.
    case connectResults(RedisServer)
    case disconnectResults
    case sendResults([RedisCommand])
    case log(LogEntry)
    case exit(Int32)
  }

  struct Job: Sendable {
    var receivedAt: Instant
    var phase: JobPhase
    /// In the order in which they were stored.
    var statuses: [JobStatus]
    /// Statuses whose commit is not durable yet.
    var uncommitted: JobStatusSet = []
    var limitSeconds: Int
    var deadline: Instant?
    /// It was dispatched as a Celery task, whatever is set now.
    var isTask = false
    /// Why its task is not in the queue yet.
    var delay: String?
    var command: CommandRecord?
    var exitStored = false
    var signatureHash: [UInt8]?
    var bodyBytes: Int
    var listener: ListenerID?
    var listenerGeneration = Generation.none
    var hasTerminal: Bool { phase.hasTerminalStatus }
  }

  /// What a connection of a Listener is for, and whether it is heard.
  struct ListenerLink: Sendable {
    enum Hearing: Sendable {
      case open
      /// The record had no room for an update of its job, or for specs: what comes is not heard.
      case held
      /// It has been told to begin again, and is heard from its hello on.
      case resuming
    }

    var channel: Channel
    var hearing = Hearing.open
    /// Of the update that has a place in `holding` until it is stored. Once the Listener is heard again it is its turn.
    var need: RecordRoom.Need?
  }

  /// How many updates, and how many bytes of them, are held in memory for sending; the rest stay in the record
  /// until it is their turn.
  static let pageSize = 1024
  /// Failed attempts to connect after which there is an outage.
  static let attemptsOfAnOutage = 3
  /// How many updates for the hook are read at once, and how many are held in memory before that.
  static let hookPage = 1024
  static let hookCapacity = 32_768
  /// Cheat reports that may wait for the hook.
  static let cheatCapacity = 1000
  public static let pageBytes = 16 << 20

  /// How long a job is held in memory after its terminal status, so that a worker whose last acknowledgement was lost
  /// can ask again. Whoever comes later is answered from the record.
  public static let memory = Duration.seconds(60)
  /// How long a commit may take before that is told as an illness.
  static let slowCommit = Duration.seconds(10)

  public internal(set) var settings: UplinkSettings
  let bootID: String
  var dice: Dice
  var jobs: [JobID: Job] = [:]
  var signatures: [[UInt8]: JobID] = [:]
  var listeners: [ListenerID: ListenerLink] = [:]
  /// The one of machine specs that is heard, and the generation of the last one that was.
  var specsListener: ListenerID?
  var specsGeneration = Generation.none
  /// Listeners with an update that waits for room in the record, in the order in which they came.
  var holding = Deque<ListenerID>()
  /// The same for machine specs, which have bounds of their own.
  var holdingSpecs: [ListenerID] = []
  /// Listeners that have said hello for a job which is looked up in the record. A dead one may be among them, whose
  /// hello was still to be read.
  var greetings: [(job: JobID, listener: ListenerID, generation: Generation)] = []
  /// Connections that are being closed: what still comes from them is not heard.
  var dropped: Set<ListenerID> = []
  var outbox: Outbox
  var specs = SpecsQueue()
  var cheats = HookQueue<UInt64, CheatReport>()
  /// The numbers of those, by the hashes of their signatures.
  var cheatHashes: [[UInt8]: UInt64] = [:]
  var updateHooks = HookQueue<JobID, OutboxEntry>()
  var hookRoom: HookRoom
  /// Of specs and cheat reports in the record.
  var nextNumber: UInt64 = 1
  var nextPing: UInt64 = 1
  /// The inventory is told: from here on the Supervisor can be asked for things.
  var supervisorIsTold = false
  var session: Session
  var connection: UInt64 = 0
  var nextUpdate: UpdateID
  /// The first update of which this Uplink knows whether it was sent.
  var firstOfOurs: UpdateID
  var backlog = Backlog()
  var queued: Int
  var dead: Int
  var figures: Figures
  /// Lines about single updates.
  var updateLines: LineLimit
  /// Complaints about Listeners.
  var listenerLines: LineLimits<JobID?>
  /// About runs of hooks that have failed.
  var hookLines: LineLimits<Hook>
  /// Lines about requests that are not taken.
  var refusalLines: LineLimit
  var rejections = Rejections()
  var bodies = BodiesOnTheWay()
  /// Requests and cheat reports whose commit is not durable yet.
  public internal(set) var requestsBeingStored = RequestsUnderWay()
  /// Lines about failed attempts.
  var troubleLines: LineLimit
  /// Commits that are not durable yet, in the order in which they were asked for, and whether they write anything.
  var commits = Deque<(askedAt: Instant, writes: Bool)>()
  var room: RecordRoom
  /// Dead letters that are on their way back into the outbox, or out of the record.
  var settling: Set<UpdateID> = []
  /// The record came from a backup.
  let isRestored: Bool
  var expireAt: Instant?
  var checkDiskAt: Instant?
  /// Jobs with a terminal status that are still remembered, with the time until which.
  var remembered = Deque<(job: JobID, until: Instant)>()
  /// nil where nobody looks for results of tasks.
  var results: TaskResults?
  var isDraining = false
  var stopStep: StopStep?
  var drainUntil: Instant?
  var earliestDeadline: Instant?
  var lastTold: UplinkState?
  /// When what is being handled was told: from when a commit's time counts.
  var turnBeganAt: Instant
  var actions: [Action] = []

  /// - Parameters:
  ///   - bootID: of the boot that is running.
  ///   - seed: of the jitter.
  public init(settings: UplinkSettings, stored: StoredState, bootID: String, seed: UInt64, at now: Moment) {
    self.settings = settings
    self.bootID = bootID
    turnBeganAt = now.boot
    dice = Dice(seed: seed)
    outbox = Outbox(window: settings.window)
    figures = Figures(startedAt: now.wall)
    updateLines = LineLimit(LineLimit.updates, at: now.boot)
    listenerLines = LineLimits(LineLimit.complaints, at: now.boot)
    hookLines = LineLimits(LineLimit.complaints, at: now.boot)
    refusalLines = LineLimit(LineLimit.complaints, at: now.boot)
    troubleLines = LineLimit(LineLimit.trouble, at: now.boot)
    session = Session(heartbeatInterval: .seconds(settings.heartbeatSeconds), at: now.boot)
    nextUpdate = stored.nextUpdate
    firstOfOurs = stored.nextUpdate
    queued = stored.queued
    dead = stored.dead
    room = RecordRoom(maxRows: settings.maxRows, maxBytes: settings.maxBytes)
    room.rows = stored.queued + stored.dead
    room.bytes = stored.bytes
    isRestored = stored.isRestored
    isDraining = settings.refuseJobs
    results = settings.tasks?.results.map { TaskResults($0, at: now.boot) }
    expireAt = now.boot + Self.expiryInterval
    for entry in stored.specs { specs.put(entry) }
    // Without a hook they wait in the record for one.
    hookRoom = HookRoom(maxRows: settings.maxRows, maxBytes: settings.maxBytes)
    hookRoom.rows = stored.forHook
    hookRoom.bytes = stored.bytesForHook
    if settings.hasCheatHook {
      for report in stored.cheats { put(report, at: now.boot) }
    }
    let numbers = stored.specs.map(\.number) + stored.cheats.map(\.number)
    nextNumber = max(stored.lastNumber, numbers.max() ?? 0) + 1
    for job in stored.jobs {
      let deadline = job.deadline?.instant(inBoot: bootID, at: now) ?? now.boot + allowedTime(job.limitSeconds)
      jobs[job.job] = Job(job, deadline: deadline, at: now)
      if let hash = job.signatureHash { signatures[hash] = job.job }
      if job.phase.hasTerminalStatus {
        remembered.append((job.job, now.boot + Self.memory))
      } else {
        room.openJobs += 1
        room.bytes += job.bodyBytes
        room.requestBytes += job.bodyBytes
        note(deadline: deadline)
      }
    }
  }

  /// What to do first: tell the Supervisor what is open, and begin to send what is left from before.
  public mutating func start(at now: Moment) -> [Action] {
    turnBeganAt = now.boot
    actions = [.toSupervisor(.ready)]
    if isRestored { failRestoredJobs(at: now) }
    for (id, job) in jobs.sorted(by: { $0.key < $1.key }) where job.uncommitted.isEmpty {
      actions.append(
        .toSupervisor(.openJob(OpenJob(job: id, phase: job.phase, isTask: job.isTask, command: job.command))))
    }
    actions.append(.toSupervisor(.inventoryComplete))
    supervisorIsTold = true
    loadMore(at: now.boot)
    return actions
  }

  /// What happened and when, and what to do about it, in order.
  public mutating func handle(_ event: Event, at now: Moment) -> [Action] { handle([event], at: now) }

  /// What happened one after the other, told together: what is looked at after each event is looked at once.
  public mutating func handle(_ events: [Event], at now: Moment) -> [Action] {
    turnBeganAt = now.boot
    actions = []
    actions.reserveCapacity(2 * events.count)
    for event in events { take(event, at: now) }
    resumeListeners()
    loadBodies()
    serveSession(at: now)
    loadMore(at: now.boot)
    pumpRejections(at: now.boot)
    pump(at: now.boot)
    pumpSpecs(at: now.boot)
    runHooks(at: now.boot)
    lookForResults(at: now.boot)
    advanceStop(at: now)
    tellState(at: now)
    defer { actions = [] }
    return actions
  }

  private mutating func take(_ event: Event, at now: Moment) {
    switch event {
    case .fromSupervisor(let message): fromSupervisor(message, at: now)
    case .fromListener(let listener, let message, let generation):
      fromListener(listener, message, generation, at: now)
    case .listenerGone(let listener): listenerGone(listener)
    case .requested(let request): requested(request, at: now)
    case .opened(let number):
      if number == connection, session.opened(at: now.boot) != nil { actions.append(.authenticate) }
    case .answered(let answer, let number):
      if number == connection { answered(answer, at: now) }
    case .unreadableAnswer(let number):
      if number == connection { unreadableAnswer(at: now) }
    case .ponged(let ping, let number):
      if number == connection { ponged(ping) }
    case .line(let line, let number):
      if number == connection { lineSeen(line, at: now) }
    case .cheated(let body, let hash): cheated(body, signatureHash: hash, at: now)
    case .reloaded(let settings): reloaded(settings, at: now)
    case .lost(let reason, let number):
      if number == connection { connectionLost(reason, .lost, at: now) }
    case .committed(let what):
      noteDurable(at: now.boot)
      committed(what, at: now)
    case .transacted: figures.transactions += 1
    case .loaded(let entries, let more): loaded(entries, more: more, at: now.boot)
    case .loadedForHook(let entries, let more): loadedForHook(entries, more: more, at: now.boot)
    case .bodyLoaded(let job, let body): bodyLoaded(job, body, at: now)
    case .jobLoaded(let job, let stored): jobLoaded(job, stored, at: now)
    case .deadLoaded(let question, let letters):
      actions.append(.toSupervisor(.report(question, UplinkReport(state: state(at: now), dead: letters))))
    case .deadFound(let request, let found): deadFound(request, found, at: now)
    case .expired(let count): expired(count, at: now.boot)
    case .disk(let isFull): diskChanged(isFull: isFull, at: now.boot)
    case .resultsConnected: resultsSaid(.connected, at: now.boot)
    case .resultsReplied(let reply): resultsSaid(.reply(reply), at: now.boot)
    case .resultsLost(let reason): resultsSaid(.lost(reason), at: now.boot)
    case .timeReached: timeReached(at: now)
    }
  }

  /// When `timeReached` is wanted next.
  public var nextDeadline: Instant? {
    var deadlines = [
      session.nextDeadline(awaited: outbox.awaitedSince), earliestDeadline, drainUntil,
      remembered.first?.until, cheats.nextDeadline, updateHooks.nextDeadline, expireAt, checkDiskAt,
    ]
    if session.isReady, !backlog.isEnding, !specs.isProbing { deadlines.append(outbox.nextDeadline) }
    if session.isReady { deadlines.append(specs.nextDeadline) }
    if looksForResults { deadlines.append(results?.nextDeadline) }
    return deadlines.compactMap(\.self).min()
  }

  /// What a job has from now on until it must have ended.
  func allowedTime(_ limitSeconds: Int) -> Duration {
    .seconds(limitSeconds) + .seconds(settings.graceSeconds) + .seconds(settings.tasks?.queueSeconds ?? 0)
  }

  /// Changes a job where it lies, if it is there.
  mutating func change<Result>(_ id: JobID, _ body: (inout Job) -> Result) -> Result? {
    guard let index = jobs.index(forKey: id) else { return nil }
    return body(&jobs.values[index])
  }

  mutating func note(deadline: Instant?) {
    guard let deadline else { return }
    earliestDeadline = min(earliestDeadline ?? deadline, deadline)
  }

  mutating func log(_ priority: LogPriority, _ event: JournalEvent, _ text: String, job: JobID? = nil) {
    actions.append(.log(LogEntry(priority, event, text, job: job)))
  }

  /// What has become of one update. Where there are many they are not all told: the end of their job names them.
  mutating func log(_ event: JournalEvent, _ verb: String, _ entry: OutboxEntry, at now: Instant) {
    let (passes, dropped) = updateLines.admit(at: now)
    if dropped > 0 {
      log(.info, event, "\(dropped) lines about single updates were left out; a job's last line names its statuses")
    }
    if passes { log(.info, event, "\(verb) \(entry.status.name)", job: entry.job) }
  }

  func state(at now: Moment) -> UplinkState {
    UplinkState(
      session: session.state.name, lastLoss: session.lastLoss, openJobs: room.openJobs, queued: queued,
      queueAgeSeconds: queueAge(at: now).wholeSeconds, inFlight: outbox.inFlight, stored: figures.updatesStored,
      delivered: figures.updatesDelivered, retrying: outbox.retrying, dead: dead, bytes: room.bytes, full: full,
      draining: isDraining)
  }

  private var full: String { room.diskIsFull ? "disk" : isFull ? "record" : "" }

  /// The Supervisor shows it on the unit's status line: told when the session or the jobs change, not for
  /// each update.
  private mutating func tellState(at now: Moment) {
    if let last = lastTold, last.session == session.state.name, last.openJobs == room.openJobs,
      last.dead == dead, last.queued == 0 || queued > 0, last.full == full, last.draining == isDraining
    {
      return
    }
    let state = state(at: now)
    lastTold = state
    actions.append(.toSupervisor(.state(state)))
  }
}

extension JobPhase {
  /// Whether a terminal status is stored.
  var hasTerminalStatus: Bool { self == .ended || self == .closed }
}

extension UplinkCore.Job {
  /// As it comes back from the record.
  init(_ stored: StoredJob, deadline: Instant?, at now: Moment) {
    self.init(
      receivedAt: now.boot + (stored.receivedAt - now.wall), phase: stored.phase,
      statuses: stored.statuses, limitSeconds: stored.limitSeconds, deadline: deadline, isTask: stored.isTask,
      command: stored.command, exitStored: stored.exitStored, signatureHash: stored.signatureHash,
      bodyBytes: stored.bodyBytes)
  }
}
