import CSQLite
import Decisions
import Foundation
import Messages
import Store
import Testing

/// A record in a folder of its own, which goes with it.
private final class TemporaryRecord {
  let folder: URL
  var file: String { folder.appending(path: "hordelink.db").path }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "hordelink-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func open() throws -> Store { try Store(file: file) }
}

private let now = WallTime(milliseconds: 1_000_000)

private func job(_ number: Int) -> JobID {
  let digits = String(number, radix: 16)
  return JobID("00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)!
}

private func entry(_ id: Int64, _ job: JobID, _ status: JobStatus, metadata: [UInt8]? = nil) -> OutboxEntry {
  OutboxEntry(id: UpdateID(id), job: job, status: status, metadata: metadata)
}

private func newJob(_ job: JobID, hash: [UInt8]? = nil) -> StoreOperation {
  .insertJob(NewJob(job: job, receivedAt: now, body: [1, 2, 3], signatureHash: hash, limitSeconds: 60))
}

extension Store {
  fileprivate func commit(_ operations: [StoreOperation]) throws {
    try transaction { () throws(StoreError) in
      for operation in operations { try carryOut(operation) }
    }
  }
}

@Suite struct StoreTests {
  @Test func whatIsCommittedIsThereAfterTheNextStart() throws {
    let record = try TemporaryRecord()
    let deadline = Deadline(boot: Decisions.Instant(nanoseconds: 7), bootID: "boot", wall: now)
    let command = CommandRecord(pid: 42, startTime: 99, bootID: "boot")
    try record.open().commit([
      newJob(job(1), hash: [9]), .insertUpdate(entry(1, job(1), .received), at: now),
      .setDispatching(job(1), deadline), .setCommand(job(1), command),
      .insertUpdate(entry(2, job(1), .accepted, metadata: Array("{}".utf8)), at: now),
      .putSpecs(SpecsEntry(number: 5, specs: MachineSpecs(minerHotkey: "m\0é", batchID: "b", specs: [1]))),
      .insertCheat(CheatReport(number: 6, body: [7], signatureHash: [8]), at: now),
    ])
    let store = try record.open()
    let state = try store.load(closedSince: now)
    #expect(
      state.jobs == [
        StoredJob(
          job: job(1), phase: .dispatching, statuses: [JobStatusSet(.received), JobStatusSet(.accepted)],
          limitSeconds: 60, deadline: deadline, command: command, exitStored: false, signatureHash: [9])
      ])
    #expect(state.nextUpdate == UpdateID(3) && state.queued == 2 && state.dead == 0)
    #expect(state.specs.map(\.specs.minerHotkey) == ["m\0é"] && state.cheats.map(\.body) == [[7]])
    #expect(try store.body(of: job(1)) == [1, 2, 3])
    let (waiting, more) = try store.waiting(after: UpdateID(0), limit: 10, bytes: 1000)
    #expect(waiting == [entry(1, job(1), .received), entry(2, job(1), .accepted, metadata: Array("{}".utf8))])
    #expect(!more)
  }

  @Test func aTransactionIsAllOrNothing() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([newJob(job(1)), .insertUpdate(entry(1, job(1), .received), at: now)])
    // The second status of that name breaks the rule that (job, status) is unique.
    #expect(throws: StoreError.self) {
      try store.commit([
        .insertUpdate(entry(2, job(1), .accepted), at: now), .insertUpdate(entry(3, job(1), .received), at: now),
      ])
    }
    #expect(try store.load(closedSince: now).queued == 1)
    // And the record can be used on.
    try store.commit([.insertUpdate(entry(2, job(1), .accepted), at: now)])
    #expect(try store.load(closedSince: now).queued == 2)
  }

  @Test func theBacklogIsReadInPagesOfNumbersAndBytes() throws {
    let store = try TemporaryRecord().open()
    try store.commit((1...5).map { newJob(job($0)) })
    try store.commit(
      (1...5).map { .insertUpdate(entry(Int64($0), job($0), .received, metadata: [0, 0, 0]), at: now) })
    func page(_ after: Int64, _ limit: Int, _ bytes: Int) throws -> ([Int64], Bool) {
      let (entries, more) = try store.waiting(after: UpdateID(after), limit: limit, bytes: bytes)
      return (entries.map(\.id.number), more)
    }
    #expect(try page(0, 2, 1000) == ([1, 2], true))
    #expect(try page(2, 3, 1000) == ([3, 4, 5], false))
    #expect(try page(0, 10, 4) == ([1, 2], true))
    #expect(try page(0, 10, 1) == ([1], true))
    try store.commit([
      .retire(UpdateID(1), at: now), .bury(UpdateID(2), attempts: 4, error: "e", at: now),
      .countAttempt(UpdateID(3), attempts: 2, error: "e"),
    ])
    #expect(try page(0, 10, 1000) == ([3, 4, 5], false))
    #expect(try store.waiting(after: UpdateID(0), limit: 1, bytes: 9).entries.first?.attempts == 2)
    let state = try store.load(closedSince: now)
    #expect(state.queued == 3 && state.dead == 1)
  }

  @Test func aClosedJobHasNoBodyAndIsStillKnown() throws {
    let store = try TemporaryRecord().open()
    try store.commit([newJob(job(1), hash: [9]), .close(job(1), at: now)])
    #expect(try store.body(of: job(1)) == nil)
    #expect(try store.load(closedSince: now).jobs.isEmpty)
    #expect(try store.load(closedSince: WallTime(milliseconds: 0)).jobs.map(\.phase) == [.closed])
    let same = try store.lookUp(job(1), signatureHash: [9])
    #expect(same.known && !same.replay)
    let other = try store.lookUp(job(2), signatureHash: [9])
    #expect(!other.known && other.replay)
    let neither = try store.lookUp(job(2), signatureHash: nil)
    #expect(!neither.known && !neither.replay)
  }

  /// A page that was not read to its end must not keep the log from being checkpointed.
  @Test func theLogStaysBoundedWhileABacklogWaits() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    for number in 1...2 {
      try store.commit([
        newJob(job(number)), .insertUpdate(entry(Int64(number), job(number), .received), at: now),
      ])
    }
    #expect(try store.waiting(after: UpdateID(0), limit: 1, bytes: 1).more)
    let filler = [UInt8](repeating: 0, count: 100_000)
    for number in 3...200 {
      try store.commit([
        newJob(job(number)), .insertUpdate(entry(Int64(number), job(number), .received, metadata: filler), at: now),
      ])
    }
    let size = try FileManager.default.attributesOfItem(atPath: record.file + "-wal")[.size] as? Int
    #expect(try #require(size) < 10_000_000)
  }

  @Test func aRecordOfALaterSchemaIsRefused() throws {
    let record = try TemporaryRecord()
    _ = try record.open()
    var handle: OpaquePointer?
    #expect(sqlite3_open(record.file, &handle) == SQLITE_OK)
    #expect(sqlite3_exec(handle, "PRAGMA user_version = 99", nil, nil, nil) == SQLITE_OK)
    sqlite3_close(handle)
    let error = #expect(throws: StoreError.self) { try record.open() }
    #expect(error?.message.contains("version 99") == true)
  }

  @Test func whatIsNoDatabaseIsSaidToBeNone() throws {
    let record = try TemporaryRecord()
    try Data(repeating: 7, count: 10_000).write(to: URL(fileURLWithPath: record.file))
    let error = #expect(throws: StoreError.self) { try record.open() }
    #expect(error?.file == record.file && error?.code != 0)
    // It is left as it was.
    #expect(try Data(contentsOf: URL(fileURLWithPath: record.file)).count == 10_000)
  }
}
