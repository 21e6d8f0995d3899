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

// A reload is used as a whole or not at all: Uplink, which reads what the configuration names, has the last word. It has
// it on one reload at a time, or it would not be known which one it means.
extension SupervisorCore {
  enum ReloadStage: Sendable {
    case none, reading
    /// Read, and not yet taken by Uplink.
    case asking(Reload)
  }

  mutating func reloadRequested() {
    guard stage == .running else { return }
    guard uplink.isReady || nobodyToAsk, case .none = reload else {
      reloadWaits = true
      return
    }
    reloadWaits = false
    reload = .reading
    actions += [.notifyReloading, .readConfiguration]
  }

  /// Begins the one that was asked for while it could not begin.
  mutating func resumeReload() {
    if reloadWaits { reloadRequested() }
  }

  /// An Uplink that was ready once and cannot start again may need just this reload. Whatever its successor says of it, the
  /// service does not end.
  private var nobodyToAsk: Bool { uplinkCannotStart && uplink.run == nil && announcedReady && !isDegraded }

  mutating func configurationRead(_ read: Reload) {
    guard case .reading = reload else { return }
    if uplink.isReady {
      reload = .asking(read)
      actions.append(.toUplink(.reload(read.settings.uplink)))
    } else if uplink.run == nil {
      use(read)
    } else {
      // Its successor has been started meanwhile, with the old settings.
      reloadWaits = true
      reloadIsOver()
    }
  }

  mutating func configurationUnusable(_ problems: [String]) {
    guard case .reading = reload else { return }
    for problem in problems { log(.error, .reloadRefused, problem) }
    reloadFailed("see above")
  }

  /// Uplink has taken the new settings, or says why it cannot.
  mutating func reloaded(_ problem: String?) {
    guard case .asking(let read) = reload else { return }
    if let problem {
      reloadFailed(problem)
    } else {
      use(read)
    }
  }

  private mutating func use(_ read: Reload) {
    settings = read.settings
    actions.append(.useConfiguration)
    let applied = read.applied.isEmpty ? "" : "; changed: \(read.applied.joined(separator: ", "))"
    log(.notice, .serviceReloaded, "reloaded, the hotkey and the certificates too\(applied)")
    if !read.waiting.isEmpty {
      log(
        .warning, .serviceReloaded,
        "changed, and used only after a restart: \(read.waiting.joined(separator: ", "))")
    }
    reloadIsOver()
  }

  /// Uplink is gone, and with it what it would have said. Its successor starts with the settings that worked.
  mutating func reloadLost() {
    if case .none = reload { return }
    reloadFailed("uplink ended before it had taken it; reload again")
  }

  private mutating func reloadFailed(_ why: String) {
    log(.error, .reloadRefused, "the reload changes nothing: \(why)")
    reloadIsOver()
  }

  private mutating func reloadIsOver() {
    reload = .none
    // Behind STOPPING=1 it would be untrue.
    if stage == .running { actions.append(.notifyReady) }
    resumeReload()
  }
}
