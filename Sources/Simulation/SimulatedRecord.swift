import Decisions
import Messages

/// The record on the simulated disk: what is in it survives any death.
struct SimulatedRecord {
  enum State { case waiting, accepted, dead, dropped }

  struct Update {
    var entry: OutboxEntry
    var state = State.waiting

    /// The facilitator is known not to have it.
    var isRefusedForGood: Bool { (state == .dead || state == .dropped) && entry.isRefusedForGood }
  }

  struct Job {
    var new: NewJob
    var phase = JobPhase.accepted
    var deadline: Deadline?
    var isTask = false
    var command: CommandRecord?
    var exitStored = false
    var endedAt: WallTime?
    /// Places in `updates`.
    var updates: [Int] = []
  }

  private(set) var jobs: [JobID: Job] = [:]
  private(set) var updates: [Update] = []
  private var places: [UpdateID: Int] = [:]
  /// What waits for the hook, in the order of the numbers.
  private(set) var forHook: [OutboxEntry] = []
  /// Updates that waited for it at some time.
  private(set) var everForHook: Set<UpdateID> = []
  /// Cheat reports that wait for the hook, and the hashes of the signatures of all there ever were.
  private(set) var cheats: [CheatReport] = []
  private(set) var everCheats: Set<[UInt8]> = []
  /// Of specs and cheat reports.
  private var lastNumber: UInt64 = 0
  /// By miner.
  private(set) var specs: [String: SpecsEntry] = [:]
  private var attempts: [UpdateID: Int] = [:]
  private var signatures: [[UInt8]: JobID] = [:]
  /// Rows that wait, dead letters, and those that are kept free for the terminal statuses of open jobs.
  private(set) var taken = 0
  /// Updates that were given up on at some time, whatever became of them.
  private(set) var everDead: Set<UpdateID> = []
  /// What a record must never be asked to do.
  private(set) var broken: String?

  mutating func carryOut(_ operation: StoreOperation) {
    switch operation {
    case .insertJob(let new):
      if jobs[new.job] != nil { broken = "the job \(new.job) is stored twice" }
      jobs[new.job] = Job(new: new)
      taken += 1
      if let hash = new.signatureHash { signatures[hash] = new.job }
    case .insertUpdate(let entry):
      if statuses(of: entry.job).contains(entry.status) { broken = "\(entry.status.name) is stored twice" }
      if statuses(of: entry.job).contains(where: \.isTerminal) {
        broken = "\(entry.status.name) is stored behind a terminal status"
      }
      if let last = updates.last, last.entry.id >= entry.id { broken = "numbers are not used in their order" }
      places[entry.id] = updates.count
      jobs[entry.job]?.updates.append(updates.count)
      updates.append(Update(entry: entry))
      taken += 1
    case .setDispatching(let job, let deadline, let isTask):
      if jobs[job]?.phase != .accepted { broken = "\(job) is dispatched twice" }
      jobs[job]?.phase = .dispatching
      jobs[job]?.deadline = deadline
      jobs[job]?.isTask = isTask
    case .setCommand(let job, let record): jobs[job]?.command = record
    case .setExit(let job, _): jobs[job]?.exitStored = true
    case .end(let job, let at):
      jobs[job]?.phase = .ended
      taken -= 1
      jobs[job]?.endedAt = at
    case .retire(let id, _): set(id, from: .waiting, to: .accepted)
    case .countAttempt(let id, let attempts):
      if let place = places[id] { updates[place].entry.attempts = attempts }
    case .bury(let id, let attempts, _, _):
      if let place = places[id] { updates[place].entry.attempts = attempts }
      set(id, from: .waiting, to: .dead)
      everDead.insert(id)
    case .revive(let id): set(id, from: .dead, to: .waiting)
    case .dropDead(let id, _): set(id, from: .dead, to: .dropped)
    case .close(let job, _): jobs[job]?.phase = .closed
    case .putSpecs(let entry):
      specs[entry.specs.minerHotkey] = entry
      lastNumber = max(lastNumber, entry.number)
    case .dropSpecs(let number): specs = specs.filter { $0.value.number != number }
    case .insertForHook(let entry):
      forHook.append(entry)
      everForHook.insert(entry.id)
    case .dropForHook(let ids): forHook.removeAll { ids.contains($0.id) }
    case .insertCheat(let report, _):
      if everCheats.insert(report.signatureHash).inserted { cheats.append(report) }
      lastNumber = max(lastNumber, report.number)
    case .dropCheat(let number): cheats.removeAll { $0.number == number }
    case .clearRestored: break
    case .noteAttempt(let id, _, _): attempts[id, default: 0] += 1
    }
  }

  private mutating func set(_ id: UpdateID, from: State, to: State) {
    guard let place = places[id], updates[place].state == from else {
      broken = "the update \(id) goes to \(to) from where it is not"
      return
    }
    updates[place].state = to
    if to == .accepted || to == .dropped { taken -= 1 }
    if to == .waiting { updates[place].entry.attempts = 0 }
  }

  /// How often it has failed, as its history has it.
  func attempts(of id: UpdateID) -> Int { attempts[id] ?? 0 }
  func updates(of job: JobID) -> [Update] { jobs[job]?.updates.map { updates[$0] } ?? [] }
  func statuses(of job: JobID) -> [JobStatus] { jobs[job]?.updates.map { updates[$0].entry.status } ?? [] }
  var waiting: [OutboxEntry] { updates.filter { $0.state == .waiting }.map(\.entry) }
  var dead: [OutboxEntry] { updates.filter { $0.state == .dead }.map(\.entry) }
  func holds(_ job: JobID, _ status: JobStatus) -> Bool { statuses(of: job).contains(status) }

  func find(_ ids: [UpdateID]) -> [FoundDeadLetter] {
    ids.compactMap { id in
      guard let place = places[id], updates[place].state == .dead else { return nil }
      let entry = updates[place].entry
      let terminal = updates(of: entry.job).first { $0.entry.status.isTerminal && $0.entry.id != id }
      return FoundDeadLetter(entry: entry, terminal: terminal.map(found) ?? .none)
    }
  }

  private func found(_ terminal: Update) -> FoundDeadLetter.Terminal {
    if terminal.state == .waiting { return .waiting(terminal.entry.id) }
    return terminal.isRefusedForGood ? .none : .taken
  }

  func lookUp(_ job: JobID, _ hash: [UInt8]?) -> (known: Bool, replay: Bool) {
    (jobs[job] != nil, hash.flatMap { signatures[$0] }.map { $0 != job } ?? false)
  }

  func knowsCheat(_ hash: [UInt8]) -> Bool { everCheats.contains(hash) }

  func stored(_ id: JobID) -> StoredJob? {
    guard let job = jobs[id] else { return nil }
    return StoredJob(
      job: id, receivedAt: job.new.receivedAt, phase: job.phase,
      statuses: statuses(of: id),
      limitSeconds: job.new.limitSeconds, deadline: job.deadline, isTask: job.isTask, command: job.command,
      exitStored: job.exitStored,
      signatureHash: job.new.signatureHash, bodyBytes: job.endedAt == nil ? job.new.body.count : 0)
  }

  /// What an Uplink that starts finds.
  func load(bootID: String, wall: WallTime) -> StoredState {
    let recently = (wall - UplinkCore.memory).milliseconds
    let found = jobs.filter { _, job in
      guard let ended = job.endedAt else { return true }
      return ended.milliseconds > recently || (!job.exitStored && job.command?.bootID == bootID)
    }
    let held = updates.filter { $0.state == .waiting || $0.state == .dead }
    let bytes = held.reduce(0) { $0 + OutboxEntry.overhead + ($1.entry.metadata?.count ?? 0) }
    return StoredState(
      jobs: found.keys.sorted().compactMap { stored($0) },
      nextUpdate: UpdateID((updates.last?.entry.id.number ?? 0) + 1), queued: waiting.count, dead: dead.count,
      bytes: bytes, specs: specs.values.sorted { $0.number < $1.number }, cheats: cheats, lastNumber: lastNumber,
      forHook: forHook.count,
      bytesForHook: forHook.reduce(0) { $0 + OutboxEntry.overhead + ($1.metadata?.count ?? 0) })
  }

  /// A page of what waits for the facilitator.
  ///
  /// - Parameter passingOver: leaves out those of jobs of which an update waits before that number.
  func page(after id: UpdateID, limit: Int, passingOver: Bool) -> (entries: [OutboxEntry], more: Bool) {
    let waiting = waiting
    let passedOver = passingOver ? Set(waiting.filter { $0.id <= id }.map(\.job)) : []
    return page(after: id, limit: limit, of: passingOver ? waiting.filter { !passedOver.contains($0.job) } : waiting)
  }

  func page(after id: UpdateID, limit: Int, of entries: [OutboxEntry]) -> (entries: [OutboxEntry], more: Bool) {
    let found = entries.filter { $0.id > id }
    return (Array(found.prefix(limit)), found.count > limit)
  }
}
