import Decisions
import Messages
import Redis

typealias RedisLine = Line<RedisCommand, RedisReply>

/// The Redis server on which workers report, and what they have sent there. It lives on a machine of its own.
final class SimulatedRedis {
  /// One report that the server has taken.
  struct Message {
    var status: JobStatus
    var at: Int64
    /// Of the pubsub layer: who was subscribed.
    var subscriber: RedisModel.Client?
    /// The server has lost it, or had nobody to keep it for: no promise of ours.
    var isLost = false
  }

  private unowned let world: World
  let settings: RedisChannelSettings
  private(set) var model = RedisModel()
  private var lines: [RedisModel.Client: RedisLine] = [:]
  /// In the order in which they came.
  private(set) var messages: [JobID: [Message]] = [:]
  private var isUp = true
  private var isRefusing = false
  /// When the last fault was over.
  private var wellSince: Int64 = 0

  init(_ world: World, layer: RedisLayer) {
    self.world = world
    let server = RedisServer(
      place: .address("::1", port: 6379), password: world.chance(2) ? "secret" : nil, database: world.chance(2) ? 1 : 0)
    settings = RedisChannelSettings(server: server, layer: layer, prefix: "asgi")
    model.knowsTracking = !world.chance(3)
    model.knowsRenaming = !world.chance(5)
  }

  func key(of job: JobID) -> String { settings.prefix + RedisChannelSettings.channel(job) }

  /// No fault of the server or of its connections has been seen for that long.
  func isWell(for time: Int64) -> Bool { isUp && world.now - wellSince >= time }

  private func hurt(for time: Int64 = 0) { wellSince = max(wellSince, world.now + time) }

  // MARK: Those who report

  /// A worker's report arrives. Returns whether the server takes it.
  func report(_ status: JobStatus, of job: JobID) -> Bool {
    guard isUp, !isRefusing, !model.isLoading else { return false }
    var message = Message(status: status, at: world.now)
    switch settings.layer {
    case .core: deliver(model.add(member(status, job), at: Double(world.now) / 1_000_000_000, to: key(of: job)))
    case .pubsub:
      let channel = RedisChannelSettings.channel(job)
      message.subscriber = model.subscribers(of: channel).first { lines[$0] != nil }
      message.isLost = message.subscriber == nil
      deliver(model.publish(world.report(status, of: job), on: channel))
    }
    world.note("redis takes \(status.name) of \(job)\(message.isLost ? ", which nobody hears" : "")")
    messages[job, default: []].append(message)
    return true
  }

  /// An original receiver took this one and died, before there was a Listener.
  func leaveInFlight(_ status: JobStatus, of job: JobID) {
    guard settings.layer == .core, isUp else { return }
    deliver(model.add(member(status, job), at: Double(world.now) / 1_000_000_000, to: key(of: job) + "$inflight"))
    messages[job, default: []].append(Message(status: status, at: world.now))
  }

  /// Two alike are two: a sender begins each with twelve random bytes.
  private func member(_ status: JobStatus, _ job: JobID) -> [UInt8] {
    let salt = (0..<12).map { _ in UInt8(truncatingIfNeeded: world.random.next()) }
    return salt + world.report(status, of: job)
  }

  /// What is not on record yet never will be, as far as the server is concerned.
  private func lose(where isConcerned: (Message) -> Bool) {
    for (job, sent) in messages {
      for (index, message) in sent.enumerated() where isConcerned(message) && !world.record.holds(job, message.status) {
        messages[job]?[index].isLost = true
      }
    }
  }

  // MARK: Connections of Listeners

  func connect() -> RedisLine? {
    guard isUp else { return nil }
    let client = model.connect()
    let line = RedisLine(world)
    lines[client] = line
    line.up.attach { [weak self, weak line] command in
      guard let self, let line, lines[client] === line else { return }
      if let command { deliver(model.answer(command, from: client)) } else { closed(client) }
    }
    return line
  }

  private func deliver(_ sent: [RedisModel.Sent]) {
    for (client, reply) in sent { lines[client]?.down.send(reply) }
  }

  private func closed(_ client: RedisModel.Client) {
    lines[client] = nil
    model.lose(client)
    lose { $0.subscriber == client }
  }

  private func cut(_ client: RedisModel.Client) {
    guard let line = lines[client] else { return }
    hurt()
    closed(client)
    if world.chance(2) { line.down.lose() }
    line.closeByServer()
  }

  /// Neither side hears of the other again; the server may take a while to see it.
  private func vanish(_ client: RedisModel.Client) {
    guard let line = lines[client] else { return }
    // Until the other side has seen it.
    hurt(for: 40_000_000_000)
    line.down.lose()
    line.up.close()
    if world.chance(2) { return closed(client) }
    lines[client] = nil
    lose { $0.subscriber == client }
  }

  // MARK: Faults

  func disturb() {
    let second: Int64 = 1_000_000_000
    let clients = lines.keys.sorted()
    switch world.random.next() % 8 {
    case 0: if world.chance(2) { restart(after: .random(in: 0...30, using: &world.random) * second) }
    case 1...2: if let client = clients.randomElement(using: &world.random) { cut(client) }
    case 3: for client in clients { cut(client) }
    case 4: if let client = clients.randomElement(using: &world.random) { vanish(client) }
    case 5: refuse(for: .random(in: 1...20, using: &world.random) * second)
    default: slow(for: .random(in: 1...150, using: &world.random) * second / 10)
    }
  }

  private func restart(after time: Int64) {
    guard isUp else { return }
    let keepsData = world.chance(2)
    let loading = world.chance(2) ? Int64.random(in: 1...5, using: &world.random) * 1_000_000_000 : 0
    world.note("redis ends\(keepsData ? "" : " and loses everything")")
    for client in lines.keys.sorted() { cut(client) }
    isUp = false
    model.restart(keepingData: keepsData)
    if !keepsData { lose { _ in true } }
    hurt(for: time + loading)
    world.after(time) { [weak self] in
      guard let self else { return }
      isUp = true
      model.isLoading = true
      world.after(loading) { [weak self] in self?.model.isLoading = false }
    }
  }

  private func refuse(for time: Int64) {
    guard !isRefusing else { return }
    let texts = [
      "NOAUTH Authentication required.", "BUSY Redis is busy running a script.",
      "READONLY You can't write against a read only replica.",
    ]
    model.refuses = (texts.randomElement(using: &world.random) ?? "", .max)
    isRefusing = true
    hurt(for: time)
    world.after(time) { [weak self] in
      self?.model.refuses.times = 0
      self?.isRefusing = false
    }
  }

  /// One of its clients, or all of them, wait for their answers.
  private func slow(for time: Int64) {
    hurt(for: time)
    let clients = lines.keys.sorted()
    let all = world.chance(2)
    for client in clients where all || world.chance(clients.count) {
      lines[client]?.up.isPaused = true
      world.after(time) { [weak line = lines[client]] in line?.up.isPaused = false }
    }
  }
}
