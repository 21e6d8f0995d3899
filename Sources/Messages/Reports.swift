import MessagePack

/// What hordelinkctl can ask of Uplink through the Supervisor.
public enum UplinkQuery: MessagePart, Hashable {
  case status
  case jobs
  case queue
  /// The dead letters behind that number, in the order of their numbers.
  case dead(after: Int)
  /// Send the dead letters of these numbers again.
  case retry([Int])
  /// Forget the dead letters of these numbers.
  case drop([Int])
  /// Take no new jobs, or take them again.
  case drain(Bool)

  public var fields: [MessagePackValue] {
    switch self {
    case .status: [.int(1)]
    case .jobs: [.int(2)]
    case .queue: [.int(3)]
    case .dead(let number): [.int(4), .int(number)]
    case .retry(let numbers): [.int(5), .array(numbers.map { .int($0) })]
    case .drop(let numbers): [.int(6), .array(numbers.map { .int($0) })]
    case .drain(let refuse): [.int(7), .bool(refuse)]
    }
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    switch try fields.int("query") {
    case 1: self = .status
    case 2: self = .jobs
    case 3: self = .queue
    case 4: self = .dead(after: try fields.int("after"))
    case 5: self = .retry(try fields.numbers("dead letters"))
    case 6: self = .drop(try fields.numbers("dead letters"))
    case 7: self = .drain(try fields.bool("drain"))
    default: throw .field("query", kind: fields.kind)
    }
  }
}

/// The facilitator connection and the outbox in a few words, for the status line and `hordelinkctl status`.
public struct UplinkState: MessagePart, Hashable {
  /// The session's state by its name: connecting, authenticating, ready, draining, waiting, closed.
  public var session: String
  /// Why the connection was last lost or refused; empty when it never was.
  public var lastLoss: String
  public var openJobs: Int
  /// Updates stored and not yet accepted by the facilitator.
  public var queued: Int
  /// Since when the oldest of them is stored, in seconds; 0 when there is none.
  public var queueAgeSeconds: Int
  public var inFlight: Int
  /// Updates stored since this Uplink started.
  public var stored: Int
  /// Updates accepted by the facilitator since this Uplink started.
  public var delivered: Int
  /// Jobs whose next update the facilitator has refused or dropped the connection over, so that it is tried again.
  public var retrying: Int
  /// Updates given up on, kept as dead letters.
  public var dead: Int
  /// What the record holds of its `max_bytes`, in bytes; of its `max_rows` it holds `queued` and `dead`.
  public var bytes: Int
  /// Why updates wait and jobs are turned away: `record` when it holds as much as it may, `disk` when the disk has no
  /// room; empty when neither.
  public var full: String
  /// New jobs are refused because a person asked for it.
  public var draining: Bool

  public init(
    session: String, lastLoss: String, openJobs: Int, queued: Int, queueAgeSeconds: Int = 0, inFlight: Int,
    stored: Int = 0, delivered: Int, retrying: Int = 0, dead: Int, bytes: Int = 0, full: String = "",
    draining: Bool = false
  ) {
    self.session = session
    self.lastLoss = lastLoss
    self.openJobs = openJobs
    self.queued = queued
    self.queueAgeSeconds = queueAgeSeconds
    self.inFlight = inFlight
    self.stored = stored
    self.delivered = delivered
    self.retrying = retrying
    self.dead = dead
    self.bytes = bytes
    self.full = full
    self.draining = draining
  }

  public var fields: [MessagePackValue] {
    [
      .string(session), .string(lastLoss), .int(openJobs), .int(queued), .int(queueAgeSeconds), .int(inFlight),
      .int(stored), .int(delivered), .int(retrying), .int(dead), .int(bytes), .string(full), .bool(draining),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    session = try fields.string("session")
    lastLoss = try fields.string("last loss")
    openJobs = try fields.int("open jobs")
    queued = try fields.int("queued")
    queueAgeSeconds = try fields.int("queue age")
    inFlight = try fields.int("in flight")
    stored = try fields.int("stored")
    delivered = try fields.int("delivered")
    retrying = try fields.int("retrying")
    dead = try fields.int("dead")
    bytes = try fields.int("bytes")
    full = try fields.string("full")
    draining = try fields.bool("draining")
  }
}

/// One open job.
public struct JobReport: MessagePart, Hashable {
  public var job: JobID
  public var phase: JobPhase
  /// Since its request came.
  public var seconds: Int
  /// The statuses stored so far, in their order.
  public var statuses: [JobStatus]
  public var queued: Int

  public init(job: JobID, phase: JobPhase, seconds: Int, statuses: [JobStatus], queued: Int) {
    self.job = job
    self.phase = phase
    self.seconds = seconds
    self.statuses = statuses
    self.queued = queued
  }

  public var fields: [MessagePackValue] {
    [
      .job(job), .int(Int64(phase.rawValue)), .int(seconds), .array(statuses.map { .status($0) }), .int(queued),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    job = try fields.job("job")
    phase = try fields.next("phase") { $0.raw(JobPhase.init(rawValue:)) }
    seconds = try fields.int("seconds")
    statuses = try fields.next("statuses") { value in
      guard case .array(let values) = value else { return nil }
      let statuses = values.compactMap { $0.raw(JobStatus.init(rawValue:)) }
      return statuses.count == values.count ? statuses : nil
    }
    queued = try fields.int("queued")
  }
}

/// One update that waits for the facilitator.
public struct QueueEntry: MessagePart, Hashable {
  public var id: Int
  public var job: JobID
  public var status: JobStatus
  /// How often the facilitator has refused it.
  public var attempts: Int
  public var inFlight: Bool

  public init(id: Int, job: JobID, status: JobStatus, attempts: Int, inFlight: Bool) {
    self.id = id
    self.job = job
    self.status = status
    self.attempts = attempts
    self.inFlight = inFlight
  }

  public var fields: [MessagePackValue] {
    [.int(id), .job(job), .status(status), .int(attempts), .bool(inFlight)]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    id = try fields.int("id")
    job = try fields.job("job")
    status = try fields.status("status")
    attempts = try fields.int("attempts")
    inFlight = try fields.bool("in flight")
  }
}

/// Uplink's answer to a query: the part that was asked for, the others empty.
public struct UplinkReport: MessagePart, Hashable {
  public var state: UplinkState
  public var jobs: [JobReport]
  /// The head of the outbox, at most a thousand entries.
  public var queue: [QueueEntry]
  /// Dead letters, a page of them.
  public var dead: [DeadLetter]
  /// How many dead letters were retried or dropped.
  public var done: Int
  /// Those that were not.
  public var refusals: [DeadLetterRefusal]

  public init(
    state: UplinkState, jobs: [JobReport] = [], queue: [QueueEntry] = [], dead: [DeadLetter] = [], done: Int = 0,
    refusals: [DeadLetterRefusal] = []
  ) {
    self.state = state
    self.jobs = jobs
    self.queue = queue
    self.dead = dead
    self.done = done
    self.refusals = refusals
  }

  public var fields: [MessagePackValue] {
    [
      state.value, .array(jobs.map(\.value)), .array(queue.map(\.value)), .array(dead.map(\.value)), .int(done),
      .array(refusals.map(\.value)),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    state = try fields.part("state")
    jobs = try fields.parts("jobs")
    queue = try fields.parts("queue")
    dead = try fields.parts("dead letters")
    done = try fields.int("done")
    refusals = try fields.parts("refusals")
  }
}

/// One child of the Supervisor.
public struct ChildReport: MessagePart, Hashable {
  /// `uplink`, `specs-listener`, `listener` or `command`.
  public var name: String
  public var job: JobID?
  public var pid: Int
  public var generation: UInt64
  /// The child's state by its name: starting, ready, backoff, stopping.
  public var state: String
  /// Seconds since it came into that state.
  public var seconds: Int
  public var restartsLastHour: Int
  /// Why it last died; empty when it never did.
  public var lastDeath: String

  public init(
    name: String, job: JobID?, pid: Int, generation: UInt64, state: String, seconds: Int,
    restartsLastHour: Int, lastDeath: String
  ) {
    self.name = name
    self.job = job
    self.pid = pid
    self.generation = generation
    self.state = state
    self.seconds = seconds
    self.restartsLastHour = restartsLastHour
    self.lastDeath = lastDeath
  }

  public var fields: [MessagePackValue] {
    [
      .string(name), job.map { .job($0) } ?? .null, .int(pid), .number(generation), .string(state),
      .int(seconds), .int(restartsLastHour), .string(lastDeath),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    name = try fields.string("name")
    job = try fields.optional("job") { JobID($0) }
    pid = try fields.int("pid")
    generation = try fields.uint("generation")
    state = try fields.string("state")
    seconds = try fields.int("seconds")
    restartsLastHour = try fields.int("restarts")
    lastDeath = try fields.string("last death")
  }
}
