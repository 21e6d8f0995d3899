import Decisions
import Glibc
import Messages
import Rehearsal
import Store

/// A record in a folder of its own that holds the sample's jobs.
final class StoreRig {
  let folder: String
  let store: Store

  static let now = WallTime(milliseconds: 1_764_000_000_000)

  /// - Parameter filled: it holds their updates as well.
  init(filled: Bool) throws {
    folder = try Rehearsal.makeFolder("paths-")
    store = try Store(file: folder + "/hordelink.db")
    try transact((0..<Sample.jobs).map { Self.newJob(Sample.job($0)) })
    if filled {
      for batch in 0..<(Sample.capacity / Sample.batch) { try insert(batch) }
    }
  }

  deinit { Rehearsal.removeTree(folder) }

  static func newJob(_ id: JobID) -> StoreOperation {
    .insertJob(
      NewJob(
        job: id, receivedAt: now, body: Array(repeating: UInt8(ascii: "x"), count: 1000),
        signatureHash: Array("\(id)".utf8), limitSeconds: 60))
  }

  /// Does all of it in one transaction, as Uplink's thread for the record does.
  func transact(_ operations: [StoreOperation]) throws(StoreError) {
    try store.transaction { () throws(StoreError) in
      for operation in operations { try store.carryOut(operation) }
    }
  }

  func insert(_ batch: Int) throws {
    try transact(
      Sample.updates(batch).enumerated().map { index, update in
        .insertUpdate(
          OutboxEntry(
            id: Self.id(batch, index), job: Sample.job(update.job), status: update.status,
            metadata: Sample.metadata(update.status), storedAt: Self.now))
      })
  }

  func retire(_ batch: Int) throws {
    try transact((0..<Sample.batch).map { .retire(Self.id(batch, $0), at: Self.now) })
  }

  private static func id(_ batch: Int, _ index: Int) -> UpdateID { UpdateID(Int64(batch * Sample.batch + index + 1)) }
}
