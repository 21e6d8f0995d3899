import Decisions
import Messages

/// The Supervisor, whatever its children and the system say: a child has one process at a time, and nothing is started
/// behind an exit.
func fuzzSupervisor(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var now = Instant(nanoseconds: 0)
  var world = SupervisedWorld(&choices, at: now)
  while !choices.isOver, !world.hasEnded {
    now = now + .milliseconds(choices.pick([0, 1, 250, 5000, 10_000, 60_000]))
    try world.step(&choices, at: now)
  }
}

private struct SupervisedWorld {
  private var core: SupervisorCore
  /// Spawned and not seen to exit.
  private var processes: [ChildKey: Generation] = [:]
  private var pid: Int32 = 100
  private(set) var hasEnded = false

  init(_ choices: inout Choices, at now: Instant) {
    let settings = SupervisorCore.Settings(
      uplink: choices.settings(), uplinkSocket: "/u", stopGrace: .seconds(choices.index(20)))
    core = SupervisorCore(
      settings: settings, inherited: choices.bool() ? [choices.job()] : [], seed: choices.number(), at: now)
  }

  mutating func step(_ choices: inout Choices, at now: Instant) throws(Finding) {
    let key = choices.child()
    let generation = choices.index(4) > 0 ? processes[key] ?? .none : Generation(choices.number())
    let event: SupervisorCore.Event
    switch choices.index(16) {
    case 0:
      processes[key] = nil
      event = .childExited(key, generation, choices.bool() ? .code(Int32(choices.byte())) : .signal(9))
    case 1, 2, 3, 4: event = .fromUplink(choices.toSupervisor(), processes[.uplink] ?? .none)
    case 5, 6:
      let channel = choices.channel()
      event = .fromListener(channel, choices.listenerWord(), processes[.listener(channel)] ?? .none)
    case 7: event = .misbehaved(key, generation, reason: choices.text())
    case 8: event = .commandStarted(choices.job(), choices.record())
    case 9:
      event =
        choices.bool() ? .commandFailed(choices.job(), reason: "x") : .commandExited(choices.job(), choices.exit())
    case 10: event = .hookExited(choices.hookRun(), choices.bool() ? choices.exit() : nil)
    case 11: event = .reloadRequested
    case 12:
      let settings = SupervisorCore.Settings(uplink: choices.settings(), uplinkSocket: "/u", stopGrace: .seconds(1))
      event = choices.bool() ? .configurationUnusable([choices.text()]) : .configurationRead(Reload(settings: settings))
    case 13: event = .controlQuery(choices.number(), choices.query())
    case 14: event = choices.index(8) == 0 ? .stopRequested : .timeReached
    default: event = .timeReached
    }
    try handle(event, &choices, at: now)
    _ = core.nextDeadline
  }

  private mutating func handle(
    _ event: SupervisorCore.Event, _ choices: inout Choices, at now: Instant
  ) throws(Finding) {
    var events = [event]
    while !events.isEmpty {
      for action in core.handle(events.removeFirst(), at: now) {
        try hold(!hasEnded, "\(action) behind the exit")
        let spawned: (key: ChildKey, generation: Generation)
        switch action {
        case .spawnUplink(let generation): spawned = (.uplink, generation)
        case .spawnListener(let channel, let generation): spawned = (.listener(channel), generation)
        case .exit:
          hasEnded = true
          continue
        default: continue
        }
        try hold(processes[spawned.key] == nil, "a successor of \(spawned.key.name) before its predecessor is gone")
        if choices.index(8) == 0 {
          events.append(.spawnFailed(spawned.key, spawned.generation, reason: "no memory"))
        } else {
          pid += 1
          processes[spawned.key] = spawned.generation
          events.append(.childSpawned(spawned.key, spawned.generation, pid: pid))
        }
      }
    }
  }
}

extension Choices {
  fileprivate mutating func channel() -> Channel { bool() ? .job(job()) : .specs }

  fileprivate mutating func child() -> ChildKey { bool() ? .uplink : .listener(channel()) }

  fileprivate mutating func listenerWord() -> ListenerToSupervisor {
    switch index(4) {
    case 0: .ready
    case 1: .pong(number())
    case 2: .log(.warning, text())
    default: .finished
    }
  }

  fileprivate mutating func toSupervisor() -> UplinkToSupervisor {
    switch index(16) {
    case 0, 1: .ready
    case 2: .pong(number(), oldestUncommittedMilliseconds: number())
    case 3, 4:
      .openJob(
        OpenJob(
          job: job(), phase: pick([.accepted, .dispatching, .ended, .closed]), isTask: bool(),
          command: bool() ? record() : nil))
    case 5, 6: .inventoryComplete
    case 7, 8: .dispatch(job(), body: bytes(), beginBy: signed())
    case 9: .taskEnded(job(), exit())
    case 10: .stopCommand(job())
    case 11: .exitStored(job())
    case 12: .jobClosed(job())
    case 13: .stopped(pick(StopStep.allCases))
    case 14: .runHook(hookRun(), last: number(), [TaskOrder.Task(id: text(), argument: bytes())])
    default: .reloaded(problem: bool() ? text() : nil)
    }
  }
}
