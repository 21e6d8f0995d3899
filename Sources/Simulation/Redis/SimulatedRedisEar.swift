import Decisions
import Messages
import Redis

/// A Listener's connections to Redis, as its RedisEar has them.
final class SimulatedRedisEar {
  /// What the Listener has to do.
  enum Output {
    case request(UInt64, WorkerRequest.Content)
    case ready
    case drained
    case ended
  }

  private unowned let world: World
  private unowned let listener: SimulatedListener
  private let redis: SimulatedRedis
  private let job: JobID
  private var channel: RedisChannel
  private var lines: [RedisChannel.Link: RedisLine] = [:]
  /// The attempt to connect that counts.
  private var attempts: [RedisChannel.Link: Int] = [:]
  private var outputs: [Output] = []

  init(_ world: World, _ redis: SimulatedRedis, listener: SimulatedListener, job: JobID) {
    self.world = world
    self.listener = listener
    self.redis = redis
    self.job = job
    channel = RedisChannel(
      settings: redis.settings, job: job, longestMessage: 1 << 20, seed: world.random.next())
  }

  var nextDeadline: Instant? { channel.nextDeadline }

  /// Whether what comes is left in the socket for now.
  var isPaused = false {
    didSet { lines[.data]?.down.isPaused = isPaused }
  }

  func start() -> [Output] {
    listener.carryOut(channel.start(at: world.moment.boot)) { perform($0) }
    return takeOutputs()
  }

  func handle(_ event: RedisChannel.Event) -> [Output] {
    listener.carryOut(channel.handle(event, at: world.moment.boot)) { perform($0) }
    world.check(channel, of: listener)
    return takeOutputs()
  }

  private func takeOutputs() -> [Output] {
    defer { outputs = [] }
    return outputs
  }

  private func perform(_ action: RedisChannel.Action) {
    switch action {
    case .connect(let link): connect(link)
    case .disconnect(let link): close(link)
    case .send(let link, let command): lines[link]?.up.send(command)
    case .received(let number, let message):
      if let content = world.reported(message, of: job) { outputs.append(.request(number, content)) }
    case .ready: outputs.append(.ready)
    case .drained: outputs.append(.drained)
    case .ended: outputs.append(.ended)
    case .log(_, let text):
      world.note("\(listener): \(text)")
      if redis.model.knowsTracking, text.contains("does not tell of changes") {
        world.fail("\(listener) no longer asks a server to tell of changes that does: \(text)")
      }
    }
  }

  private func connect(_ link: RedisChannel.Link) {
    let attempt = (attempts[link] ?? 0) + 1
    attempts[link] = attempt
    world.after(world.latency()) { [weak self] in
      guard let self, listener.runs, attempts[link] == attempt else { return }
      guard let line = redis.connect() else { return listener.tellRedis(.lost(link, "refused")) }
      lines[link] = line
      if link == .data { line.down.isPaused = isPaused }
      line.down.attach { [weak self, weak line] reply in
        guard let self, let line, listener.runs, lines[link] === line else { return }
        if let reply { return listener.tellRedis(.reply(link, reply)) }
        lines[link] = nil
        listener.tellRedis(.lost(link, "the connection was closed"))
      }
      listener.tellRedis(.connected(link))
    }
  }

  private func close(_ link: RedisChannel.Link) {
    attempts[link] = (attempts[link] ?? 0) + 1
    lines.removeValue(forKey: link)?.closeByClient()
  }

  func closeAll() { for link in RedisChannel.Link.allCases { close(link) } }
}
