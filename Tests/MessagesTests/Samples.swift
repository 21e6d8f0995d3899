import MessagePack

@testable import Messages

let firstJob = job(1)

func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

/// Every case of every message, with the extremes of its fields.
enum Samples {
  static let exits = [
    CommandExit(code: 0, signal: nil), CommandExit(code: nil, signal: 9, stderrTail: [0, 255]),
    CommandExit(code: 1, signal: nil, stderrTail: [1], task: TaskEnd(state: "FAILURE", error: "é")),
    CommandExit(code: .max, signal: .min, stderrTail: [UInt8](repeating: 1, count: Limits.stderrTailBytes)),
  ]
  static let run = HookRun(.statusUpdate, first: .max)
  static let record = CommandRecord(pid: .max, startTime: .max, bootID: "é")
  static let queries: [UplinkQuery] = [
    .status, .jobs, .queue, .dead(after: 7), .retry([1, 2]), .drop([]), .drain(true),
  ]
  static let state = UplinkState(
    session: "ready", lastLoss: "", openJobs: 1, queued: .max, queueAgeSeconds: 9, inFlight: 0, stored: .max,
    delivered: .min, retrying: 2, dead: 3,
    bytes: .max, full: "disk", draining: true)
  static let settings = [
    UplinkSettings(
      stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/ws/v0/", hotkeyFile: "",
      trustedSigners: []),
    UplinkSettings(
      stateDirectory: "", secure: false, host: "::1", port: 0, path: "", caFile: "/ca",
      proxy: ProxySettings(host: "::1", port: .max, credentials: "u:é"),
      heartbeatSeconds: 1, hotkeyFile: "/k", trustedSigners: ["a", "", "é"], verifySignatures: false,
      maxAgeSeconds: 0, graceSeconds: 2, maxOpenJobs: 3, maxRequestBytes: 7, window: 4, maxRows: 8, maxBytes: 9,
      maxFrameBytes: 5, commandIsLauncher: true,
      tasks: TaskSettings(queueSeconds: .max, results: RedisServer(place: .socket("/r"), password: "p", database: 1)),
      drainSeconds: 6,
      hasStatusHook: true, hasCheatHook: true, metrics: ListenSettings(host: "::1", port: .max)),
  ]
  static let reports = [
    UplinkReport(state: state),
    UplinkReport(
      state: state,
      jobs: [
        JobReport(job: firstJob, phase: .closed, seconds: .max, statuses: JobStatus.allCases, queued: 2),
        JobReport(job: job(2), phase: .accepted, seconds: 0, statuses: [], queued: 0),
      ],
      queue: [
        QueueEntry(id: .max, job: firstJob, status: .hordeFailed, attempts: 3, inFlight: true),
        QueueEntry(id: 0, job: job(2), status: .unknown, attempts: 0, inFlight: false),
      ],
      dead: [
        DeadLetter(
          id: 1, job: firstJob, status: .failed, storedAt: 2, deadSince: 3, bytes: 4,
          history: [DeadLetter.Attempt(at: 5, error: "é")])
      ],
      done: 6, refusals: [DeadLetterRefusal(id: 7, reason: "why")]),
  ]
  static let restarts = {
    var restarts = ChildRestarts()
    restarts.uplink = .max
    restarts.listener = 3
    return restarts
  }()
  static let child = ChildReport(
    name: "listener", job: firstJob, pid: 7, generation: .max, state: "ready", seconds: 1,
    restartsLastHour: 2,
    lastDeath: "exited with code 1")

  static let supervisorToListener: [SupervisorToListener] =
    [
      .assign(ListenerSettings(job: nil, uplinkSocket: "", maxFrameBytes: 0)),
      .assign(ListenerSettings(job: firstJob, uplinkSocket: "/run/é", maxFrameBytes: Int(Int32.max))),
      .assign(ListenerSettings(job: nil, uplinkSocket: "", maxFrameBytes: 1, redis: redis(.socket("/r"), .core))),
      .assign(
        ListenerSettings(job: nil, uplinkSocket: "", maxFrameBytes: 1, redis: redis(.name("n", port: 1), .pubsub))),
      .assign(
        ListenerSettings(job: nil, uplinkSocket: "", maxFrameBytes: 1, redis: redis(.address("::1", port: 2), .core))),
      .ping(0), .ping(.max), .stop,
    ] + exits.map { .commandExited($0) }

  private static func redis(_ place: RedisServer.Place, _ layer: RedisLayer) -> RedisChannelSettings {
    RedisChannelSettings(
      server: RedisServer(place: place, username: "u", password: "p", database: 3), layer: layer, prefix: "asgi")
  }

  static let listenerToSupervisor: [ListenerToSupervisor] =
    [.ready, .pong(0), .pong(.max), .finished]
    + [.critical, .error, .warning, .notice, .info, .debug].map { .log($0, "text \($0)") }

  static let listenerToUplink: [ListenerToUplink] =
    [
      .hello(nil), .hello(firstJob, token: [1, 0, 0xff]), .update(SequenceNumber(.max), .completed, metadata: [1, 2]),
      .update(SequenceNumber(0), .completed, metadata: []),
      .specs(SequenceNumber(1), MachineSpecs(minerHotkey: "m", batchID: "b", specs: [0xff])),
    ] + JobStatus.allCases.map { .update(SequenceNumber(1), $0, metadata: nil) }
    + exits.map { .commandExited($0) } + [.resolve("redis.example")]

  static let uplinkToListener: [UplinkToListener] =
    [
      .welcome(ended: true), .welcome(ended: false), .unknownJob, .stored(SequenceNumber(.max)), .exitStored,
      .ended, .hold, .resume, .resolved("n", addresses: ["::1", "127.0.0.1"], problem: ""),
      .resolved("n", addresses: [], problem: "why"),
    ]
    + [.malformed, .invalid, .wrongJob, .jobClosed, .tooLarge].map { .refused(SequenceNumber(3), $0, "why") }

  static let supervisorToUplink: [SupervisorToUplink] =
    [
      .refuseJobs(true), .restarts(restarts), .ping(.max), .listenerReady(firstJob, Generation(.max)),
      .commandStarted(firstJob, record),
      .dispatchFailed(firstJob, reason: "no such file"), .dispatchDelayed(firstJob, reason: "é"),
      .hookExited(run, last: .max, nil),
    ] + exits.map { .hookExited(HookRun(.cheated, first: 0), last: 0, $0) } + settings.map { .configure($0) }
    + settings.map { .reload($0) }
    + [.started, .neverStarted, .unknown].map { .commandKnowledge(firstJob, $0) }
    + StopStep.allCases.map { .stop($0) }
    + queries.map { .query(.max, $0) }

  static let uplinkToSupervisor: [UplinkToSupervisor] =
    [
      .ready, .pong(.max, oldestUncommittedMilliseconds: 0), .pong(0, oldestUncommittedMilliseconds: .max),
      .inventoryComplete, .dispatch(firstJob, body: [], beginBy: 0),
      .dispatch(firstJob, body: [0, 0xc1, 0xff], beginBy: .max),
      .taskEnded(firstJob, exits[2]),
      .runHook(run, last: .max, [TaskOrder.Task(id: "é", argument: [1])]),
      .runHook(HookRun(.cheated, first: 0), last: 0, []), .reloaded(problem: nil), .reloaded(problem: "why"),
      .stopCommand(firstJob), .exitStored(firstJob), .jobClosed(firstJob), .state(state),
      .openJob(OpenJob(job: firstJob, phase: .dispatching, command: record)),
    ]
    + [JobPhase.accepted, .dispatching, .ended, .closed].map { .openJob(OpenJob(job: firstJob, phase: $0)) }
    + StopStep.allCases.map { .stopped($0) } + reports.map { .report(.max, $0) }

  static let controlToSupervisor: [ControlToSupervisor] = queries.map {
    .query($0)
  }

  static let taskOrders = [
    TaskOrder(
      broker: RedisServer(place: .socket("/s"), username: "u", password: "é", database: 9), task: "a.b", queue: "q",
      areJobRequests: true, expiresAt: .max, markerSeconds: .max,
      tasks: [TaskOrder.Task(id: "1", argument: [0x7b, 0x7d]), TaskOrder.Task(id: "", argument: [])]),
    TaskOrder(
      broker: RedisServer(place: .name("h", port: 6379)), task: "", queue: "", areJobRequests: false,
      moreArguments: "[1]", keywordArguments: "{\"a\":1}", keepsResult: false, expiresAt: nil, markerSeconds: 0,
      tasks: []),
  ]
  static let supervisorToControl: [SupervisorToControl] = [
    .report([], uplink: nil), .report([child], uplink: reports[1]),
    .report(
      [
        child,
        ChildReport(
          name: "uplink", job: nil, pid: 0, generation: 0, state: "backoff", seconds: 0, restartsLastHour: 0,
          lastDeath: ""),
      ], uplink: nil),
  ]
}

/// The conversation's samples, handed to whatever is to be true of every message.
protocol ForEachConversation {
  func check<M: Message>(_ samples: [M]) throws
}

extension ForEachConversation {
  func checkAll() throws {
    try check(Samples.supervisorToListener)
    try check(Samples.listenerToSupervisor)
    try check(Samples.listenerToUplink)
    try check(Samples.uplinkToListener)
    try check(Samples.supervisorToUplink)
    try check(Samples.taskOrders)
    try check(Samples.uplinkToSupervisor)
    try check(Samples.controlToSupervisor)
    try check(Samples.supervisorToControl)
  }
}

/// The frame's body with these elements, whatever they are.
func body(_ elements: [MessagePackValue]) -> ArraySlice<UInt8> {
  var encoder = MessagePackEncoder()
  encoder.value(.array(elements))
  return encoder.bytes[...]
}

/// The error that reading ends in, or nil when it succeeds.
func refusal<M: Message>(_: M.Type, _ body: ArraySlice<UInt8>) -> FrameError? {
  do throws(FrameError) {
    _ = try M.read(body)
    return nil
  } catch { return error }
}
