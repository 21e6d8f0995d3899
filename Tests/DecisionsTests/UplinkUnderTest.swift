import Messages
import Testing

@testable import Decisions

/// Uplink's decisions with a record that is durable when the test says so. Whatever is tested, it checks that
/// nothing is said before what it says is durable.
final class UplinkUnderTest {
  enum Waiting {
    case commit([StoreOperation], UplinkCore.AfterCommit)
    case load(UpdateID, Int, passingOver: Bool)
    case body(JobID)
    case forHook(UpdateID, Int)
    case job(JobID)
    case deadFound(DeadLetterRequest)
    case expire
  }

  private struct Sent: Hashable {
    var listener: UplinkCore.ListenerID
    var number: SequenceNumber
  }

  private(set) var core: UplinkCore
  let settings: UplinkSettings
  var bootID = "boot"
  var now: Moment
  var record = RecordModel()
  /// What was asked of the record and is not done yet, in order.
  private(set) var waiting: [Waiting] = []
  private(set) var connection: UInt64 = 0
  /// Jobs whose command this Uplink or an earlier one has asked for.
  private(set) var dispatched: [JobID] = []
  private(set) var busyJobs: Set<JobID> = []
  private var asked: [Sent: (JobID, JobStatus)] = [:]
  private var others = 0
  private var jobOf: [UplinkCore.ListenerID: JobID] = [:]
  /// As the facilitator's line is when it is looked at.
  var line = LineState(taken: 0, waiting: 0)

  init(_ settings: UplinkSettings = .test(), record: RecordModel = RecordModel(), started: Bool = true) {
    self.settings = settings
    self.record = record
    now = Moment(boot: at(0), wall: WallTime(milliseconds: 1_000_000_000))
    core = UplinkCore(settings: settings, stored: record.stored(at: now), bootID: bootID, seed: 1, at: now)
    if started {
      start()
      settle()
    }
  }

  func pass(_ seconds: Double) {
    now.boot = now.boot + .seconds(seconds)
    now.wall.milliseconds += Int64(seconds * 1000)
  }

  // MARK: Events

  @discardableResult
  func start() -> [UplinkCore.Action] { carryOut(core.start(at: now)) }

  @discardableResult
  func does(_ event: UplinkCore.Event) -> [UplinkCore.Action] {
    if case .fromListener(let listener, let message, _) = event {
      switch message {
      case .hello(let job, _): jobOf[listener] = job
      case .update(let number, let status, _):
        if let job = jobOf[listener] { asked[Sent(listener: listener, number: number)] = (job, status) }
      default: break
      }
    }
    let actions = carryOut(core.handle(event, at: now))
    for case .lookAtLine(let connection) in actions { return actions + does(.line(line, connection: connection)) }
    return actions
  }

  @discardableResult
  func supervisor(_ message: SupervisorToUplink) -> [UplinkCore.Action] { does(.fromSupervisor(message)) }

  @discardableResult
  func listener(_ id: UInt64, _ message: ListenerToUplink, generation: UInt64 = 1) -> [UplinkCore.Action] {
    does(.fromListener(ConnectionID(id), message, Generation(generation)))
  }

  @discardableResult
  func update(
    _ listener: UInt64, _ number: UInt64, _ status: JobStatus, metadata: [UInt8]? = nil
  ) -> [UplinkCore.Action] {
    self.listener(listener, .update(SequenceNumber(number), status, metadata: metadata))
  }

  @discardableResult
  func request(
    _ job: JobID, hash: [UInt8]? = nil, limitSeconds: Int = 100, refusal: String? = nil, bytes: Int = 7
  ) -> [UplinkCore.Action] {
    does(
      .requested(
        UplinkCore.Request(
          job: job, body: Array("request".utf8) + [UInt8](repeating: 0x20, count: bytes - 7), signatureHash: hash,
          limitSeconds: limitSeconds, refusal: refusal,
          isKnown: record.jobs[job] != nil,
          isReplay: hash.map { hash in
            record.jobs.values.contains { $0.new.signatureHash == hash && $0.new.job != job }
          } ?? false)))
  }

  /// A job that has been requested, heard by the Listener of that number, and dispatched.
  func run(_ job: JobID, listener id: UInt64 = 1, limitSeconds: Int = 100) {
    request(job, limitSeconds: limitSeconds)
    settle()
    listener(id, .hello(job))
    supervisor(.listenerReady(job, Generation(1)))
    settle()
  }

  /// A connection to the facilitator that has been authenticated.
  @discardableResult
  func connect() -> [UplinkCore.Action] {
    does(.timeReached)
    does(.opened(connection: connection))
    return does(.answered(.success, connection: connection))
  }

  @discardableResult
  func facilitator(_ answer: FacilitatorAnswer) -> [UplinkCore.Action] {
    does(.answered(answer, connection: connection))
  }

  /// The facilitator refuses what is first in flight once too often, while it takes an update of another job each
  /// time.
  func refuseForGood() {
    for seconds in [1.0, 10, 60, 0] {
      facilitator(errors("job.not_found"))
      takesAnother()
      pass(seconds)
      does(.timeReached)
      settle()
    }
  }

  /// A job of its own is requested, and its first status taken.
  func takesAnother() {
    others += 1
    request(job(100_000 + others))
    settle()
    facilitator(.success)
    settle()
  }

  // MARK: The record

  /// Does the first thing that was asked of the record, and says so.
  @discardableResult
  func settleOne() -> [UplinkCore.Action] {
    guard !waiting.isEmpty else { return [] }
    switch waiting.removeFirst() {
    case .commit(let operations, let then):
      for operation in operations { record.carryOut(operation) }
      return does(.committed(then))
    case .load(let id, let limit, let passingOver):
      let (entries, more) = record.load(after: id, limit: limit, passingOver: passingOver)
      return does(.loaded(entries, more: more))
    case .body(let job):
      let stored = record.jobs[job]
      return does(.bodyLoaded(job, stored?.endedAt != nil ? nil : stored?.new.body))
    case .forHook(let id, let limit):
      let behind = record.forHook.filter { $0.id > id }
      return does(.loadedForHook(Array(behind.prefix(limit)), more: behind.count > limit))
    case .job(let job): return does(.jobLoaded(job, record.storedJob(job)))
    case .deadFound(let request): return does(.deadFound(request, record.findDead(request.letters)))
    case .expire: return does(.expired(0))
    }
  }

  /// Everything that was asked of the record, and what comes of it.
  @discardableResult
  func settle() -> [UplinkCore.Action] {
    var actions: [UplinkCore.Action] = []
    while !waiting.isEmpty { actions += settleOne() }
    return actions
  }

  /// Killed and started again. `durable`: how much of what was asked of the record was done, told or not.
  @discardableResult
  func restart(durable: Int = 0) -> [UplinkCore.Action] {
    for case .commit(let operations, _) in waiting.prefix(durable) {
      for operation in operations { record.carryOut(operation) }
    }
    waiting = []
    jobOf = [:]
    asked = [:]
    core = UplinkCore(settings: settings, stored: record.stored(at: now), bootID: bootID, seed: 2, at: now)
    return start()
  }

  // MARK: Actions

  private func carryOut(_ actions: [UplinkCore.Action]) -> [UplinkCore.Action] {
    for action in actions {
      switch action {
      case .commit(let operations, let then): waiting.append(.commit(operations, then))
      case .load(let id, let limit, let passingOver): waiting.append(.load(id, limit, passingOver: passingOver))
      case .loadBody(let job): waiting.append(.body(job))
      case .loadJob(let job): waiting.append(.job(job))
      case .loadForHook(let id, let limit): waiting.append(.forHook(id, limit))
      case .lookUpDead(let request): waiting.append(.deadFound(request))
      case .expire: waiting.append(.expire)
      case .connect(let number): connection = number
      case .send(let job, let status, _):
        guard record.jobs[job] != nil else {
          // The one thing that is said without a record: that a request is turned away.
          #expect(status == .rejected)
          busyJobs.insert(job)
          continue
        }
        #expect(record.isQueued(job, status), "\(status) is sent undurable")
      case .toListener(let listener, .stored(let number)):
        guard let (job, status) = asked[Sent(listener: listener, number: number)] else { continue }
        #expect(record.statuses(of: job).contains(status), "\(status) is acknowledged undurable")
      case .toListener(let listener, .ended), .toListener(let listener, .welcome(ended: true)):
        guard let job = jobOf[listener] else { continue }
        #expect(record.statuses(of: job).contains { $0.isTerminal }, "the end is told undurable")
      case .toListener(let listener, .exitStored):
        guard let job = jobOf[listener] else { continue }
        // Of a closed job it means nothing any more.
        #expect(record.jobs[job]?.exit != nil || record.jobs[job]?.phase == .closed, "the exit is told undurable")
      case .toSupervisor(.openJob(let open)):
        #expect(record.jobs[open.job]?.phase == open.phase, "a job is opened undurable")
      case .toSupervisor(.dispatch(let job, let body, _)):
        #expect(record.jobs[job]?.phase == .dispatching, "a job is dispatched undurable")
        #expect(body == record.jobs[job]?.new.body)
        dispatched.append(job)
      case .toSupervisor(.jobClosed(let job)): #expect(record.jobs[job]?.phase == .closed)
      default: break
      }
    }
    return actions
  }
}

extension [UplinkCore.Action] {
  /// Without what is only told to people, and without the life of the facilitator's connection.
  var effects: [UplinkCore.Action] {
    filter {
      switch $0 {
      case .log, .toSupervisor(.state), .connect, .disconnect, .authenticate, .heartbeat, .ping, .lookAtLine: false
      default: true
      }
    }
  }

  /// Without what goes to the record, too.
  var said: [UplinkCore.Action] {
    effects.filter {
      switch $0 {
      case .commit, .load, .loadBody, .loadJob, .loadForHook: false
      default: true
      }
    }
  }

  var sent: [FacilitatorModel.Update] {
    compactMap { if case .send(let job, let status, _) = $0 { .init(job: job, status: status) } else { nil } }
  }
}
