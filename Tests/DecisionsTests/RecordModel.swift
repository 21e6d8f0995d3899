import Messages
import Testing

@testable import Decisions

/// The durable record, as plain values, with its rules: a job once, a status of a job once, one terminal status
/// a job, nothing behind it.
struct RecordModel {
  enum State { case queued, accepted, dead, dropped }

  struct Update {
    var entry: OutboxEntry
    var state = State.queued
  }

  struct Job {
    var new: NewJob
    var phase = JobPhase.accepted
    var deadline: Deadline?
    var isTask = false
    var command: CommandRecord?
    var exit: CommandExit?
    var endedAt: WallTime?
    var closedAt: WallTime?
  }

  private(set) var jobs: [JobID: Job] = [:]
  private(set) var updates: [Update] = []
  private(set) var queuedCount = 0
  private(set) var specs: [SpecsEntry] = []
  private(set) var cheats: [CheatReport] = []
  private(set) var forHook: [OutboxEntry] = []
  var isRestored = false
  private var places: [UpdateID: Int] = [:]
  private var placesOfJob: [JobID: [Int]] = [:]

  mutating func carryOut(_ operation: StoreOperation) {
    switch operation {
    case .insertJob(let new):
      #expect(jobs[new.job] == nil, "\(new.job) is stored twice")
      jobs[new.job] = Job(new: new)
    case .insertUpdate(let entry):
      #expect(jobs[entry.job] != nil, "an update of a job that is not stored")
      #expect(!statuses(of: entry.job).contains(entry.status), "\(entry.status) is stored twice")
      #expect(!statuses(of: entry.job).contains { $0.isTerminal }, "\(entry.status) behind a terminal status")
      #expect(updates.last.map { $0.entry.id < entry.id } ?? true, "numbers are used in their order")
      places[entry.id] = updates.count
      placesOfJob[entry.job, default: []].append(updates.count)
      queuedCount += 1
      updates.append(Update(entry: entry))
    case .setDispatching(let job, let deadline, let isTask):
      #expect(jobs[job]?.phase == .accepted, "dispatched twice")
      jobs[job]?.phase = .dispatching
      jobs[job]?.deadline = deadline
      jobs[job]?.isTask = isTask
    case .setCommand(let job, let record): jobs[job]?.command = record
    case .setExit(let job, let exit):
      #expect(jobs[job]?.exit == nil, "its exit is stored twice")
      jobs[job]?.exit = exit
    case .end(let job, let at):
      jobs[job]?.phase = .ended
      jobs[job]?.endedAt = at
      jobs[job]?.new.body = []
    case .retire(let id, _): set(id, .accepted)
    case .countAttempt(let id, let attempts):
      if let index = places[id] { updates[index].entry.attempts = attempts }
    case .bury(let id, let attempts, _, _):
      set(id, .dead)
      if let index = places[id] { updates[index].entry.attempts = attempts }
    case .revive(let id):
      guard let index = places[id], updates[index].state == .dead else {
        Issue.record("update \(id) is no dead letter")
        return
      }
      updates[index].state = .queued
      updates[index].entry.attempts = 0
      queuedCount += 1
    case .dropDead(let id, _):
      guard let index = places[id], updates[index].state == .dead else {
        Issue.record("update \(id) is no dead letter")
        return
      }
      updates[index].state = .dropped
    case .noteAttempt: break
    case .clearRestored: isRestored = false
    case .putSpecs(let entry):
      specs.removeAll { $0.specs.minerHotkey == entry.specs.minerHotkey }
      specs.append(entry)
    case .dropSpecs(let number): specs.removeAll { $0.number == number }
    case .insertCheat(let report, _): cheats.append(report)
    case .dropCheat(let number): cheats.removeAll { $0.number == number }
    case .insertForHook(let entry): forHook.append(entry)
    case .dropForHook(let ids): forHook.removeAll { ids.contains($0.id) }
    case .close(let job, let at):
      #expect(statuses(of: job).contains { $0.isTerminal }, "closed without a terminal status")
      jobs[job]?.phase = .closed
      jobs[job]?.closedAt = at
    }
  }

  private mutating func set(_ id: UpdateID, _ state: State) {
    guard let index = places[id] else {
      Issue.record("update \(id) is not there")
      return
    }
    #expect(updates[index].state == .queued, "update \(id) is settled twice")
    updates[index].state = state
    queuedCount -= 1
  }

  private func updates(of job: JobID) -> [Update] { (placesOfJob[job] ?? []).map { updates[$0] } }
  func statuses(of job: JobID) -> [JobStatus] { updates(of: job).map(\.entry.status) }
  func isQueued(_ job: JobID, _ status: JobStatus) -> Bool {
    updates(of: job).contains { $0.entry.status == status && $0.state == .queued }
  }
  func metadata(of job: JobID, _ status: JobStatus) -> String? {
    let update = updates(of: job).first { $0.entry.status == status }
    return update?.entry.metadata.map { String(decoding: $0, as: UTF8.self) }
  }
  var queued: [OutboxEntry] { updates.filter { $0.state == .queued }.map(\.entry) }
  var dead: [OutboxEntry] { updates.filter { $0.state == .dead }.map(\.entry) }

  func load(after id: UpdateID, limit: Int, passingOver: Bool) -> (entries: [OutboxEntry], more: Bool) {
    let queued = queued
    let passedOver = passingOver ? Set(queued.filter { $0.id <= id }.map(\.job)) : []
    let waiting = queued.filter { $0.id > id && !passedOver.contains($0.job) }
    return (Array(waiting.prefix(limit)), waiting.count > limit)
  }

  func findDead(_ ids: [UpdateID]) -> [FoundDeadLetter] {
    ids.compactMap { id in
      guard let index = places[id], updates[index].state == .dead else { return nil }
      let entry = updates[index].entry
      let terminal = updates(of: entry.job).first { $0.entry.status.isTerminal && $0.entry.id != id }
      let found: FoundDeadLetter.Terminal? = terminal.map {
        if $0.state == .queued { return .waiting($0.entry.id) }
        return $0.state != .accepted && $0.entry.isRefusedForGood ? .none : .taken
      }
      return FoundDeadLetter(entry: entry, terminal: found ?? .none)
    }
  }

  func storedJob(_ id: JobID) -> StoredJob? {
    guard let job = jobs[id] else { return nil }
    return StoredJob(
      job: id, receivedAt: job.new.receivedAt, phase: job.phase,
      statuses: statuses(of: id),
      limitSeconds: job.new.limitSeconds, deadline: job.deadline, isTask: job.isTask, command: job.command,
      exitStored: job.exit != nil, signatureHash: job.new.signatureHash, bodyBytes: job.new.body.count)
  }

  /// What an Uplink that starts finds.
  func stored(at now: Moment) -> StoredState {
    let recently = (now.wall - UplinkCore.memory).milliseconds
    let found = jobs.filter { _, job in
      job.endedAt.map { $0.milliseconds > recently || job.exit == nil && job.command != nil } ?? true
    }
    let held = updates.filter { $0.state == .queued || $0.state == .dead }
    return StoredState(
      jobs: found.keys.compactMap { storedJob($0) },
      nextUpdate: UpdateID((updates.last?.entry.id.number ?? 0) + 1), queued: queued.count, dead: dead.count,
      bytes: held.map(\.entry.size).reduce(0, +), isRestored: isRestored, specs: specs, cheats: cheats,
      forHook: forHook.count, bytesForHook: forHook.map(\.size).reduce(0, +))
  }
}
