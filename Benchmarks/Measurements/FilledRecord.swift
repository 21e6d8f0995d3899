import Decisions
import Glibc
import Messages
import Platform
import Rehearsal
import Store

/// A record that is written before the service starts, with jobs and the updates that wait for the facilitator.
public final class FilledRecord {
  /// How many changes are made in one transaction.
  private static let batch = 10_000

  public let store: Store
  /// The time at which all of it came: before anything that a start would still hold in memory.
  public static let earlier = WallTime(milliseconds: Clock.wallMilliseconds) - .seconds(3600)
  private let metadata: [UInt8]?
  private var nextUpdate: Int64 = 1
  private var operations: [StoreOperation] = []

  /// Makes it in that folder of state, which is made where there is none.
  /// - Parameter metadata: of each update, as JSON.
  public init(in directory: String, metadata: [UInt8]? = nil) throws {
    guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw SystemError("mkdir", directory) }
    store = try Store(file: directory + "/hordelink.db")
    self.metadata = metadata
  }

  /// A job that has reported these statuses, and has ended if the last is terminal.
  public func add(_ job: JobID, _ statuses: [JobStatus]) throws {
    operations.append(
      .insertJob(
        NewJob(
          job: job, receivedAt: Self.earlier, body: Array("{}".utf8), signatureHash: Array("\(job)".utf8),
          limitSeconds: 7200)))
    for status in statuses {
      operations.append(
        .insertUpdate(
          OutboxEntry(
            id: UpdateID(nextUpdate), job: job, status: status, metadata: metadata, storedAt: Self.earlier)))
      nextUpdate += 1
    }
    if statuses.last?.isTerminal ?? false { operations.append(.end(job, at: Self.earlier)) }
    if operations.count > Self.batch { try commit() }
  }

  /// Makes what was added durable.
  public func commit() throws {
    let batch = operations
    operations = []
    try store.transaction { () throws(StoreError) in
      for operation in batch { try store.carryOut(operation) }
    }
  }
}
