import Decisions
import Failpoints
import Messages
import Platform
import Store

/// The thread that alone touches the record. However many requests wait when it begins go into one transaction
/// together, and so cost one sync of the disk.
final class StoreThread: Sendable {
  /// What is asked of it.
  enum Request: Sendable {
    case commit([StoreOperation], then: UplinkCore.AfterCommit)
    case load(after: UpdateID, limit: Int, bytes: Int, passingOver: Bool)
    case loadForHook(after: UpdateID, limit: Int, bytes: Int)
    case loadBody(JobID)
    case loadJob(JobID)
    case lookUp(JobRequested)
    /// A cheat report whose signature holds, and its hash.
    case lookUpCheat([UInt8], signatureHash: [UInt8])
    case loadDead(UInt64, after: UpdateID)
    case lookUpDead(DeadLetterRequest)
    case expire(closedBefore: WallTime, forgottenBefore: WallTime, limit: Int)
    /// Make the reserve again, if the disk has the room.
    case checkDisk

    var writes: Bool {
      switch self {
      case .commit(let operations, _): !operations.isEmpty
      case .expire: true
      default: false
      }
    }

    var storesUpdate: Bool {
      operations.contains { if case .insertUpdate = $0 { true } else { false } }
    }

    var retires: Bool {
      operations.contains { if case .retire = $0 { true } else { false } }
    }

    private var operations: [StoreOperation] {
      if case .commit(let operations, _) = self { operations } else { [] }
    }
  }

  /// What it found, or did.
  enum Outcome: Sendable {
    case committed(UplinkCore.AfterCommit)
    /// What was told before this since the last one of it was one transaction.
    case transacted
    case loaded([OutboxEntry], more: Bool)
    case loadedForHook([OutboxEntry], more: Bool)
    case bodyLoaded(JobID, [UInt8]?)
    case jobLoaded(JobID, StoredJob?)
    case lookedUp(JobRequested, known: Bool, replay: Bool)
    case cheatLookedUp([UInt8], signatureHash: [UInt8], known: Bool)
    case deadLoaded(UInt64, [DeadLetter])
    case deadFound(DeadLetterRequest, [FoundDeadLetter])
    case expired(Int)
    case disk(isFull: Bool)
  }

  private let mailbox = Mailbox<Request>()

  /// Starts the thread, which owns the record from here on.
  ///
  /// - Parameters:
  ///   - opened: is called on that thread with what the record holds.
  ///   - report: is called on that thread with what came of each batch, in the order of the requests; nothing of
  ///     a batch is told before all of it is durable. After an error the thread is over.
  func start(
    directory: String, bootID: String, opened: @escaping @Sendable (StoredState) -> Void,
    report: @escaping @Sendable (Result<[Outcome], StoreError>) -> Void
  ) throws(SystemError) {
    let mailbox = mailbox
    try BackgroundThread.start {
      do throws(StoreError) {
        // Made here, so that it never leaves this thread.
        let reserve = Reserve(directory: directory)
        let (store, state) = try Self.withReserve(reserve) { () throws(StoreError) in
          let store = try Store(file: directory + "/hordelink.db")
          let now = WallTime(milliseconds: Clock.wallMilliseconds)
          return (store, try store.load(endedSince: now - UplinkCore.memory, bootID: bootID))
        } lost: {
        }
        opened(state)
        if !reserve.make() { report(.success([.disk(isFull: true)])) }
        while let (requests, _) = mailbox.takeAll() {
          let outcomes = try Self.withReserve(reserve) { () throws(StoreError) in
            try Self.carryOut(requests, in: store, reserve)
          } lost: {
            report(.success([.disk(isFull: true)]))
          }
          report(.success(outcomes))
        }
      } catch {
        report(.failure(error))
      }
    }
  }

  /// Asks for these, one after the other.
  func ask(_ requests: [Request]) { mailbox.put(contentsOf: requests) }

  /// Does it, and once more with the room of the reserve if the disk has none.
  private static func withReserve<Result>(
    _ reserve: Reserve, _ body: () throws(StoreError) -> Result, lost: () -> Void
  ) throws(StoreError) -> Result {
    do throws(StoreError) {
      return try body()
    } catch {
      guard error.isFull, reserve.giveUp() else { throw error }
      let result = try body()
      lost()
      return result
    }
  }

  private static func carryOut(
    _ requests: [Request], in store: Store, _ reserve: Reserve
  ) throws(StoreError) -> [Outcome] {
    func all() throws(StoreError) -> [Outcome] {
      var outcomes: [Outcome] = []
      outcomes.reserveCapacity(requests.count)
      for request in requests { outcomes.append(try carryOut(request, in: store, reserve)) }
      return outcomes
    }
    guard requests.contains(where: \.writes) else { return try all() }
    let outcomes = try store.transaction { () throws(StoreError) in
      let outcomes = try all()
      Failpoint.reach("uplink.committing", when: requests.contains(where: \.storesUpdate))
      return outcomes
    }
    Failpoint.reach("uplink.stored", when: requests.contains(where: \.storesUpdate))
    Failpoint.reach("uplink.retired", when: requests.contains(where: \.retires))
    return outcomes + [.transacted]
  }

  private static func carryOut(
    _ request: Request, in store: Store, _ reserve: Reserve
  ) throws(StoreError) -> Outcome {
    switch request {
    case .commit(let operations, let what):
      for operation in operations { try store.carryOut(operation) }
      return .committed(what)
    case .load(let id, let limit, let bytes, let passingOver):
      let (entries, more) = try store.waiting(after: id, limit: limit, bytes: bytes, passingOver: passingOver)
      return .loaded(entries, more: more)
    case .loadForHook(let id, let limit, let bytes):
      let (entries, more) = try store.waitingForHook(after: id, limit: limit, bytes: bytes)
      return .loadedForHook(entries, more: more)
    case .loadBody(let job): return .bodyLoaded(job, try store.body(of: job))
    case .loadJob(let job): return .jobLoaded(job, try store.job(job))
    case .loadDead(let question, let after):
      return .deadLoaded(question, try store.deadLetters(after: after, limit: DeadLetter.page))
    case .lookUpDead(let request): return .deadFound(request, try store.findDead(request.letters))
    case .expire(let closed, let forgotten, let limit):
      return .expired(try store.expire(closedBefore: closed, forgottenBefore: forgotten, limit: limit))
    case .checkDisk: return .disk(isFull: !reserve.make())
    case .lookUpCheat(let body, let hash):
      return .cheatLookedUp(body, signatureHash: hash, known: try store.knowsCheat(signatureHash: hash))
    case .lookUp(let request):
      let (known, replay) = try store.lookUp(request.job, signatureHash: request.signatureHash)
      return .lookedUp(request, known: known, replay: replay)
    }
  }
}

/// A job request from the facilitator whose signature has been looked at.
struct JobRequested: Sendable {
  var job: JobID
  /// Empty when it is refused.
  var body: [UInt8]
  var signatureHash: [UInt8]?
  var limitSeconds: Int
  /// Why it is refused; nil when its signature holds or is not to be verified.
  var refusal: String?
}
