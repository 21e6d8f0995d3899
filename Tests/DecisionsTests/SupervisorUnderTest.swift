import Messages
import Testing

@testable import Decisions

/// The Supervisor's decisions, with processes that exist from the moment they are asked for. What is only told to
/// people is left out of what it asks for.
struct SupervisorUnderTest {
  private(set) var core: SupervisorCore
  let settings: SupervisorCore.Settings
  var now = at(0)
  /// The generation of each child that runs, and its pid.
  private(set) var running: [ChildKey: (generation: Generation, pid: Int32)] = [:]
  private var nextPID: Int32 = 100

  init(
    launcher: Bool = false, metrics: ListenSettings? = nil, tasks: TaskSettings? = nil, redis: RedisLayer? = nil,
    inherited: Set<JobID> = []
  ) {
    var uplink = UplinkSettings.test(launcher: launcher || tasks != nil)
    uplink.metrics = metrics
    uplink.tasks = tasks
    settings = SupervisorCore.Settings(
      uplink: uplink,
      redis: redis.map { RedisChannelSettings(server: RedisServer(place: .socket("/r")), layer: $0, prefix: "asgi") },
      uplinkSocket: "/run/uplink.sock", stopGrace: .seconds(8))
    core = SupervisorCore(settings: settings, inherited: inherited, seed: 1, at: at(0))
  }

  /// One whose Uplink has told its inventory and whose specs Listener is ready.
  static func ready(
    launcher: Bool = false, metrics: ListenSettings? = nil, tasks: TaskSettings? = nil
  ) -> SupervisorUnderTest {
    var supervisor = SupervisorUnderTest(launcher: launcher, metrics: metrics, tasks: tasks)
    supervisor.does(.timeReached)
    supervisor.uplink(.ready)
    supervisor.uplink(.inventoryComplete)
    supervisor.listener(.specs, .ready)
    return supervisor
  }

  /// The same with a job whose Listener is ready.
  static func listening(_ job: JobID, launcher: Bool = false, tasks: TaskSettings? = nil) -> SupervisorUnderTest {
    var supervisor = ready(launcher: launcher, tasks: tasks)
    supervisor.uplink(.openJob(OpenJob(job: job, phase: .accepted)))
    supervisor.listener(.job(job), .ready)
    return supervisor
  }

  /// The same with the job's command running.
  static func running(_ job: JobID, launcher: Bool = false) -> SupervisorUnderTest {
    var supervisor = listening(job, launcher: launcher)
    supervisor.uplink(.dispatch(job, body: [], beginBy: 0))
    supervisor.does(.commandStarted(job, command))
    return supervisor
  }

  static let command = CommandRecord(pid: 77, startTime: 5, bootID: "boot")

  @discardableResult
  mutating func does(_ event: SupervisorCore.Event) -> [SupervisorCore.Action] {
    var all: [SupervisorCore.Action] = []
    var events = [event]
    while !events.isEmpty {
      let event = events.removeFirst()
      if case .childExited(let key, _, _) = event { running[key] = nil }
      let actions = core.handle(event, at: now)
      all += actions
      for action in actions {
        let spawned: (ChildKey, Generation)
        switch action {
        case .spawnUplink(let generation): spawned = (.uplink, generation)
        case .spawnListener(let channel, let generation): spawned = (.listener(channel), generation)
        default: continue
        }
        #expect(running[spawned.0] == nil, "a successor before its predecessor is gone")
        nextPID += 1
        running[spawned.0] = (spawned.1, nextPID)
        events.append(.childSpawned(spawned.0, spawned.1, pid: nextPID))
      }
    }
    return all.filter {
      switch $0 {
      case .log, .notifyStatus: false
      default: true
      }
    }
  }

  private func generation(_ key: ChildKey) -> Generation { running[key]?.generation ?? Generation(999_999) }
  func pid(_ key: ChildKey) -> Int32 { running[key]?.pid ?? 0 }

  @discardableResult
  mutating func uplink(_ message: UplinkToSupervisor) -> [SupervisorCore.Action] {
    does(.fromUplink(message, generation(.uplink)))
  }

  @discardableResult
  mutating func listener(_ channel: Channel, _ message: ListenerToSupervisor) -> [SupervisorCore.Action] {
    does(.fromListener(channel, message, generation(.listener(channel))))
  }

  @discardableResult
  mutating func exits(_ key: ChildKey, _ exit: ProcessExit) -> [SupervisorCore.Action] {
    does(.childExited(key, generation(key), exit))
  }

  @discardableResult
  mutating func pass(_ seconds: Double) -> [SupervisorCore.Action] {
    now = now + .seconds(seconds)
    return does(.timeReached)
  }

  /// Every child answers its pings, so that it lives through a long wait.
  mutating func passAnswering(_ seconds: Int) -> [SupervisorCore.Action] {
    var actions: [SupervisorCore.Action] = []
    for _ in 0..<seconds {
      actions += pass(1)
      for key in Array(running.keys) {
        switch key {
        case .uplink: actions += uplink(.pong(0, oldestUncommittedMilliseconds: 0))
        case .listener(let channel): actions += listener(channel, .pong(0))
        }
      }
    }
    return actions
  }
}

extension [SupervisorCore.Action] {
  /// The signals to children and commands.
  var signals: [SupervisorCore.Action] {
    filter {
      switch $0 {
      case .signalChild, .signalCommand: true
      default: false
      }
    }
  }

  var exitCode: Int32? {
    for case .exit(let code) in self { return code }
    return nil
  }
}
