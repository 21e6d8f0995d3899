import Decisions
import Messages

/// How often each fault happens: once in so many chances; 0 for never.
struct Faults {
  var killBetweenActions = 0
  var spawnFails = 0
  var refusesAuthentication = 0
  var cutsBeforeRow = 0
  var cutsAfterRow = 0
  var foreignError = 0
  var refusesUpdate = 0
  var garbage = 0
  var diskFails = 0
  var diskIsSlow = 0
  /// An update on which the facilitator fails each time it comes.
  var poison = 0
  /// A configuration that was read again has a fault in it, or names a hotkey that Uplink cannot read.
  var reloadFails = 0
  /// A run of the hook ends, or hangs, between two of what it gets.
  var hookFails = 0
}

/// Everything there is, at one moment of simulated time: the processes, the disk, the clocks and the network. All of it
/// follows from one seed.
final class World {
  var random: Dice
  let mutation: Mutation?
  var faults = Faults()
  /// At the first start. Only what a reload can change does.
  let settings: UplinkSettings
  /// What the configuration's file says now.
  private(set) var configured: UplinkSettings
  /// The most updates that the record was ever allowed to hold.
  private var mostRows: Int
  /// The configuration is changed now and then while the service runs.
  private let reloads: Bool
  /// Messages go from one process to another as bytes.
  let hasBytes: Bool
  /// Updates that a worker sends before the first is answered.
  let pipelining: Int
  /// The whole of the service is killed with its Supervisor, as systemd does.
  private let killsGroup: Bool

  /// systemd keeps the sockets of a Supervisor that ends for its successor.
  let storesSockets: Bool
  private var storedSockets: [Channel: SimulatedIngress] = [:]

  /// Nanoseconds since the start.
  private(set) var now: Int64 = 0
  private var queue = EventQueue()
  private var bootedAt: Int64 = 0
  private var boots = 1
  private var wallOffset: Int64 = 1_700_000_000_000
  private var lastPID: Int32 = 100
  private var lastJob: UInt64 = 0

  /// The record as whoever reads the file sees it.
  private(set) var record = SimulatedRecord()
  /// The record as it is after the power has failed, and the commits that are in the file and not synced.
  private(set) var durable = SimulatedRecord()
  private var unsynced: [[StoreOperation]] = []
  private var diskIsFull = false
  private var hasReserve = true
  private var reserveIsLost = false

  /// All there ever were: one that lost its Supervisor lives on for a while.
  var processes: [SimulatedProcess] = []
  private(set) var supervisor: SimulatedSupervisor?
  var uplinks: [SimulatedUplink] = []
  var commands: [SimulatedCommand] = []
  var workers: [SimulatedWorker] = []
  var hooks: [SimulatedHook] = []
  /// What the hook heard, by job, each status where it first came.
  private(set) var heardByHook: [JobID: [JobStatus]] = [:]
  /// The bodies of the cheat reports that the hook heard.
  var cheatsHeard: Set<[UInt8]> = []
  /// Hooks put tasks into a queue.
  let hooksAreTasks: Bool
  /// What is in it, or was.
  private var queuedTasks: Set<String> = []
  /// Updates for which the record has no room may be left out for the hook.
  var mayLeaveOutHooks: Bool { settings.maxRows < 1000 }
  private(set) var specsReporter: SimulatedSpecsReporter?
  /// Specs were given up on: connections were lost with them alone on their way, while updates were taken.
  var givesUpSpecs = false
  private var senders: [SimulatedSender] = []
  /// When the commands that have ended did so.
  var commandEnds: [JobID: Int64] = [:]
  /// When a job's last Listener ended, and whether Redis was to be had for a while before that.
  private(set) var lastListener: [JobID: (end: Int64, redisWasWell: Bool)] = [:]
  private let redisLayer: RedisLayer?
  private(set) lazy var redis = redisLayer.map { SimulatedRedis(self, layer: $0) }
  private var startedJobs: Set<JobID> = []
  private(set) lazy var facilitator = SimulatedFacilitator(self)
  /// The exit code of the last Supervisor that ended by itself.
  var supervisorExit: Int32?
  private var startsSupervisor = true
  /// No fault happens any more.
  private(set) var isCalm = false

  private(set) var steps = 0
  private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  /// The promise that is broken.
  private(set) var failure: String?
  private let traces: Bool
  private(set) var trace: [String] = []
  /// The numbers under which each update was sent.
  private var sends: [SimulatedFacilitator.Update: [Int]] = [:]
  private var lastSend = 0

  init(seed: UInt64, mutation: Mutation?, traces: Bool) {
    random = Dice(seed: seed)
    self.mutation = mutation
    self.traces = traces
    hasBytes = Int.random(in: 0..<4, using: &random) == 0
    pipelining = .random(in: 1...4, using: &random)
    killsGroup = .random(using: &random)
    storesSockets = killsGroup && .random(using: &random)
    let layers: [RedisLayer?] = [.core, .pubsub, nil, nil]
    redisLayer = layers[Int(random.next() % 4)]
    let isTight = Int.random(in: 0..<3, using: &random) == 0
    let isLauncher = Bool.random(using: &random)
    settings = UplinkSettings(
      stateDirectory: "/s", secure: false, host: "h", port: 1, path: "/", hotkeyFile: "/k", trustedSigners: [],
      graceSeconds: 50, maxOpenJobs: .random(in: 2...6, using: &random), window: .random(in: 1...8, using: &random),
      maxRows: isTight ? .random(in: 6...16, using: &random) : 1000, maxBytes: 1 << 30,
      // With the smallest a Listener reads no further after two updates that are not stored.
      maxFrameBytes: .random(using: &random) ? hasBytes ? 512 : 64 : 1 << 20,
      commandIsLauncher: isLauncher,
      tasks: isLauncher && .random(using: &random) ? TaskSettings(queueSeconds: 20) : nil, drainSeconds: 5,
      hasStatusHook: Int.random(in: 0..<3, using: &random) == 0,
      hasCheatHook: Int.random(in: 0..<3, using: &random) == 0)
    hooksAreTasks = .random(using: &random)
    configured = settings
    mostRows = settings.maxRows
    reloads = Int.random(in: 0..<4, using: &random) == 0
  }

  // MARK: Time and chance

  var moment: Moment {
    Moment(
      boot: Instant(nanoseconds: now - bootedAt), wall: WallTime(milliseconds: wallOffset + now / 1_000_000))
  }
  var bootID: String { "boot \(boots)" }

  func after(_ time: Int64, _ body: @escaping () -> Void) { queue.push(at: now + time, body) }

  /// At that time of this boot's clock.
  func at(_ instant: Instant, _ body: @escaping () -> Void) {
    queue.push(at: max(now, instant.nanoseconds + bootedAt), body)
  }

  /// Whether it happens this time, once in so many.
  func chance(_ count: Int) -> Bool { count > 0 && random.next() % UInt64(count) == 0 }

  /// From 10 µs to 10 ms, mostly short.
  func latency() -> Int64 { Int64(10_000) << Int64(random.next() % 11) }
  func diskLatency() -> Int64 {
    // Beyond two minutes Uplink is taken for hung.
    if chance(faults.diskIsSlow) { return .random(in: 1...140, using: &random) * 1_000_000_000 }
    return chance(50) ? 300_000_000 : latency() * 2
  }

  /// Somebody begins to report a job's statuses, on its socket or through Redis.
  @discardableResult
  func report(_ job: JobID, done: @escaping (Bool) -> Void) -> any Reporter {
    if let redis, !chance(4) {
      let sender = SimulatedSender(self, redis, job: job, done: done)
      senders.append(sender)
      return sender
    }
    let worker = SimulatedWorker(self, job: job, done: done)
    workers.append(worker)
    return worker
  }

  func listenerEnded(_ job: JobID) { lastListener[job] = (now, redis?.isWell(for: 30_000_000_000) ?? false) }

  func newPID() -> Int32 {
    lastPID += 1
    return lastPID
  }

  func newJob() -> JobID {
    lastJob += 1
    return JobID(high: 0x4000, low: 0x8000 << 48 | lastJob)
  }

  // MARK: What is noted

  func stepped() {
    steps += 1
    hash = (hash ^ UInt64(truncatingIfNeeded: now)) &* 0x100_0000_01b3
  }

  func note(_ text: @autoclosure () -> String) {
    guard traces else { return }
    trace.append("\(now / 1000) µs  \(text())")
  }

  func fail(_ promise: String) {
    if failure == nil { failure = promise }
    note("BROKEN: \(promise)")
  }

  /// Between two events of a process, what it holds is within its bounds.
  func check(_ bounded: some Bounded, of process: SimulatedProcess) {
    if let broken = bounded.brokenBound { fail("\(process) is beyond its bounds: \(broken)") }
  }

  /// Numbers what is sent to the facilitator.
  func sent(_ job: JobID, _ status: JobStatus) -> Int {
    lastSend += 1
    sends[.init(job: job, status: status), default: []].append(lastSend)
    return lastSend
  }

  /// How often an update was sent after which, and before it was sent again, the facilitator was sent one of another
  /// job that it took.
  func attemptsWhileOthersWereTaken(_ job: JobID, _ status: JobStatus) -> Int {
    let attempts = sends[.init(job: job, status: status)] ?? []
    return zip(attempts, attempts.dropFirst() + [.max]).count { attempt, next in
      facilitator.taken.contains { $0.job != job && attempt < $0.number && $0.number < next }
    }
  }

  /// Whether a job's task is new to the broker, which remembers all it was given.
  func brokerTakes(_ job: JobID) -> Bool {
    guard !startedJobs.contains(job) else { return false }
    started(job)
    return true
  }

  /// A hook's task reaches the broker.
  func queued(_ task: TaskOrder.Task) {
    if queuedTasks.insert(task.id).inserted { hooked(task) }
  }

  func hooked(_ job: JobID, _ status: JobStatus) {
    note("the hook hears \(status.name) of \(job)")
    if heardByHook[job]?.contains(status) != true { heardByHook[job, default: []].append(status) }
  }

  func started(_ job: JobID) {
    if !startedJobs.insert(job).inserted { fail("the command of \(job) is started twice") }
    if durable.jobs[job]?.phase == .accepted { fail("the command of \(job) is started before that is on record") }
  }

  // MARK: Sockets of the service

  /// The socket at a job's path.
  func ingress(of job: JobID) -> SimulatedIngress? {
    supervisor?.ingress(of: .job(job)) ?? storedSockets[.job(job)]
  }

  var specsIngress: SimulatedIngress? { supervisor?.ingress(of: .specs) ?? storedSockets[.specs] }

  func store(_ sockets: [Channel: SimulatedIngress]) {
    if storesSockets {
      storedSockets = sockets
    } else {
      for socket in sockets.sorted(by: { "\($0.key)" < "\($1.key)" }) { socket.value.close() }
    }
  }

  func takeStoredSockets() -> [Channel: SimulatedIngress] {
    defer { storedSockets = [:] }
    return storedSockets
  }

  func connectUplink(_ generation: Generation) -> Line<ListenerToUplink, UplinkToListener>? {
    guard let supervisor, supervisor.isAlive else { return nil }
    let line = Line<ListenerToUplink, UplinkToListener>(between: self, generation: generation)
    if let uplink = uplinks.last(where: \.accepts) {
      uplink.accept(line)
    } else {
      supervisor.uplinkBacklog.append(line)
    }
    return line
  }

  func takeUplinkBacklog() -> [Line<ListenerToUplink, UplinkToListener>] {
    defer { supervisor?.uplinkBacklog = [] }
    return supervisor?.uplinkBacklog ?? []
  }

  // MARK: The disk

  /// Whether a commit succeeds: a full disk gives up the reserve first.
  func diskTakes(_ writes: Bool) -> Bool {
    if chance(faults.diskFails) { return false }
    guard writes, diskIsFull else { return true }
    guard hasReserve else { return false }
    hasReserve = false
    reserveIsLost = true
    return true
  }

  /// A commit is in the file: it outlives its writer, and not the power.
  func write(_ operations: [StoreOperation]) {
    guard !operations.isEmpty else { return }
    for operation in operations { record.carryOut(operation) }
    if record.taken > mostRows { fail("the record holds \(record.taken) rows, and may hold \(mostRows)") }
    unsynced.append(operations)
  }

  /// All that is in the file is on the disk.
  func sync() {
    for operation in unsynced.joined() { durable.carryOut(operation) }
    unsynced = []
  }

  /// Of what is not synced the power leaves the first part.
  private func loseUnsynced() {
    for operation in unsynced.prefix(.random(in: 0...unsynced.count, using: &random)).joined() {
      durable.carryOut(operation)
    }
    unsynced = []
    record = durable
  }

  func takeReserveLoss() -> Bool {
    defer { reserveIsLost = false }
    return reserveIsLost
  }

  func makeReserve() -> Bool {
    if !diskIsFull { hasReserve = true }
    return hasReserve
  }

  // MARK: Deaths

  func startSupervisor() {
    guard supervisor == nil, startsSupervisor else { return }
    supervisorExit = nil
    supervisor = SimulatedSupervisor(self)
  }

  /// Called by the Supervisor that ends.
  func supervisorEnded() {
    let ended = supervisor
    supervisor = nil
    // What is stopped sees no end of file; only systemd ends it.
    for child in ended?.livingChildren ?? [] where killsGroup || !startsSupervisor || child.isHung {
      child.end(.signal(9))
    }
    if killsGroup || !startsSupervisor {
      for command in ended?.livingCommands ?? [] { command.end(.signal(9)) }
      for hook in ended?.livingHooks ?? [] { hook.end(.signal(9)) }
    }
    after(.random(in: 100_000_000...3_000_000_000, using: &random)) { [weak self] in self?.startSupervisor() }
  }

  private func losePower() {
    note("the power fails")
    startsSupervisor = false
    supervisor?.end(.signal(9))
    for uplink in uplinks { uplink.end(.signal(9)) }
    for command in commands { command.end(.signal(9)) }
    for hook in hooks { hook.end(.signal(9)) }
    for worker in workers { worker.die() }
    for sender in senders { sender.die() }
    loseUnsynced()
    for socket in takeStoredSockets().sorted(by: { "\($0.key)" < "\($1.key)" }) { socket.value.close() }
    boots += 1
    bootedAt = now
    startsSupervisor = true
  }

  /// One fault or one thing that somebody does.
  private func disturb() {
    if reloads, chance(8) { changeConfiguration() }
    if !record.dead.isEmpty, chance(3) { settleDeadLetter() }
    if settings.hasCheatHook, chance(10) { facilitator.reportCheat() }
    if redis != nil, chance(4) { redis?.disturb() }
    switch random.next() % 25 {
    case 0...7: facilitator.request()
    case 8: supervisor?.livingChildren.randomElement(using: &random)?.end(.signal(9))
    case 9: uplinks.last(where: \.isAlive)?.end(.signal(9))
    case 10: for child in supervisor?.livingChildren ?? [] { child.end(.signal(9)) }
    case 11: if chance(3) { supervisor?.end(.signal(9)) }
    case 12: supervisor?.livingCommands.randomElement(using: &random)?.end(.signal(9))
    case 13: if chance(3) { supervisor?.livingChildren.randomElement(using: &random)?.isHung = true }
    case 14: facilitator.cut()
    case 15: if chance(3) { facilitator.leave(for: .random(in: 1...60, using: &random) * 1_000_000_000) }
    case 16: if chance(3) { facilitator.fallSilent() }
    case 17: wallOffset = 1_700_000_000_000 + .random(in: -1_200_000...1_200_000, using: &random)
    case 18: if chance(6) { losePower() }
    case 19: diskIsFull = chance(2)
    case 20: if chance(4) { supervisor?.stop() }
    case 21: settleDeadLetter()
    case 22: if chance(3) { supervisor?.ask(.drain(chance(2))) }
    case 23: if chance(3) { facilitator.fallIll(for: .random(in: 1...240, using: &random) * 1_000_000_000) }
    default: supervisor?.ask(.status)
    }
  }

  /// A person changes the configuration, and has it read again or forgets to.
  private func changeConfiguration() {
    configured.window = .random(in: 1...8, using: &random)
    configured.maxOpenJobs = .random(in: 2...6, using: &random)
    configured.graceSeconds = .random(in: 20...60, using: &random)
    if settings.maxRows < 1000 { configured.maxRows = chance(3) ? 1000 : .random(in: 6...16, using: &random) }
    mostRows = max(mostRows, configured.maxRows)
    note("the configuration has a window of \(configured.window) and \(configured.maxRows) rows")
    if !chance(4) { supervisor?.reload() }
  }

  /// A person who sees one sends it again, or forgets it.
  private func settleDeadLetter() {
    guard let dead = record.dead.randomElement(using: &random) else { return }
    let letters = [Int(dead.id.number)]
    supervisor?.ask(chance(4) ? .drop(letters) : .retry(letters))
  }

  // MARK: The run

  private func run(until end: Int64, _ isOver: () -> Bool = { false }) {
    while let next = queue.next, next <= end, failure == nil, !isOver() {
      guard let event = queue.pop() else { return }
      now = event.at
      event.body()
      if let broken = record.broken { fail(broken) }
    }
    if failure == nil, !isOver() { now = max(now, end) }
  }

  private func plan(_ count: Int) {
    guard count > 0, !isCalm else { return }
    let wait = Int64(1_000_000) << Int64(random.next() % 14)
    after(wait) { [weak self] in
      guard let self, !isCalm else { return }
      disturb()
      plan(count - 1)
    }
  }

  /// Faults and work for a while, then calm, and then the promises are looked at.
  func live() {
    faults = Faults(
      killBetweenActions: [0, 2000, 400][Int(random.next() % 3)], spawnFails: [0, 50][Int(random.next() % 2)],
      refusesAuthentication: 20, cutsBeforeRow: 30, cutsAfterRow: 30, foreignError: [0, 60][Int(random.next() % 2)],
      refusesUpdate: 15, garbage: 100, diskFails: [0, 200][Int(random.next() % 2)],
      diskIsSlow: [0, 300][Int(random.next() % 2)], poison: [0, 60][Int(random.next() % 2)],
      reloadFails: 6, hookFails: [0, 20][Int(random.next() % 2)])
    if chance(4) { specsReporter = SimulatedSpecsReporter(self) }
    startSupervisor()
    plan(.random(in: 10...120, using: &random))
    run(until: .random(in: 5...120, using: &random) * 1_000_000_000)
    calm()
  }

  /// A job now and then while something waits: nothing speaks against the last update that is left.
  private func keepTalking(until end: Int64) {
    after(30_000_000_000) { [weak self] in
      guard let self, now < end else { return }
      if !record.waiting.isEmpty { facilitator.request() }
      keepTalking(until: end)
    }
  }

  private func calm() {
    note("calm")
    faults = Faults()
    diskIsFull = false
    // Whoever was asked to stop has done so, and is started again.
    let hour: Int64 = 3_600_000_000_000
    isCalm = true
    keepTalking(until: now + hour - 1_200_000_000_000)
    run(until: now + hour)
    guard failure == nil else { return }
    checkReloads()
    if reloads { changeConfiguration() }
    supervisor?.reload()
    supervisor?.ask(.drain(false))
    supervisor?.ask(.status)
    run(until: now + 60_000_000_000)
    checkPromises()
    guard failure == nil else { return }
    startsSupervisor = false
    guard let supervisor else { return fail("no Supervisor runs after an hour of calm") }
    supervisor.stop()
    run(until: now + 600_000_000_000) { self.supervisorExit != nil }
    if supervisorExit != 0 { fail("the stop is not done within ten minutes: \(String(describing: supervisorExit))") }
  }
}
