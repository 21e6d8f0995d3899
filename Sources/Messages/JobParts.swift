import MessagePack

/// How far a job has come. Written to the record; the numbers do not change.
public enum JobPhase: UInt8, Sendable, Hashable {
  /// The request is stored; nothing has been started.
  case accepted = 0
  /// The command may have been started from here on, and never is again.
  case dispatching = 1
  /// A terminal status is stored.
  case ended = 2
  /// The facilitator has accepted the terminal status.
  case closed = 3

  public var name: String {
    switch self {
    case .accepted: "accepted"
    case .dispatching: "dispatching"
    case .ended: "ended"
    case .closed: "closed"
    }
  }
}

/// Which process a job's command is, in a way that survives reused numbers.
public struct CommandRecord: MessagePart, Hashable {
  public var pid: Int32
  /// Clock ticks after boot, field 22 of /proc/PID/stat (proc(5)).
  public var startTime: UInt64
  /// /proc/sys/kernel/random/boot_id.
  public var bootID: String

  public init(pid: Int32, startTime: UInt64, bootID: String) {
    self.pid = pid
    self.startTime = startTime
    self.bootID = bootID
  }

  public var fields: [MessagePackValue] { [.int(Int64(pid)), .number(startTime), .string(bootID)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    pid = try fields.next("pid") { Int($0).flatMap(Int32.init(exactly:)) }
    startTime = try fields.uint("start time")
    bootID = try fields.string("boot id")
  }
}

/// A job as Uplink tells it to the Supervisor.
public struct OpenJob: MessagePart, Hashable {
  public var job: JobID
  public var phase: JobPhase
  /// It was dispatched as a Celery task.
  public var isTask: Bool
  /// What is on record of its command, once it has been started.
  public var command: CommandRecord?

  public init(job: JobID, phase: JobPhase, isTask: Bool = false, command: CommandRecord? = nil) {
    self.job = job
    self.phase = phase
    self.isTask = isTask
    self.command = command
  }

  public var fields: [MessagePackValue] {
    [.job(job), .int(Int64(phase.rawValue)), .bool(isTask), command?.value ?? .null]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    job = try fields.job("job")
    phase = try fields.next("phase") { $0.raw(JobPhase.init(rawValue:)) }
    isTask = try fields.bool("is a task")
    command = try fields.optionalPart("command")
  }
}

/// What the Supervisor knows of a job's command when a new Uplink asks.
public enum CommandKnowledge: UInt8, Sendable, Hashable {
  /// It runs, or it ran and its exit is being told by the Listener.
  case started = 1
  /// This Supervisor was there all along and never started it.
  case neverStarted = 2
  /// This Supervisor is new: the command counts as having run.
  case unknown = 3
}

/// How a job's command ended, or what ran of the job elsewhere.
public struct CommandExit: MessagePart, Hashable {
  /// Its exit code, or nil when a signal ended it.
  public var code: Int32?
  /// The signal that ended it, or nil.
  public var signal: Int32?
  /// The last of what it wrote to stderr, or of a task's traceback, at most `Limits.stderrTailBytes`.
  public var stderrTail: [UInt8]
  /// What a worker said of it, if it was a task in a Celery queue.
  public var task: TaskEnd?

  public init(code: Int32?, signal: Int32?, stderrTail: [UInt8] = [], task: TaskEnd? = nil) {
    self.code = code
    self.signal = signal
    self.stderrTail = stderrTail
    self.task = task
  }

  public var fields: [MessagePackValue] {
    [.optional(code.map(Int.init)), .optional(signal.map(Int.init)), .binary(stderrTail), task?.value ?? .null]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    code = try fields.optional("code") { Int($0).flatMap(Int32.init(exactly:)) }
    signal = try fields.optional("signal") { Int($0).flatMap(Int32.init(exactly:)) }
    stderrTail = try fields.bytes("stderr")
    task = try fields.optionalPart("task")
  }
}

/// How a Celery task ended that did not end well.
public struct TaskEnd: MessagePart, Hashable {
  /// FAILURE, for one.
  public var state: String
  /// The exception's type and what it says, cut.
  public var error: String

  public init(state: String, error: String) {
    self.state = state
    self.error = error
  }

  public var fields: [MessagePackValue] { [.string(state), .string(error)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    state = try fields.string("state")
    error = try fields.string("error")
  }
}

extension CommandExit {
  /// The last line of what it wrote to stderr; nil when it wrote none.
  public var lastWords: String? {
    String(decoding: stderrTail, as: UTF8.self).split(separator: "\n").last.map(String.init)
  }
}

extension CommandExit: CustomStringConvertible {
  /// As in "exited with code 1".
  public var description: String {
    if let task { return "ended as \(task.state)" }
    return signal.map { "was ended by signal \($0)" } ?? "exited with code \(code ?? 0)"
  }
}

/// The steps of an ordered stop, in their order (DESIGN.md, promise 5).
public enum StopStep: UInt8, Sendable, Hashable, CaseIterable {
  /// Take no new jobs.
  case refuseJobs = 1
  /// The commands have ended: write horde_failed for the jobs that ran here and have no terminal status.
  case closeJobs = 2
  /// Send what is stored, then close the connection.
  case drain = 3
}
