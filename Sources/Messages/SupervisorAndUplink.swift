import MessagePack

/// What the Supervisor tells Uplink, over the control socket.
public enum SupervisorToUplink: Message {
  /// The first message: everything Uplink needs to know.
  indirect case configure(UplinkSettings)
  /// Are you alive? Answered by `pong` with the same number.
  case ping(UInt64)
  /// The job's Listener of that generation hears its channel.
  case listenerReady(JobID, Generation)
  /// What is known of the job's command, asked for by `openJob` with a dispatch on record. `neverStarted` comes by itself
  /// when another attempt at a delayed dispatch is due: `dispatch` is awaited once more.
  case commandKnowledge(JobID, CommandKnowledge)
  /// The job's command runs.
  case commandStarted(JobID, CommandRecord)
  /// The job's command could not be started.
  case dispatchFailed(JobID, reason: String)
  /// An attempt to put the job's task into the queue has failed, and another follows.
  case dispatchDelayed(JobID, reason: String)
  /// One step of an ordered stop.
  case stop(StopStep)
  /// A question from hordelinkctl, answered by `report` with the same number.
  case query(UInt64, UplinkQuery)
  /// A run of a hook has ended, which got everything up to the number `last`; nil when it could not be started.
  case hookExited(HookRun, last: UInt64, CommandExit?)
  /// Go on with these settings, and read the hotkey's file and the certificates again. Answered by `reloaded`.
  indirect case reload(UplinkSettings)
  /// Take no new jobs, or take them again.
  case refuseJobs(Bool)
  /// How often children were restarted: on each change, and after `ready`. Only with `metrics` in the settings.
  case restarts(ChildRestarts)

  public static var conversation: String { "Supervisor to Uplink" }

  public var kind: UInt8 {
    switch self {
    case .configure: 1
    case .ping: 2
    case .listenerReady: 3
    case .commandKnowledge: 4
    case .commandStarted: 5
    case .dispatchFailed: 6
    case .stop: 7
    case .query: 8
    case .hookExited: 9
    case .reload: 10
    case .refuseJobs: 11
    case .restarts: 12
    case .dispatchDelayed: 13
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .configure(let settings): [settings.value]
    case .ping(let number): [.number(number)]
    case .listenerReady(let job, let generation): [.job(job), .number(generation.number)]
    case .commandKnowledge(let job, let knowledge): [.job(job), .int(Int64(knowledge.rawValue))]
    case .commandStarted(let job, let record): [.job(job), record.value]
    case .dispatchFailed(let job, let reason), .dispatchDelayed(let job, let reason): [.job(job), .string(reason)]
    case .stop(let step): [.int(Int64(step.rawValue))]
    case .query(let number, let query): [.number(number), query.value]
    case .hookExited(let run, let last, let exit): [run.value, .number(last), exit?.value ?? .null]
    case .reload(let settings): [settings.value]
    case .refuseJobs(let refuse): [.bool(refuse)]
    case .restarts(let restarts): [restarts.value]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .configure(try fields.part("settings"))
    case 2: self = .ping(try fields.uint("number"))
    case 3: self = .listenerReady(try fields.job("job"), Generation(try fields.uint("generation")))
    case 4:
      self = .commandKnowledge(
        try fields.job("job"), try fields.next("knowledge") { $0.raw(CommandKnowledge.init(rawValue:)) })
    case 5: self = .commandStarted(try fields.job("job"), try fields.part("record"))
    case 6: self = .dispatchFailed(try fields.job("job"), reason: try fields.string("reason"))
    case 7: self = .stop(try fields.next("step") { $0.raw(StopStep.init(rawValue:)) })
    case 8:
      self = .query(try fields.uint("number"), try fields.part("query"))
    case 9:
      self = .hookExited(
        try fields.part("run"), last: try fields.uint("last"), try fields.optionalPart("exit"))
    case 10: self = .reload(try fields.part("settings"))
    case 11: self = .refuseJobs(try fields.bool("refuse"))
    case 12: self = .restarts(try fields.part("restarts"))
    case 13: self = .dispatchDelayed(try fields.job("job"), reason: try fields.string("reason"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// What Uplink tells the Supervisor, over the control socket.
public enum UplinkToSupervisor: Message {
  /// The record is open and updates are accepted. The facilitator is not waited for.
  case ready
  /// The answer to a ping, with the age of the oldest update that is not committed yet, in milliseconds.
  case pong(UInt64, oldestUncommittedMilliseconds: UInt64)
  /// A job that is open: it needs its Listener. Sent for each after a start, and for each new one.
  case openJob(OpenJob)
  /// Every open job has been told.
  case inventoryComplete
  /// `dispatching` is committed: start the job's command with this body on its standard input. `beginBy`, in milliseconds
  /// since 1970: a worker that begins later cannot end in time.
  case dispatch(JobID, body: [UInt8], beginBy: Int64)
  /// What ran of the job elsewhere has ended so. Its Listener is to be told as of a command's exit.
  case taskEnded(JobID, CommandExit)
  /// The job has ended otherwise: stop its command.
  case stopCommand(JobID)
  /// That the job's command has exited is stored and need not be told again.
  case exitStored(JobID)
  /// The facilitator has accepted the job's terminal status.
  case jobClosed(JobID)
  /// The state of the connection and the outbox changed, for the status line.
  case state(UplinkState)
  /// The step of the stop is done.
  case stopped(StopStep)
  /// The answer to a query.
  case report(UInt64, UplinkReport)
  /// Run a hook with these, whose last has the number `last`. Asked again for the same run while it goes on, nothing is
  /// started.
  case runHook(HookRun, last: UInt64, [TaskOrder.Task])
  /// What became of a reload: nil when it is in effect, or why it changes nothing.
  case reloaded(problem: String?)

  public static var conversation: String { "Uplink to Supervisor" }

  public var kind: UInt8 {
    switch self {
    case .ready: 1
    case .pong: 2
    case .openJob: 3
    case .inventoryComplete: 4
    case .dispatch: 5
    case .stopCommand: 6
    case .exitStored: 7
    case .jobClosed: 8
    case .state: 9
    case .stopped: 10
    case .report: 11
    case .runHook: 12
    case .reloaded: 13
    case .taskEnded: 14
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .ready, .inventoryComplete: []
    case .pong(let number, let age): [.number(number), .number(age)]
    case .openJob(let job): [job.value]
    case .dispatch(let job, let body, let beginBy): [.job(job), .binary(body), .int(beginBy)]
    case .taskEnded(let job, let exit): [.job(job), exit.value]
    case .stopCommand(let job), .exitStored(let job), .jobClosed(let job): [.job(job)]
    case .state(let state): [state.value]
    case .stopped(let step): [.int(Int64(step.rawValue))]
    case .report(let number, let report): [.number(number), report.value]
    case .runHook(let run, let last, let items): [run.value, .number(last), .array(items.map(\.value))]
    case .reloaded(let problem): [.optional(problem)]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .ready
    case 2:
      self = .pong(
        try fields.uint("number"), oldestUncommittedMilliseconds: try fields.uint("oldest uncommitted"))
    case 3: self = .openJob(try fields.part("job"))
    case 4: self = .inventoryComplete
    case 5:
      self = .dispatch(
        try fields.job("job"), body: try fields.bytes("body"), beginBy: try fields.milliseconds("begin by"))
    case 6: self = .stopCommand(try fields.job("job"))
    case 7: self = .exitStored(try fields.job("job"))
    case 8: self = .jobClosed(try fields.job("job"))
    case 9: self = .state(try fields.part("state"))
    case 10: self = .stopped(try fields.next("step") { $0.raw(StopStep.init(rawValue:)) })
    case 11: self = .report(try fields.uint("number"), try fields.part("report"))
    case 12:
      self = .runHook(try fields.part("run"), last: try fields.uint("last"), try fields.parts("items"))
    case 13: self = .reloaded(problem: try fields.optional("problem") { String($0) })
    case 14: self = .taskEnded(try fields.job("job"), try fields.part("exit"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

extension MessagePackValue {
  /// The case of an enum with this raw value, or nil.
  func raw<Value>(_ make: (UInt8) -> Value?) -> Value? { unsigned.flatMap(UInt8.init(exactly:)).flatMap(make) }
}
