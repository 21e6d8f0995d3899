import Decisions

/// A process that can be killed or stopped at any moment.
class SimulatedProcess {
  unowned let world: World
  let pid: Int32
  private(set) var isAlive = true
  private var timerAt: Instant?
  /// Stopped by a signal: it does nothing, and only SIGKILL ends it.
  var isHung = false
  /// Tells whoever reaps it.
  var reaped: ((ProcessExit) -> Void)?

  init(_ world: World) {
    self.world = world
    pid = world.newPID()
    world.processes.append(self)
  }

  var runs: Bool { isAlive && !isHung }

  /// It ends, and its sockets with it.
  final func end(_ exit: ProcessExit) {
    guard isAlive else { return }
    isAlive = false
    world.note("\(self) \(exit)")
    closeAll()
    let tell = reaped
    reaped = nil
    if let tell { world.after(world.latency()) { tell(exit) } }
  }

  final func signal(_ signal: Int32) {
    if isHung, signal != 9 { return }
    end(.signal(signal))
  }

  /// Has `due` called at that time of this boot's clock. Like the loops' timers: a later time than the one that is set
  /// needs nothing, since it is looked at again then.
  final func setTimer(_ deadline: Instant?, due: @escaping () -> Void) {
    guard runs, let deadline else { return }
    if let timerAt, timerAt <= deadline { return }
    timerAt = deadline
    world.at(deadline) { [weak self] in
      guard let self, runs else { return }
      timerAt = nil
      due()
    }
  }

  /// Closes what the process had open.
  func closeAll() {}

  /// Carries out actions one after the other; a kill can come between any two.
  final func carryOut<Action>(_ actions: [Action], _ body: (Action) -> Void) {
    for action in actions {
      guard isAlive else { return }
      if world.chance(world.faults.killBetweenActions) {
        end(.signal(9))
        return
      }
      body(action)
    }
  }
}
