import Messages

/// A run of a hook for Uplink. It has a minute, and then it is stopped.
struct SupervisedHook: Sendable {
  static let limit = Duration.seconds(60)

  /// The number of the last thing it got.
  var last: UInt64
  var teardown: Teardown
  /// By the Uplink that runs. Another one does not wait for its end, and may be about to ask for the same anew.
  var isAskedFor = true
}

// Hooks: what Uplink has run and hears the end of.
extension SupervisorCore {
  mutating func runHook(_ run: HookRun, last: UInt64, _ items: [TaskOrder.Task], at now: Instant) {
    // A new Uplink asks again for what its predecessor asked for.
    hooks[run]?.isAskedFor = true
    guard hooks[run] == nil, stage == .running else { return }
    hooks[run] = SupervisedHook(
      last: last, teardown: .stop(grace: settings.stopGrace, at: now + SupervisedHook.limit))
    actions.append(.spawnHook(run, items))
  }

  /// - Parameter exit: nil when it could not be started.
  mutating func hookExited(_ run: HookRun, _ exit: CommandExit?) {
    guard let hook = hooks.removeValue(forKey: run) else { return }
    if hook.isAskedFor, uplink.isReady { actions.append(.toUplink(.hookExited(run, last: hook.last, exit))) }
  }

  mutating func stopOverdueHooks(at now: Instant) {
    for run in hooks.keys.sorted() {
      if let signal = hooks[run]?.teardown.dueSignal(at: now) {
        actions.append(.signalHook(run, signal: signal))
      }
    }
  }
}
