import Messages

/// A hook that runs for Uplink. It has a minute, and then it is stopped.
struct SupervisedHook: Sendable {
  static let limit = Duration.seconds(60)

  var teardown: Teardown
}

// Hooks: commands that Uplink asks for and hears the end of.
extension SupervisorCore {
  mutating func runHook(_ number: UInt64, _ body: [UInt8], at now: Instant) {
    // A new Uplink asks again for what its predecessor asked for.
    guard hooks[number] == nil, stage == .running else { return }
    hooks[number] = SupervisedHook(teardown: .stop(grace: settings.stopGrace, at: now + SupervisedHook.limit))
    actions.append(.spawnHook(number, body: body))
  }

  /// - Parameter exit: nil when it could not be started.
  mutating func hookExited(_ number: UInt64, _ exit: CommandExit?) {
    guard hooks.removeValue(forKey: number) != nil else { return }
    if uplink.isReady { actions.append(.toUplink(.hookExited(number, exit))) }
  }

  mutating func stopOverdueHooks(at now: Instant) {
    for number in hooks.keys.sorted() {
      if let signal = hooks[number]?.teardown.dueSignal(at: now) {
        actions.append(.signalHook(number, signal: signal))
      }
    }
  }
}
