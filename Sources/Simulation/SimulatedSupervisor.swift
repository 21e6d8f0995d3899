import Decisions
import DequeModule
import Messages

/// The Supervisor as a process, as hordelink-supervisor has it: it keeps sockets, makes processes and reaps them.
final class SimulatedSupervisor: SimulatedProcess, CustomStringConvertible {
  private final class ChildHandle {
    let generation: Generation
    let process: SimulatedProcess
    var toUplink: Line<UplinkToSupervisor, SupervisorToUplink>?
    var toListener: Line<ListenerToSupervisor, SupervisorToListener>?

    init(_ generation: Generation, _ process: SimulatedProcess) {
      self.generation = generation
      self.process = process
    }
  }

  private var core: SupervisorCore
  private var events = Deque<SupervisorCore.Event>()
  private var busy = false
  private var children: [ChildKey: ChildHandle] = [:]
  private var commands: [JobID: SimulatedCommand] = [:]
  private var hooks: [HookRun: SimulatedHook] = [:]
  private var ingress: [Channel: SimulatedIngress]
  /// Jobs whose sockets were there before it.
  private var inherited: Set<JobID>
  /// Listeners that have connected to Uplink's socket while nobody accepted there.
  var uplinkBacklog: [Line<ListenerToUplink, UplinkToListener>] = []
  /// The children that were told of when it was last asked.
  private(set) var report: [ChildReport]?
  private(set) var isStopping = false

  var description: String { "supervisor \(pid)" }

  override init(_ world: World) {
    let stop = Duration.seconds(5)
    ingress = world.takeStoredSockets()
    inherited = Set(ingress.keys.compactMap { if case .job(let job) = $0 { job } else { nil } })
    core = SupervisorCore(
      settings: SupervisorCore.Settings(
        uplink: world.configured, redis: world.redis?.settings, uplinkSocket: "", stopGrace: stop),
      inherited: inherited,
      seed: world.random.next(), at: world.moment.boot)
    super.init(world)
    world.after(world.latency()) { [weak self] in self?.post(.timeReached) }
  }

  func ingress(of channel: Channel) -> SimulatedIngress? { ingress[channel] }
  var openIngress: Int { ingress.count }
  var livingChildren: [SimulatedProcess] {
    children.values.map(\.process).filter(\.isAlive).sorted { $0.pid < $1.pid }
  }
  var livingHooks: [SimulatedHook] { hooks.values.filter(\.isAlive).sorted { $0.pid < $1.pid } }
  var livingCommands: [SimulatedCommand] { commands.values.filter(\.isAlive).sorted { $0.pid < $1.pid } }

  func stop() {
    isStopping = true
    post(.stopRequested)
  }

  /// SIGHUP.
  func reload() { post(.reloadRequested) }

  /// What it goes on with.
  var settings: SupervisorCore.Settings { core.settings }

  func ask(_ query: UplinkQuery) {
    report = nil
    post(.controlQuery(1, query))
  }

  private func post(_ event: SupervisorCore.Event) {
    guard runs else { return }
    events.append(event)
    guard !busy else { return }
    busy = true
    while let next = events.popFirst(), runs {
      world.stepped()
      carryOut(core.handle(next, at: world.moment.boot)) { perform($0) }
    }
    busy = false
    setTimer(core.nextDeadline) { [weak self] in self?.post(.timeReached) }
  }

  private func perform(_ action: SupervisorCore.Action) {
    switch action {
    case .spawnUplink(let generation):
      guard canSpawn(.uplink, generation) else { return }
      let line = Line<UplinkToSupervisor, SupervisorToUplink>(between: world)
      let child = SimulatedUplink(world, generation: generation, control: line)
      world.uplinks.append(child)
      let handle = ChildHandle(generation, child)
      handle.toUplink = line
      line.up.attach { [weak self] message in
        if let message { self?.post(.fromUplink(message, generation)) }
      }
      spawned(.uplink, handle) { line.up.drain() }
    case .spawnListener(let channel, let generation):
      guard canSpawn(.listener(channel), generation) else { return }
      let socket = ingress[channel] ?? SimulatedIngress()
      ingress[channel] = socket
      let line = Line<ListenerToSupervisor, SupervisorToListener>(between: world)
      let key = ChildKey.listener(channel)
      let child = SimulatedListener(world, job: key.job, generation: generation, ingress: socket, control: line)
      let handle = ChildHandle(generation, child)
      handle.toListener = line
      line.up.attach { [weak self] message in
        if let message { self?.post(.fromListener(channel, message, generation)) }
      }
      spawned(key, handle) { line.up.drain() }
    case .spawnCommand(let job, let body, _):
      if body != world.facilitator.body(of: job) { world.fail("the command of \(job) gets another request than came") }
      startCommand(job)
    case .signalChild(let key, let pid, let signal):
      if let child = children[key], child.process.pid == pid { child.process.signal(signal) }
    case .signalCommand(let job, let signal): commands[job]?.terminate(signal)
    case .killLeftover(_, let record):
      if record.bootID == world.bootID { world.commands.first { $0.pid == record.pid }?.end(.signal(9)) }
    case .toUplink(let message): children[.uplink]?.toUplink?.down.send(message)
    case .toListener(let channel, let message): children[.listener(channel)]?.toListener?.down.send(message)
    case .removeIngress(let job): ingress.removeValue(forKey: .job(job))?.close()
    case .keepIngress(let jobs):
      for job in inherited.subtracting(jobs).sorted() { ingress.removeValue(forKey: .job(job))?.close() }
      inherited = []
    case .answerControl(_, let children, _): report = children
    case .spawnHook(let run, let items): startHook(run, items)
    case .signalHook(let run, let signal): hooks[run]?.terminate(signal)
    case .readConfiguration: world.after(world.latency()) { [weak self] in self?.readConfiguration() }
    case .useConfiguration, .notifyReady, .notifyReloading, .notifyStopping, .notifyStatus: break
    case .log(let entry): world.note("\(self): \(entry.text)")
    case .exit(let code):
      world.supervisorExit = code
      end(.code(code))
    }
  }

  private func readConfiguration() {
    guard runs else { return }
    if world.chance(world.faults.reloadFails) { return post(.configurationUnusable(["hordelink.toml:3: no number"])) }
    var read = settings
    read.uplink = world.configured
    post(.configurationRead(Reload(settings: read)))
  }

  private func canSpawn(_ key: ChildKey, _ generation: Generation) -> Bool {
    guard world.chance(world.faults.spawnFails) else { return true }
    events.append(.spawnFailed(key, generation, reason: "no memory"))
    return false
  }

  private func spawned(_ key: ChildKey, _ handle: ChildHandle, lastWords: @escaping () -> Void) {
    children[key] = handle
    handle.process.reaped = { [weak self, weak handle] exit in
      guard let self, runs, let handle, children[key] === handle else { return }
      lastWords()
      guard runs else { return }
      children[key] = nil
      post(.childExited(key, handle.generation, exit))
    }
    events.append(.childSpawned(key, handle.generation, pid: handle.process.pid))
  }

  private func startCommand(_ job: JobID) {
    if world.chance(world.faults.spawnFails) {
      events.append(.commandFailed(job, reason: "no memory"))
      return
    }
    if world.settings.tasks == nil { world.started(job) }
    let command = SimulatedCommand(world, job: job)
    commands[job] = command
    world.commands.append(command)
    command.reaped = { [weak self, weak command] exit in
      guard let self, runs, let command, commands[job] === command else { return }
      commands[job] = nil
      post(.commandExited(job, CommandExit(exit)))
    }
    events.append(
      .commandStarted(job, CommandRecord(pid: command.pid, startTime: UInt64(command.pid), bootID: world.bootID)))
  }

  private func startHook(_ run: HookRun, _ items: [TaskOrder.Task]) {
    if world.chance(world.faults.spawnFails) {
      events.append(.hookExited(run, nil))
      return
    }
    let hook = SimulatedHook(world, run, items)
    if hooks.values.contains(where: { $0.isAlive && $0.lane == hook.lane }) {
      world.fail("two runs of the hook have things of one lane: \(items.map(\.id))")
    }
    hooks[run] = hook
    hook.reaped = { [weak self, weak hook] exit in
      guard let self, runs, let hook, hooks[run] === hook else { return }
      hooks[run] = nil
      post(.hookExited(run, CommandExit(exit)))
    }
  }

  override func closeAll() {
    for key in children.keys.sorted(by: { "\($0)" < "\($1)" }) {
      guard let child = children[key] else { continue }
      child.toUplink?.up.close()
      child.toUplink?.down.send(nil)
      child.toListener?.up.close()
      child.toListener?.down.send(nil)
    }
    world.store(ingress)
    ingress = [:]
    for line in uplinkBacklog { line.closeByServer() }
    uplinkBacklog = []
    world.supervisorEnded()
  }
}

extension CommandExit {
  fileprivate init(_ exit: ProcessExit) {
    switch exit {
    case .code(let code): self.init(code: code, signal: nil)
    case .signal(let signal): self.init(code: nil, signal: signal)
    }
  }
}
