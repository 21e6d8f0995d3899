import Decisions
import Foundation
import Messages
import RecordFile
import Store
import Testing

/// A record in a folder of its own, which goes with it.
final class TemporaryRecord {
  let folder: URL
  var file: String { folder.appending(path: "hordelink.db").path }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "hordelink-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func open() throws -> Store { try Store(file: file) }

  /// Runs SQL behind the record's back.
  func run(_ sql: String, in file: String? = nil) throws { try RecordFile(file ?? self.file).run(sql) }

  /// One number out of it.
  func number(_ sql: String, in file: String? = nil) throws -> Int64 { try RecordFile(file ?? self.file).number(sql) }
}

let now = WallTime(milliseconds: 1_000_000)

func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

func entry(_ id: Int64, _ job: JobID, _ status: JobStatus, metadata: [UInt8]? = nil) -> OutboxEntry {
  OutboxEntry(id: UpdateID(id), job: job, status: status, metadata: metadata, storedAt: now)
}

func newJob(_ job: JobID, hash: [UInt8]? = nil) -> StoreOperation {
  .insertJob(NewJob(job: job, receivedAt: now, body: [1, 2, 3], signatureHash: hash, limitSeconds: 60))
}

extension Store {
  func commit(_ operations: [StoreOperation]) throws {
    try transaction { () throws(StoreError) in
      for operation in operations { try carryOut(operation) }
    }
  }
}
