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

typealias WorkerLine = Line<JobStatus, WorkerAnswer>

/// A Listener as a process, as hordelink-listener has it.
final class SimulatedListener: SimulatedProcess, CustomStringConvertible {
  let generation: Generation
  private let control: Line<ListenerToSupervisor, SupervisorToListener>
  private let ingress: SimulatedIngress
  private let job: JobID?
  private var core: ListenerCore
  private var uplink: Line<ListenerToUplink, UplinkToListener>?
  private var workers: [ConnectionID: WorkerLine] = [:]
  private var nextWorker: UInt64 = 1
  private var draining = false

  var description: String { "listener \(generation)" }

  init(
    _ world: World, job: JobID?, generation: Generation, ingress: SimulatedIngress,
    control: Line<ListenerToSupervisor, SupervisorToListener>
  ) {
    self.job = job
    self.generation = generation
    self.control = control
    self.ingress = ingress
    core = ListenerCore(
      settings: ListenerSettings(job: job, uplinkSocket: "", maxFrameBytes: world.settings.maxFrameBytes))
    super.init(world)
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
      acceptWorkers()
    }
  }

  private func post(_ event: ListenerCore.Event) {
    guard runs else { return }
    world.stepped()
    carryOut(core.handle(event, at: world.moment.boot)) { perform($0) }
    setTimer(core.nextDeadline) { [weak self] in self?.post(.timeReached) }
  }

  private func perform(_ action: ListenerCore.Action) {
    switch action {
    case .connectUplink: connectUplink()
    case .toUplink(let message): uplink?.up.send(message)
    case .toSupervisor(let message): control.up.send(message)
    case .answer(let id, id: _, let answer): workers[id]?.down.send(answer)
    case .close(let id): workers.removeValue(forKey: id)?.closeByServer()
    case .pauseReading(let id): workers[id]?.up.isPaused = true
    case .resumeReading(let id): workers[id]?.up.isPaused = false
    case .drain:
      draining = true
      // Behind this event: reading hands over events of its own.
      world.after(1) { [weak self] in self?.drain() }
    // No Redis is simulated.
    case .endChannel, .resolved: break
    case .exit(let code): end(.code(code))
    }
  }

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
      line.up.attach { [weak self] status in
        guard let self, runs else { return }
        if let status {
          post(.workerRequest(id, WorkerRequest(id: nil, content: .update(status, metadata: nil))))
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
  }
}
