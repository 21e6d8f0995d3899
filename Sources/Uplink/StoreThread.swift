import Decisions
import Messages
import Platform
import Store

/// The thread that alone touches the record. However many requests wait when it begins go into one transaction
/// together, and so cost one sync of the disk.
final class StoreThread: Sendable {
  /// What is asked of it.
  enum Request: Sendable {
    case commit([StoreOperation], then: UplinkCore.AfterCommit)
    case load(after: UpdateID, limit: Int, bytes: Int)
    case loadBody(JobID)
    case lookUp(JobRequested)
  }

  /// What it found, or did.
  enum Outcome: Sendable {
    case committed(UplinkCore.AfterCommit)
    case loaded([OutboxEntry], more: Bool)
    case bodyLoaded(JobID, [UInt8]?)
    case lookedUp(JobRequested, known: Bool, replay: Bool)
  }

  private let mailbox = Mailbox<Request>()

  /// Starts the thread, which owns the record from here on.
  ///
  /// - Parameters:
  ///   - opened: is called on that thread with what the record holds.
  ///   - report: is called on that thread with what came of each batch, in the order of the requests; nothing of
  ///     a batch is told before all of it is durable. After an error the thread is over.
  func start(
    file: String, opened: @escaping @Sendable (StoredState) -> Void,
    report: @escaping @Sendable (Result<[Outcome], StoreError>) -> Void
  ) throws(SystemError) {
    let mailbox = mailbox
    try BackgroundThread.start {
      do throws(StoreError) {
        // Made here, so that it never leaves this thread.
        let store = try Store(file: file)
        let recently = Clock.wallMilliseconds - Int64(UplinkCore.memory.wholeMilliseconds)
        opened(try store.load(closedSince: WallTime(milliseconds: recently)))
        while let (requests, _) = mailbox.takeAll() {
          report(.success(try Self.carryOut(requests, in: store)))
        }
      } catch {
        report(.failure(error))
      }
    }
  }

  func ask(_ request: Request) { mailbox.put(request) }

  private static func carryOut(_ requests: [Request], in store: Store) throws(StoreError) -> [Outcome] {
    let writes = requests.contains { if case .commit(let operations, _) = $0 { !operations.isEmpty } else { false } }
    func all() throws(StoreError) -> [Outcome] {
      var outcomes: [Outcome] = []
      outcomes.reserveCapacity(requests.count)
      for request in requests { outcomes.append(try carryOut(request, in: store)) }
      return outcomes
    }
    return writes ? try store.transaction(all) : try all()
  }

  private static func carryOut(_ request: Request, in store: Store) throws(StoreError) -> Outcome {
    switch request {
    case .commit(let operations, let what):
      for operation in operations { try store.carryOut(operation) }
      return .committed(what)
    case .load(let id, let limit, let bytes):
      let (entries, more) = try store.waiting(after: id, limit: limit, bytes: bytes)
      return .loaded(entries, more: more)
    case .loadBody(let job): return .bodyLoaded(job, try store.body(of: job))
    case .lookUp(let request):
      let (known, replay) = try store.lookUp(request.job, signatureHash: request.signatureHash)
      return .lookedUp(request, known: known, replay: replay)
    }
  }
}

/// A job request from the facilitator whose signature has been looked at.
struct JobRequested: Sendable {
  var job: JobID
  var body: [UInt8]
  var signatureHash: [UInt8]?
  var limitSeconds: Int
  /// Why its signature is refused; nil when it holds or is not to be verified.
  var refusal: String?
}
