import Decisions
import Messages

/// A job's ingress socket: it outlives the Listener that accepts on it, and ends with its Supervisor.
final class SimulatedIngress {
  var backlog: [WorkerLine] = []
  weak var listener: SimulatedListener?
  private(set) var isOpen = true

  func connect(_ line: WorkerLine) {
    backlog.append(line)
    listener?.acceptWorkers()
  }

  func close() {
    isOpen = false
    for line in backlog { line.closeByServer() }
    backlog = []
  }
}

typealias WorkerLine = Line<WorkerRequest.Content, WorkerAnswer>

/// A Listener as a process, as hordelink-listener has it.
final class SimulatedListener: SimulatedProcess, CustomStringConvertible {
  let generation: Generation
  private let control: Line<ListenerToSupervisor, SupervisorToListener>
  private let ingress: SimulatedIngress
  private let job: JobID?
  private var core: ListenerCore
  private var uplink: Line<ListenerToUplink, UplinkToListener>?
  private var workers: [ConnectionID: WorkerLine] = [:]
  // Below it are numbers that the loop has for itself.
  private var nextWorker: UInt64 = 16
  private var draining = false
  private var ear: SimulatedRedisEar?
  private var redisIsEmpty = true

  var description: String { "listener \(generation)" }

  init(
    _ world: World, job: JobID?, generation: Generation, ingress: SimulatedIngress,
    control: Line<ListenerToSupervisor, SupervisorToListener>
  ) {
    self.job = job
    self.generation = generation
    self.control = control
    self.ingress = ingress
    let redis = job == nil ? nil : world.redis
    core = ListenerCore(
      settings: ListenerSettings(
        job: job, uplinkSocket: "", maxFrameBytes: world.settings.maxFrameBytes, redis: redis?.settings))
    super.init(world)
    if let job, let redis { ear = SimulatedRedisEar(world, redis, listener: self, job: job) }
    control.down.attach { [weak self] message in
      guard let self, runs else { return }
      // The loop takes it before there is a core.
      if case .assign = message { return }
      if let message { post(.fromSupervisor(message)) } else { end(.code(0)) }
    }
    world.after(world.latency()) { [weak self] in
      guard let self, runs else { return }
      ingress.listener = self
      carryOut(core.start()) { perform($0) }
      if let ear, runs { take(ear.start()) }
      acceptWorkers()
    }
  }

  private func post(_ event: ListenerCore.Event) {
    guard runs else { return }
    world.stepped()
    carryOut(core.handle(event, at: world.moment.boot)) { perform($0) }
    world.check(core, of: self)
    armTimer()
  }

  private func armTimer() {
    setTimer(.earlier(core.nextDeadline, ear?.nextDeadline)) { [weak self] in
      guard let self else { return }
      let now = world.moment.boot
      if let due = core.nextDeadline, due <= now { post(.timeReached) }
      if let due = ear?.nextDeadline, due <= now { tellRedis(.timeReached) }
      armTimer()
    }
  }

  private func perform(_ action: ListenerCore.Action) {
    switch action {
    case .connectUplink: connectUplink()
    case .toUplink(let message): uplink?.up.send(message)
    case .toSupervisor(let message): control.up.send(message)
    case .answer(ListenerCore.redisConnection, let id, _):
      if case .int(let number)? = id { tellRedis(.settled(UInt64(number))) }
    case .answer(let id, id: _, let answer): workers[id]?.down.send(answer)
    case .close(let id): workers.removeValue(forKey: id)?.closeByServer()
    case .pauseReading(ListenerCore.redisConnection): pauseRedis(true)
    case .resumeReading(ListenerCore.redisConnection): pauseRedis(false)
    case .pauseReading(let id): workers[id]?.up.isPaused = world.mutation != .readsWithoutRoom
    case .resumeReading(let id): workers[id]?.up.isPaused = false
    case .drain:
      draining = true
      // Behind this event: reading hands over events of its own.
      world.after(1) { [weak self] in self?.drain() }
      redisIsEmpty = ear == nil || world.mutation == .exitBeforeChannelIsRead
      tellRedis(.drain)
    case .endChannel: tellRedis(.end)
    // No names are resolved.
    case .resolved: break
    case .exit(let code): end(.code(code))
    }
  }

  // MARK: Redis

  func tellRedis(_ event: RedisChannel.Event) {
    guard runs, let ear else { return }
    world.stepped()
    take(ear.handle(event))
    armTimer()
  }

  private func take(_ outputs: [SimulatedRedisEar.Output]) {
    for output in outputs where runs {
      switch output {
      case .request(let number, let content):
        if world.mutation == .removedBeforeStored { tellRedis(.settled(number)) }
        let request = WorkerRequest(id: .int(Int64(number)), content: content)
        post(.workerRequest(ListenerCore.redisConnection, request))
      case .ready: post(.channelReady)
      case .drained:
        redisIsEmpty = true
        world.after(1) { [weak self] in self?.drain() }
      case .ended: post(.channelEnded)
      }
    }
  }

  private func pauseRedis(_ isPaused: Bool) {
    ear?.isPaused = isPaused
    tellRedis(.paused(isPaused))
  }

  // MARK: Uplink and workers

  private func connectUplink() {
    guard let line = world.connectUplink(generation) else { return post(.uplinkLost) }
    uplink = line
    line.down.attach { [weak self, weak line] message in
      guard let self, runs, uplink === line else { return }
      if let message { return post(.fromUplink(message)) }
      uplink = nil
      post(.uplinkLost)
    }
    post(.uplinkConnected)
  }

  func acceptWorkers() {
    guard runs else { return }
    let lines = ingress.backlog
    ingress.backlog = []
    for line in lines {
      let id = ConnectionID(nextWorker)
      nextWorker += 1
      workers[id] = line
      post(.workerConnected(id))
      line.up.attach { [weak self] content in
        guard let self, runs else { return }
        if let content {
          post(.workerRequest(id, WorkerRequest(id: nil, content: content)))
        } else {
          post(.workerAtEnd(id))
        }
      }
    }
  }

  /// Reads everything that has been sent so far. What is paused is read once it no longer is.
  private func drain() {
    guard runs, draining else { return }
    acceptWorkers()
    for id in workers.keys.sorted() where runs { workers[id]?.up.drain() }
    guard runs else { return }
    if workers.values.contains(where: { $0.up.isPaused }) {
      world.after(world.latency()) { [weak self] in self?.drain() }
      return
    }
    guard redisIsEmpty else { return }
    draining = false
    post(.drained)
  }

  override func closeAll() {
    if ingress.listener === self { ingress.listener = nil }
    control.up.send(nil)
    control.down.close()
    uplink?.closeByClient()
    for id in workers.keys.sorted() { workers[id]?.closeByServer() }
    workers = [:]
    ear?.closeAll()
    if let job { world.listenerEnded(job) }
  }
}
