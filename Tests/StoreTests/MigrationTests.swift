import Decisions
import Foundation
import Messages
import Testing

@testable import Store

/// Records that an earlier or a later release wrote.
@Suite struct MigrationTests {
  /// As the first schema left it: an open job, one that has ended, one that is closed, a dead letter.
  private func older() throws -> TemporaryRecord {
    let record = try TemporaryRecord()
    try record.run(
      """
      PRAGMA journal_mode = WAL;
      \(Schema.migrations[0])
      INSERT INTO jobs (id, uuid, phase, received_at, limit_seconds, body, signature_hash)
        VALUES (1, '\(job(1))', 1, 5, 60, x'010203', x'09'), (2, '\(job(2))', 2, 5, 60, x'0405', NULL);
      INSERT INTO jobs (id, uuid, phase, received_at, closed_at, limit_seconds)
        VALUES (3, '\(job(3))', 3, 5, 8, 60);
      INSERT INTO updates (id, job, status, state, attempts, stored_at, settled_at, error, metadata) VALUES
        (1, 1, 1, 0, 2, 6, NULL, 'said no', x'7b7d'), (2, 2, \(JobStatus.failed.rawValue), 0, 0, 7, NULL, NULL, NULL),
        (3, 3, \(JobStatus.completed.rawValue), 1, 0, 7, 8, NULL, x'7b7d'), (4, 1, 3, 2, 4, 7, 9, 'given up', NULL);
      PRAGMA user_version = 1;
      """)
    return record
  }

  @Test func anOlderRecordIsCopiedAndThenBroughtUpToThisRelease() throws {
    let record = try older()
    let store = try record.open()
    let state = try store.load(endedSince: WallTime(milliseconds: 0), bootID: "boot")
    #expect(Set(state.jobs.map(\.job)) == [job(1), job(2), job(3)])
    #expect(state.queued == 2 && state.dead == 1 && state.nextUpdate == UpdateID(5))
    #expect(try store.body(of: job(1)) == [1, 2, 3])
    // A job that has ended needs its request no more.
    #expect(try store.body(of: job(2)) == nil)
    #expect(try store.deadLetters(after: UpdateID(0), limit: 9).first?.history.map(\.error) == ["given up"])
    #expect(try record.number("PRAGMA user_version") == Schema.version)
    let copy = record.file + ".v1"
    #expect(try record.number("PRAGMA user_version", in: copy) == 1)
    #expect(try record.number("SELECT count(*) FROM updates", in: copy) == 4)
    #expect(try record.number("SELECT length(body) FROM jobs WHERE id = 2", in: copy) == 2)
  }

  @Test func aMigratedRecordIsLikeANewOne() throws {
    let old = try older()
    _ = try old.open()
    let new = try TemporaryRecord()
    _ = try new.open()
    let columns = "SELECT count(*) FROM sqlite_schema AS tables, pragma_table_info(tables.name)"
    #expect(try old.number(columns) == new.number(columns))
    #expect(try old.number("PRAGMA application_id") == new.number("PRAGMA application_id"))
  }

  @Test func whatCannotBeCopiedIsNotTouched() throws {
    let record = try older()
    // Nothing can be written where the copy should go.
    try FileManager.default.createDirectory(atPath: record.file + ".v1", withIntermediateDirectories: false)
    #expect(throws: StoreError.self) { try record.open() }
    #expect(try record.number("PRAGMA user_version") == 1)
  }

  @Test func aRecordOfALaterSchemaIsRefused() throws {
    let record = try TemporaryRecord()
    _ = try record.open()
    try record.run("PRAGMA user_version = 99")
    let error = #expect(throws: StoreError.self) { try record.open() }
    #expect(error?.message.contains("version 99") == true)
  }
}
