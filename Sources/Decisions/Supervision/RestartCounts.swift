import Messages

// The restarts as /metrics shows them. Uplink serves it and cannot know them: it is among those that die.
extension SupervisorCore {
  mutating func countRestart(of key: ChildKey) {
    switch key {
    case .uplink: restarts.uplink += 1
    case .listener(.specs): restarts.specsListener += 1
    case .listener(.job): restarts.listener += 1
    }
    tellRestarts()
  }

  /// Told on each change, and to each new Uplink; to none without /metrics, which would do nothing with it.
  mutating func tellRestarts() {
    if settings.uplink.metrics != nil, uplink.isReady { actions.append(.toUplink(.restarts(restarts))) }
  }
}
