import Decisions
import Messages

/// Uplink, whatever its Listeners, the Supervisor and the facilitator say, with a record that is durable when the bytes
/// say so: nothing is acknowledged or sent before that.
func fuzzUplink(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var world = RecordingWorld(&choices)
  try world.start()
  while !choices.isOver, !world.hasEnded { try world.step(&choices) }
}

private struct RecordingWorld {
  private struct Update: Hashable {
    var job: JobID
    var status: JobStatus
  }

  private var core: UplinkCore
  private var now = Moment(boot: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 1_700_000_000_000))
  /// Asked of the record and not done yet, in order.
  private var asked: [UplinkCore.Action] = []
  private var jobs: Set<JobID> = []
  private var updates: [OutboxEntry] = []
  private var durable: Set<Update> = []
  private var forHook: [OutboxEntry] = []
  private var connection: UInt64 = 0
  private(set) var hasEnded = false

  init(_ choices: inout Choices) {
    core = UplinkCore(
      settings: choices.settings(), stored: StoredState(jobs: [], nextUpdate: UpdateID(1), queued: 0, dead: 0),
      bootID: "boot", seed: choices.number(), at: now)
  }

  mutating func start() throws(Finding) { try look(core.start(at: now)) }

  mutating func step(_ choices: inout Choices) throws(Finding) {
    let passed = choices.pick([0, 0, 1, 1000, 31_000, 600_000])
    now.boot = now.boot + .milliseconds(passed)
    // The wall clock may be set, forwards and backwards.
    now.wall.milliseconds +=
      Int64(passed) + (choices.index(16) == 0 ? Int64(choices.byte()) * 1_000_000 - 100_000_000 : 0)
    let listener = ConnectionID(UInt64(choices.index(4)))
    let event: UplinkCore.Event
    switch choices.index(16) {
    case 0, 1, 2:
      guard let done = settle() else { return }
      event = done
    case 3, 4, 5: event = .fromListener(listener, choices.listenerWord(), Generation(choices.number()))
    case 6: event = .listenerGone(listener)
    case 7:
      let job = choices.job()
      event = .requested(
        UplinkCore.Request(
          job: job, body: choices.bytes(), signatureHash: choices.bool() ? [choices.byte() % 4] : nil,
          limitSeconds: choices.index(200), refusal: choices.index(8) == 0 ? "it is another's" : nil,
          isKnown: jobs.contains(job), isReplay: choices.index(16) == 0))
    case 8:
      event = choices.bool() ? .opened(connection: connection) : .lost(reason: choices.text(), connection: connection)
    case 9, 10: event = .answered(choices.answer(), connection: connection)
    case 11:
      switch choices.index(4) {
      case 0, 1: event = .unreadableAnswer(connection: connection)
      case 2: event = .line(LineState(taken: choices.number(), waiting: choices.number()), connection: connection)
      default: event = .ponged(UInt64(choices.byte()), connection: connection)
      }
    case 12, 13: event = .fromSupervisor(choices.supervisorWord())
    case 14: event = choices.lesserEvent()
    default: event = .timeReached
    }
    try look(core.handle(event, at: now))
    _ = core.nextDeadline
  }

  /// Does the first thing that was asked of the record; nil when there is none.
  private mutating func settle() -> UplinkCore.Event? {
    guard !asked.isEmpty else { return nil }
    switch asked.removeFirst() {
    case .commit(let operations, let then):
      for operation in operations { carryOut(operation) }
      return .committed(then)
    case .load(let id, let limit, let passingOver):
      let passedOver = passingOver ? Set(updates.filter { $0.id <= id }.map(\.job)) : []
      let behind = updates.filter { $0.id > id && !passedOver.contains($0.job) }
      return .loaded(Array(behind.prefix(limit)), more: behind.count > limit)
    case .loadForHook(let id, let limit):
      let behind = forHook.filter { $0.id > id }
      return .loadedForHook(Array(behind.prefix(limit)), more: behind.count > limit)
    case .loadBody(let job): return .bodyLoaded(job, jobs.contains(job) ? [1] : nil)
    case .loadJob(let job): return .jobLoaded(job, nil)
    case .loadDead(let question, _): return .deadLoaded(question, [])
    case .lookUpDead(let request): return .deadFound(request, [])
    default: return .expired(0)
    }
  }

  private mutating func carryOut(_ operation: StoreOperation) {
    switch operation {
    case .insertJob(let new): jobs.insert(new.job)
    case .insertUpdate(let entry):
      updates.append(entry)
      durable.insert(Update(job: entry.job, status: entry.status))
    case .insertForHook(let entry): forHook.append(entry)
    case .dropForHook(let ids): forHook.removeAll { ids.contains($0.id) }
    case .retire(let id, _), .bury(let id, _, _, _): updates.removeAll { $0.id == id }
    default: break
    }
  }

  private mutating func look(_ actions: [UplinkCore.Action]) throws(Finding) {
    try hold(actions.count < 10_000, "\(actions.count) actions at once")
    for action in actions {
      switch action {
      case .commit, .load, .loadForHook, .loadBody, .loadJob, .loadDead, .lookUpDead, .expire: asked.append(action)
      case .connect(let number): connection = number
      case .send(let job, let status, _):
        let isDurable = durable.contains(Update(job: job, status: status))
        // A request that is turned away is not in the record.
        try hold(isDurable || status == .rejected, "\(status.name) of \(job) is sent undurable")
      case .toSupervisor(.dispatch(let job, _, _)): try hold(jobs.contains(job), "\(job) is dispatched undurable")
      case .exit: hasEnded = true
      default: break
      }
    }
  }
}

extension Choices {
  fileprivate mutating func listenerWord() -> ListenerToUplink {
    switch index(8) {
    case 0, 1, 2: .hello(bool() ? job() : nil)
    case 3, 4: .update(SequenceNumber(number()), status(), metadata: bool() ? bytes() : nil)
    case 5: .specs(SequenceNumber(number()), MachineSpecs(minerHotkey: text(), batchID: text(), specs: bytes()))
    case 6: .commandExited(exit())
    default: .resolve(text())
    }
  }

  fileprivate mutating func supervisorWord() -> SupervisorToUplink {
    switch index(11) {
    case 0: .ping(number())
    case 1, 2: .listenerReady(job(), Generation(number()))
    case 3: .commandKnowledge(job(), pick([.started, .neverStarted, .unknown]))
    case 4: .commandStarted(job(), record())
    case 5: .dispatchFailed(job(), reason: text())
    case 6: .dispatchDelayed(job(), reason: text())
    case 7: index(8) == 0 ? .stop(pick(StopStep.allCases)) : .refuseJobs(bool())
    case 8: .query(number(), query())
    case 9: .hookExited(hookRun(), last: number(), bool() ? exit() : nil)
    default: .reload(settings())
    }
  }

  fileprivate mutating func lesserEvent() -> UplinkCore.Event {
    switch index(7) {
    case 0: .cheated(bytes(), signatureHash: [byte() % 4])
    case 1: .reloaded(settings())
    case 2: .transacted
    case 3: .disk(isFull: bool())
    case 4: .resultsConnected
    case 5: .resultsReplied(reply())
    default: .resultsLost(text())
    }
  }
}
