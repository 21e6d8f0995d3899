// What others need of the configuration, as the messages to them have it.

import Configuration
import Decisions
import Identity
import Messages
import Platform

extension UplinkSettings {
  /// What Uplink needs of the configuration.
  init(_ configuration: Configuration) {
    let url = configuration.facilitator.url
    self.init(
      stateDirectory: configuration.stateDirectory, secure: url.secure, host: url.host, port: url.port,
      path: url.requestTarget, caFile: configuration.facilitator.caFile,
      proxy: configuration.facilitator.proxy.map {
        ProxySettings(host: $0.host, port: $0.port, credentials: $0.credentials)
      },
      heartbeatSeconds: configuration.facilitator.heartbeatSeconds,
      hotkeyFile: configuration.identity.hotkeyFile, trustedSigners: configuration.jobs.trustedSigners,
      verifySignatures: configuration.jobs.verifySignatures, maxAgeSeconds: configuration.jobs.maxAgeSeconds,
      graceSeconds: configuration.jobs.graceSeconds, maxOpenJobs: configuration.jobs.maxOpen,
      maxRequestBytes: configuration.jobs.maxRequestBytes, window: configuration.outbox.window,
      maxRows: configuration.outbox.maxRows, maxBytes: configuration.outbox.maxBytes,
      maxFrameBytes: configuration.channel.maxFrameBytes,
      commandIsLauncher: configuration.dispatch.startsElsewhere,
      tasks: TaskSettings(configuration.dispatch),
      drainSeconds: configuration.stopping.drainSeconds,
      hasStatusHook: configuration.hooks.onStatusUpdate != nil,
      hasCheatHook: configuration.hooks.onCheated != nil,
      metrics: configuration.metrics.map { ListenSettings(host: $0.listen.host, port: $0.listen.port) })
  }
}

extension Configuration.Dispatch {
  /// What is started here has only started the job elsewhere when it ends.
  var startsElsewhere: Bool { kind == .celery || commandIs == .launcher }
}

extension Configuration.Hooks {
  subscript(hook: Hook) -> Configuration.Hook? {
    switch hook {
    case .statusUpdate: onStatusUpdate
    case .cheated: onCheated
    }
  }
}

extension TaskSettings {
  /// nil where jobs are not tasks.
  init?(_ dispatch: Configuration.Dispatch) {
    guard dispatch.kind == .celery else { return nil }
    self.init(queueSeconds: dispatch.queueSeconds, results: dispatch.resultURL.map { RedisServer($0) })
  }
}

extension TaskOrder {
  /// What the broker remembers beyond the time in which a job may be dispatched again, in seconds: whatever clocks differ by.
  private static let marginSeconds = 86_400
  /// The same for hooks, of whose tasks there are many more: one that comes again later is run again.
  private static let hookSeconds = 3600

  /// The order for a hook; nil where it is no task.
  init?(_ configuration: Configuration, _ hook: Hook, _ items: [Task]) {
    guard case .task(let task) = configuration.hooks[hook], let broker = configuration.dispatch.brokerURL else {
      return nil
    }
    self.init(
      broker: RedisServer(broker), task: task, queue: configuration.hooks.taskQueue, areJobRequests: false,
      keepsResult: false, expiresAt: nil, markerSeconds: Self.hookSeconds, tasks: items)
  }

  /// The order for a job; nil where jobs are not tasks.
  init?(_ dispatch: Configuration.Dispatch, _ job: JobID, _ body: [UInt8], beginBy: Int64) {
    guard dispatch.kind == .celery, let broker = dispatch.brokerURL, let task = dispatch.task,
      let queue = dispatch.queue
    else { return nil }
    let left = WallTime(milliseconds: beginBy) - WallTime(milliseconds: Clock.wallMilliseconds)
    self.init(
      broker: RedisServer(broker), task: task, queue: queue, areJobRequests: true,
      moreArguments: dispatch.extraArguments, keywordArguments: dispatch.extraKeywordArguments, expiresAt: beginBy,
      markerSeconds: max(0, left.wholeSeconds) + Self.marginSeconds, tasks: [Task(id: job.description, argument: body)])
  }
}

extension RedisServer {
  init(_ url: RedisURL) {
    let place: Place =
      switch url.place {
      case .host(let name, let port, isName: true): .name(name, port: port)
      case .host(let address, let port, isName: false): .address(address, port: port)
      case .socket(let path): .socket(path)
      }
    self.init(place: place, username: url.username, password: url.password, database: url.database)
  }
}

extension RedisChannelSettings {
  /// nil where workers do not report through Redis.
  init?(_ channel: Configuration.Channel) {
    guard channel.kind == .redis, let url = channel.redisURL else { return nil }
    self.init(
      server: RedisServer(url), layer: channel.redisLayer == .core ? .core : .pubsub, prefix: channel.redisPrefix)
  }
}

extension SupervisorCore.Settings {
  init(_ configuration: Configuration) {
    self.init(
      uplink: UplinkSettings(configuration), redis: RedisChannelSettings(configuration.channel),
      uplinkSocket: Ingress.uplinkPath(configuration.runtimeDirectory),
      stopGrace: .seconds(configuration.dispatch.stopSeconds))
  }
}

extension SupervisorToUplink {
  /// The same, with the secret by which Listeners are known where it carries settings: no decision sees it.
  func with(_ secret: ListenerSecret) -> SupervisorToUplink {
    guard case .configure(var settings) = self else { return self }
    settings.listenerSecret = secret.bytes
    return .configure(settings)
  }
}
