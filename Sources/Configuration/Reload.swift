extension Configuration {
  /// What a reload makes of this configuration when its file has become `new`.
  ///
  /// - Returns: the settings to go on with, the sections with a change that takes effect, and the keys whose change waits for a
  ///   restart and is not among the settings.
  public func reloaded(with new: Configuration) -> (settings: Configuration, applied: [String], waiting: [String]) {
    var settings = new
    var waiting: [String] = []
    func keep<Value: Equatable>(_ key: String, _ value: WritableKeyPath<Configuration, Value>) {
      guard self[keyPath: value] != new[keyPath: value] else { return }
      waiting.append(key)
      settings[keyPath: value] = self[keyPath: value]
    }
    // What is open lies there.
    keep("state_directory", \.stateDirectory)
    keep("runtime_directory", \.runtimeDirectory)
    // Listeners that run have been told these, and jobs that run rely on them.
    keep("channel.kind", \.channel.kind)
    keep("channel.redis_url", \.channel.redisURL)
    keep("channel.redis_layer", \.channel.redisLayer)
    keep("channel.redis_prefix", \.channel.redisPrefix)
    keep("channel.max_frame_bytes", \.channel.maxFrameBytes)
    keep("dispatch.kind", \.dispatch.kind)
    keep("dispatch.command_is", \.dispatch.commandIs)
    keep("dispatch.broker_url", \.dispatch.brokerURL)
    keep("dispatch.task", \.dispatch.task)
    keep("dispatch.queue", \.dispatch.queue)
    keep("dispatch.result_url", \.dispatch.resultURL)
    func keepHook(_ key: String, _ hook: WritableKeyPath<Configuration, Hook?>) {
      // Another command is used at once. Reports from before there was a hook are read from the record at a start.
      let comesOrGoes = (self[keyPath: hook] == nil) != (new[keyPath: hook] == nil)
      // A task has its queue at the broker, which waits for a restart itself.
      let lacksBroker = if case .task = new[keyPath: hook] { dispatch.brokerURL == nil } else { false }
      if comesOrGoes || lacksBroker { keep(key, hook) }
    }
    keepHook("hooks.on_cheated", \.hooks.onCheated)
    keepHook("hooks.on_status_update", \.hooks.onStatusUpdate)
    keep("metrics.listen", \.metrics)
    return (settings, applied: changedSections(settings), waiting)
  }

  private func changedSections(_ new: Configuration) -> [String] {
    [
      ("facilitator", facilitator != new.facilitator), ("identity", identity != new.identity),
      ("jobs", jobs != new.jobs), ("dispatch", dispatch != new.dispatch), ("stop", stopping != new.stopping),
      ("outbox", outbox != new.outbox), ("hooks", hooks != new.hooks),
    ]
    .filter(\.1).map { "[\($0.0)]" }
  }
}
