import Decisions
import DequeModule
import Messages

/// Uplink as a process: its loop and the thread of its record, as hordelink-uplink has them.
final class SimulatedUplink: SimulatedProcess, CustomStringConvertible {
  enum Request {
    case commit([StoreOperation], UplinkCore.AfterCommit)
    case load(UpdateID, Int, passingOver: Bool)
    case loadForHook(UpdateID, Int)
    case loadBody(JobID)
    case loadJob(JobID)
    case lookUp(SimulatedFacilitator.JobRequest)
    case lookUpCheat(SimulatedFacilitator.Cheat)
    case lookUpDead(DeadLetterRequest)
    case expire
    case checkDisk

    /// About something that the reception has taken in.
    var isQuestion: Bool {
      switch self {
      case .lookUp, .lookUpCheat: true
      default: false
      }
    }
  }

  let generation: Generation
  private let control: Line<UplinkToSupervisor, SupervisorToUplink>
  private var core: UplinkCore?
  /// What has happened since the last turn of its loop.
  private var events: [UplinkCore.Event] = []
  private(set) var turnIsDue = false
  private var listeners: [ConnectionID: Line<ListenerToUplink, UplinkToListener>] = [:]
  private var nextListener: UInt64 = 1
  private var facilitator: SimulatedFacilitator.Connection?
  private lazy var reception = SimulatedReception(world, self)
  private var requests: [Request] = []
  private var batch: [Request]?
  /// A batch is in the file, and its sync is under way.
  private var isSyncing = false
  /// What came of batches, not told yet.
  private var reports = Deque<(events: [UplinkCore.Event], lookedUp: Int)>()
  /// What each update on its way asks to be stored, to be checked when it is acknowledged.
  private var jobOf: [ConnectionID: JobID] = [:]
  private var askedFor: [ConnectionID: [UInt64: JobStatus]] = [:]

  var description: String { "uplink \(generation)" }

  init(_ world: World, generation: Generation, control: Line<UplinkToSupervisor, SupervisorToUplink>) {
    self.generation = generation
    self.control = control
    super.init(world)
    control.down.attach { [weak self] message in
      guard let self, runs else { return }
      if let message { heard(message) } else { end(.code(0)) }
    }
  }

  /// Takes the lock, reads the record, and accepts who has connected meanwhile.
  private func open(_ settings: UplinkSettings) {
    guard runs else { return }
    if let other = world.uplinks.first(where: { $0 !== self && $0.isAlive && $0.core != nil }) {
      world.note("\(self) finds the record locked by \(other)")
      return end(.code(75))
    }
    // What a predecessor has written counts as stored only once it is on the disk.
    if world.mutation != .opensWithoutSync { world.sync() }
    let stored = world.record.load(bootID: world.bootID, wall: world.moment.wall)
    core = UplinkCore(
      settings: settings, stored: stored, bootID: world.bootID, seed: world.random.next(), at: world.moment)
    for line in world.takeUplinkBacklog() { accept(line) }
    if let actions = core?.start(at: world.moment) { carryOut(actions) { perform($0) } }
    post(.timeReached)
    control.down.isPaused = false
  }

  var accepts: Bool { runs && core != nil }
  var settings: UplinkSettings? { core?.settings }
  /// What has been looked up and is not durable yet.
  var requestsBeingStored: RequestsUnderWay { core?.requestsBeingStored ?? RequestsUnderWay() }

  func accept(_ line: Line<ListenerToUplink, UplinkToListener>) {
    let id = ConnectionID(nextListener)
    nextListener += 1
    listeners[id] = line
    let generation = line.generation
    line.up.attach { [weak self] message in
      guard let self, runs else { return }
      guard let message else {
        listeners[id] = nil
        return post(.listenerGone(id))
      }
      if case .hello(let job, _) = message { jobOf[id] = job }
      if case .update(let number, let status, _) = message { askedFor[id, default: [:]][number.number] = status }
      post(.fromListener(id, message, generation))
    }
  }

  private func heard(_ message: SupervisorToUplink) {
    if case .configure(let settings) = message {
      // The rest is read once the record is open.
      control.down.isPaused = true
      world.after(world.latency()) { [weak self] in self?.open(settings) }
    } else if case .ping(let number) = message {
      let age = core?.oldestCommit.map { (world.moment.boot - $0).wholeMilliseconds } ?? 0
      control.up.send(.pong(number, oldestUncommittedMilliseconds: UInt64(max(0, age))))
    } else if case .reload(let settings) = message {
      if world.chance(world.faults.reloadFails) {
        control.up.send(.reloaded(problem: "the hotkey cannot be read"))
      } else if world.mutation == .reloadedOnOneSide {
        control.up.send(.reloaded(problem: nil))
      } else {
        post(.reloaded(settings))
      }
    } else {
      post(.fromSupervisor(message))
    }
  }

  /// What comes in one turn of the loop is handed over together.
  func post(_ event: UplinkCore.Event) {
    guard runs, core != nil else { return }
    events.append(event)
    guard !turnIsDue else { return }
    turnIsDue = true
    world.after(world.chance(2) ? .zero : world.latency()) { [weak self] in self?.turn() }
  }

  private func turn() {
    turnIsDue = false
    guard runs else { return }
    world.stepped()
    let batch = events
    events = []
    guard let actions = core?.handle(batch, at: world.moment) else { return }
    carryOut(actions) { perform($0) }
    if let core { world.check(core, of: self) }
    reception.lookSoon()
    setTimer(core?.nextDeadline) { [weak self] in self?.post(.timeReached) }
  }

  private func perform(_ action: UplinkCore.Action) {
    switch action {
    case .commit(let operations, let then):
      ask(.commit(operations, then))
      if world.mutation == .acknowledgedBeforeCommit, case .update(let listener, let number, _) = then {
        listeners[listener]?.down.send(.stored(number))
      }
    case .load(let id, let limit, let passingOver): ask(.load(id, limit, passingOver: passingOver))
    case .loadForHook(let id, let limit): ask(.loadForHook(id, limit))
    case .loadBody(let job): ask(.loadBody(job))
    case .loadJob(let job): ask(.loadJob(job))
    case .lookUpDead(let request): ask(.lookUpDead(request))
    case .loadDead(let question, _): post(.deadLoaded(question, []))
    case .expire: ask(.expire)
    case .checkDisk: ask(.checkDisk)
    case .toSupervisor(let message):
      if world.mutation == .hookDroppedAtStart, case .runHook(_, _, let items) = message {
        let tasks = Set(items.map(\.id))
        let ids = world.record.forHook.filter { tasks.contains("\($0.job)-\($0.status.name)") }.map(\.id)
        world.write([.dropForHook(ids)])
      }
      control.up.send(message)
    case .toListener(let id, let message):
      if case .stored(let number) = message { checkDurable(id, number) }
      listeners[id]?.down.send(message)
    case .dropListener(let id):
      // Its end is read like any other's.
      listeners[id]?.down.send(nil)
      listeners[id]?.up.send(nil)
    case .connect(let connection): connect(connection)
    case .disconnect, .close:
      facilitator?.line.closeByClient()
      facilitator = nil
    case .authenticate: facilitator?.line.up.send(.authenticate)
    case .sendSpecs(let specs):
      if world.mutation == .specsDroppedWhenSent, let entry = world.record.specs[specs.minerHotkey] {
        world.write([.dropSpecs(entry.number)])
      }
      facilitator?.line.up.send(.specs(specs))
    case .heartbeat, .connectResults, .disconnectResults, .sendResults: break
    case .ping(let number): facilitator?.line.up.send(.ping(number))
    case .lookAtLine(let number): post(.line(LineState(taken: 0, waiting: 0), connection: number))
    case .send(let job, let status, let metadata):
      if world.record.jobs[job] != nil, !world.durable.holds(job, status) {
        world.fail("\(status.name) of \(job) is sent before it is durable")
      }
      facilitator?.line.up.send(.update(job, status, metadata: metadata, world.sent(job, status)))
    case .log(let entry):
      world.note("\(self): \(entry.text)")
      if entry.text.hasPrefix("machine specs of") { world.givesUpSpecs = true }
    case .exit(let code): end(.code(code))
    }
  }

  private func checkDurable(_ id: ConnectionID, _ number: SequenceNumber) {
    guard let job = jobOf[id], let status = askedFor[id]?[number.number] else { return }
    if !world.durable.holds(job, status) {
      world.fail("\(status.name) of \(job) is acknowledged before it is durable")
    }
  }

  private func connect(_ number: UInt64) {
    guard let connection = world.facilitator.connect(number) else {
      world.after(world.latency() * 100) { [weak self] in self?.post(.lost(reason: "refused", connection: number)) }
      return
    }
    facilitator = connection
    reception.connection = connection
    connection.line.down.attach { [weak self] message in
      guard let self, runs else { return }
      reception.take(message, number)
    }
  }

  /// What the reception has looked at.
  func received(_ message: SimulatedReception.Message, _ number: UInt64) {
    switch message {
    case .opened: post(.opened(connection: number))
    case .answer(let answer): post(.answered(answer, connection: number))
    case .garbage: post(.unreadableAnswer(connection: number))
    case .pong(let ping): post(.ponged(ping, connection: number))
    // Those are looked up first.
    case .job, .cheated: break
    case nil: post(.lost(reason: "cut", connection: number))
    }
  }

  // MARK: The thread of the record

  func ask(_ request: Request) {
    requests.append(request)
    work()
  }

  /// All that waits goes into one transaction.
  private func work() {
    guard batch == nil, !isSyncing, !requests.isEmpty, runs else { return }
    batch = requests
    requests = []
    world.after(world.diskLatency()) { [weak self] in
      guard let self, runs, let done = batch else { return }
      guard world.diskTakes(writes(done)) else {
        batch = nil
        return end(.code(ExitCode.io))
      }
      let lost = world.takeReserveLoss()
      let outcomes = done.flatMap { apply($0) }
      batch = nil
      reports.append(((lost ? [.disk(isFull: true)] : []) + outcomes, done.count(where: \.isQuestion)))
      guard writes(done) else { return synced() }
      isSyncing = true
      world.after(world.latency()) { [weak self] in
        guard let self, runs else { return }
        isSyncing = false
        world.sync()
        synced()
      }
    }
  }

  /// What has been written and synced is told.
  private func synced() {
    // A death may come between the commit and its being told.
    world.after(world.latency()) { [weak self] in
      guard let self, runs, let report = reports.popFirst() else { return }
      for _ in 0..<report.lookedUp { reception.lookedUp() }
      for event in report.events { post(event) }
      reception.lookSoon()
    }
    work()
  }

  private func writes(_ batch: [Request]) -> Bool {
    batch.contains { if case .commit(let operations, _) = $0 { !operations.isEmpty } else { false } }
  }

  private func apply(_ request: Request) -> [UplinkCore.Event] {
    switch request {
    case .commit(let operations, let then):
      if world.mutation == .lostRetire {
        world.write(operations.filter { if case .retire = $0 { false } else { true } })
      } else {
        world.write(operations)
      }
      if world.mutation == .countsEachAttempt {
        for case .noteAttempt(let id, _, let at) in operations { count(id, at) }
      }
      return [.committed(then)]
    case .load(let id, let limit, let passingOver):
      var (entries, more) = world.record.page(after: id, limit: limit, passingOver: passingOver)
      if world.mutation == .resentInWrongOrder { entries.reverse() }
      return [.loaded(entries, more: more)]
    case .loadForHook(let id, let limit):
      let (entries, more) = world.record.page(after: id, limit: limit, of: world.record.forHook)
      return [.loadedForHook(entries, more: more)]
    case .loadBody(let job):
      let stored = world.record.jobs[job]
      return [.bodyLoaded(job, stored?.endedAt == nil ? stored?.new.body : nil)]
    case .loadJob(let job): return [.jobLoaded(job, world.record.stored(job))]
    case .lookUp(let request):
      let (known, replay) = world.record.lookUp(request.job, request.hash)
      return [
        .requested(
          UplinkCore.Request(
            job: request.job, body: request.isForged ? [] : request.body, signatureHash: request.hash,
            limitSeconds: request.limitSeconds, refusal: request.isForged ? "forged" : nil, isKnown: known,
            isReplay: replay))
      ]
    case .lookUpCheat(let cheat):
      return world.record.knowsCheat(cheat.hash) ? [] : [.cheated(cheat.body, signatureHash: cheat.hash)]
    case .lookUpDead(let request): return [.deadFound(request, world.record.find(request.letters))]
    case .expire: return [.expired(0)]
    case .checkDisk: return [.disk(isFull: !world.makeReserve())]
    }
  }

  /// Buries what has failed four times, whatever became of others; the successor knows of nothing else.
  private func count(_ id: UpdateID, _ at: WallTime) {
    guard world.record.attempts(of: id) >= 4 else { return }
    world.write([.bury(id, attempts: 4, error: "", at: at)])
    if let entry = world.record.dead.first(where: { $0.id == id }), entry.status.isTerminal {
      world.write([.close(entry.job, at: at)])
    }
    world.after(1) { [weak self] in self?.end(.signal(9)) }
  }

  override func closeAll() {
    // A transaction that was under way is on the disk, or is not.
    if let batch, world.chance(2) {
      for request in batch { _ = apply(request) }
      // And what was asked for meanwhile may be the next.
      if world.chance(2) {
        for request in requests.prefix(.random(in: 0...requests.count, using: &world.random)) { _ = apply(request) }
      }
    }
    batch = nil
    requests = []
    control.up.send(nil)
    control.down.close()
    for id in listeners.keys.sorted() { listeners[id]?.closeByServer() }
    listeners = [:]
    if world.chance(2) { facilitator?.line.up.lose() }
    facilitator?.line.closeByClient()
    facilitator = nil
  }
}
