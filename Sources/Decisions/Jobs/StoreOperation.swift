import Messages

/// A change of the durable record. Those of one commit happen together or not at all.
public enum StoreOperation: Sendable, Hashable {
  case insertJob(NewJob)
  /// (job, status) is unique.
  case insertUpdate(OutboxEntry)
  /// The same, to wait for the hook.
  case insertForHook(OutboxEntry)
  /// The hook has taken them.
  case dropForHook([UpdateID])
  case setDispatching(JobID, Deadline, isTask: Bool)
  case setCommand(JobID, CommandRecord)
  case setExit(JobID, CommandExit)
  /// The job has its terminal status: the request, which may hold tokens, is erased.
  case end(JobID, at: WallTime)
  /// The facilitator has accepted it, and what it said is erased.
  case retire(UpdateID, at: WallTime)
  /// How many refusals count against it.
  case countAttempt(UpdateID, attempts: Int)
  /// A failed attempt goes into the update's history, which keeps the newest.
  case noteAttempt(UpdateID, error: String, at: WallTime)
  /// Given up on.
  case bury(UpdateID, attempts: Int, error: String, at: WallTime)
  /// A dead letter waits for the facilitator again.
  case revive(UpdateID)
  /// A dead letter is forgotten.
  case dropDead(UpdateID, at: WallTime)
  /// The newest specs of a miner, in place of older ones.
  case putSpecs(SpecsEntry)
  /// They have arrived, or are given up on; newer ones of the same miner stay.
  case dropSpecs(UInt64)
  case insertCheat(CheatReport, at: WallTime)
  /// The hook has taken it; only its signature stays known.
  case dropCheat(UInt64)
  /// The terminal status is accepted or given up on.
  case close(JobID, at: WallTime)
  /// The record is a backup's no more: the jobs that were open in it have ended.
  case clearRestored
}

/// A job as it comes to the record.
public struct NewJob: Sendable, Hashable {
  public var job: JobID
  public var receivedAt: WallTime
  /// The request exactly as received.
  public var body: [UInt8]
  /// Hash of the request's signature, by which a replay is known; nil when it was not verified.
  public var signatureHash: [UInt8]?
  /// What the request allows its work to take, without grace, in seconds.
  public var limitSeconds: Int

  public init(
    job: JobID, receivedAt: WallTime, body: [UInt8], signatureHash: [UInt8]?, limitSeconds: Int
  ) {
    self.job = job
    self.receivedAt = receivedAt
    self.body = body
    self.signatureHash = signatureHash
    self.limitSeconds = limitSeconds
  }
}

/// By when a job must have its terminal status: on the boot clock within the boot it was set in, on the wall
/// clock across boots.
public struct Deadline: Sendable, Hashable {
  public var boot: Instant
  public var bootID: String
  public var wall: WallTime

  public init(boot: Instant, bootID: String, wall: WallTime) {
    self.boot = boot
    self.bootID = bootID
    self.wall = wall
  }

  /// That deadline on the clock of the boot that is running.
  public func instant(inBoot current: String, at now: Moment) -> Instant {
    if current == bootID { return boot }
    return now.boot + (wall - now.wall)
  }
}

/// A job as it comes back from the record.
public struct StoredJob: Sendable, Hashable {
  public var job: JobID
  public var receivedAt: WallTime
  public var phase: JobPhase
  /// In the order in which they were stored.
  public var statuses: [JobStatus]
  public var limitSeconds: Int
  public var deadline: Deadline?
  /// It was dispatched as a Celery task.
  public var isTask: Bool
  public var command: CommandRecord?
  public var exitStored: Bool
  public var signatureHash: [UInt8]?
  /// Bytes of the request.
  public var bodyBytes: Int

  public init(
    job: JobID, receivedAt: WallTime, phase: JobPhase, statuses: [JobStatus], limitSeconds: Int,
    deadline: Deadline?, isTask: Bool = false, command: CommandRecord?, exitStored: Bool, signatureHash: [UInt8]?,
    bodyBytes: Int = 0
  ) {
    self.job = job
    self.receivedAt = receivedAt
    self.phase = phase
    self.statuses = statuses
    self.limitSeconds = limitSeconds
    self.deadline = deadline
    self.isTask = isTask
    self.command = command
    self.exitStored = exitStored
    self.signatureHash = signatureHash
    self.bodyBytes = bodyBytes
  }
}

/// What Uplink finds in the record when it starts.
public struct StoredState: Sendable {
  /// Every job without a terminal status, those that got theirs within `UplinkCore.memory`, and those of this boot
  /// whose command may still run.
  public var jobs: [StoredJob]
  /// The number that the next update gets.
  public var nextUpdate: UpdateID
  /// Updates the facilitator has not accepted, dead letters left out.
  public var queued: Int
  public var dead: Int
  /// What those take, in bytes.
  public var bytes: Int
  /// The record is a copy that was restored: what was open in it has run, or runs, elsewhere.
  public var isRestored: Bool
  /// Machine specs that have not arrived, in the order in which they came.
  public var specs: [SpecsEntry]
  /// Cheat reports that the hook has not taken.
  public var cheats: [CheatReport]
  /// The last number of specs and cheat reports, of forgotten ones too.
  public var lastNumber: UInt64
  /// How many updates wait for the hook, and what they take, in bytes.
  public var forHook: Int
  public var bytesForHook: Int

  public init(
    jobs: [StoredJob], nextUpdate: UpdateID, queued: Int, dead: Int, bytes: Int = 0, isRestored: Bool = false,
    specs: [SpecsEntry] = [], cheats: [CheatReport] = [], lastNumber: UInt64 = 0, forHook: Int = 0,
    bytesForHook: Int = 0
  ) {
    self.jobs = jobs
    self.nextUpdate = nextUpdate
    self.queued = queued
    self.dead = dead
    self.bytes = bytes
    self.isRestored = isRestored
    self.specs = specs
    self.cheats = cheats
    self.lastNumber = lastNumber
    self.forHook = forHook
    self.bytesForHook = bytesForHook
  }
}
