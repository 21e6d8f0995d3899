/// A configuration that was read again while the service runs.
public struct Reload: Sendable {
  /// What would be gone on with.
  public var settings: SupervisorCore.Settings
  /// The sections whose change takes effect.
  public var applied: [String]
  /// The keys whose change waits for a restart.
  public var waiting: [String]

  public init(settings: SupervisorCore.Settings, applied: [String] = [], waiting: [String] = []) {
    self.settings = settings
    self.applied = applied
    self.waiting = waiting
  }
}

// A reload is used as a whole or not at all: Uplink, which reads what the configuration names, has the last word.
extension SupervisorCore {
  mutating func reloadRequested() {
    guard stage == .running else { return }
    if announcedReady { actions.append(.notifyReloading) }
    actions.append(.readConfiguration)
  }

  mutating func configurationRead(_ read: Reload) {
    reload = read
    if uplink.isReady { actions.append(.toUplink(.reload(read.settings.uplink))) } else { reloaded(nil) }
  }

  mutating func configurationUnusable(_ problems: [String]) {
    for problem in problems { log(.error, .reloadRefused, problem) }
    reloadFailed("see above")
  }

  /// Uplink has taken the new settings, or says why it cannot.
  mutating func reloaded(_ problem: String?) {
    guard let read = reload else { return }
    if let problem {
      reloadFailed(problem)
      return
    }
    reload = nil
    settings = read.settings
    actions.append(.useConfiguration)
    let applied = read.applied.isEmpty ? "" : "; changed: \(read.applied.joined(separator: ", "))"
    log(.notice, .serviceReloaded, "reloaded, the hotkey and the certificates too\(applied)")
    if !read.waiting.isEmpty {
      log(
        .warning, .serviceReloaded,
        "changed, and used only after a restart: \(read.waiting.joined(separator: ", "))")
    }
    if announcedReady { actions.append(.notifyReady) }
  }

  /// Uplink is gone, and with it what it would have said. Its successor starts with the settings that worked.
  mutating func reloadLost() {
    if reload != nil { reloadFailed("uplink ended before it had taken it; reload again") }
  }

  private mutating func reloadFailed(_ why: String) {
    reload = nil
    log(.error, .reloadRefused, "the reload changes nothing: \(why)")
    if announcedReady { actions.append(.notifyReady) }
  }
}
