import Decisions
import Foundation
import Messages
import Store
import Testing

@Suite struct StoreTests {
  /// In the order in which they were stored, which is not that of their numbers.
  @Test func aJobsStatusesComeBackInTheirOrder() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    let order: [JobStatus] = [.received, .volumesReady, .streamingReady, .accepted, .unknown, .failed]
    try store.commit(
      [newJob(job(1))] + order.enumerated().map { .insertUpdate(entry(Int64($0 + 1), job(1), $1)) })
    #expect(try store.job(job(1))?.statuses == order)
    #expect(try store.load(endedSince: now, bootID: "boot").jobs.map(\.statuses) == [order])
  }

  @Test func whatIsCommittedIsThereAfterTheNextStart() throws {
    let record = try TemporaryRecord()
    let deadline = Deadline(boot: Decisions.Instant(nanoseconds: 7), bootID: "boot", wall: now)
    let command = CommandRecord(pid: 42, startTime: 99, bootID: "boot")
    try record.open().commit([
      newJob(job(1), hash: [9]), .insertUpdate(entry(1, job(1), .received)),
      .setDispatching(job(1), deadline, isTask: true), .setCommand(job(1), command),
      .insertUpdate(entry(2, job(1), .accepted, metadata: Array("{}".utf8))),
      .putSpecs(SpecsEntry(number: 5, specs: MachineSpecs(minerHotkey: "m\0é", batchID: "b", specs: [1]))),
      .insertCheat(CheatReport(number: 6, body: [7], signatureHash: [8]), at: now),
    ])
    let store = try record.open()
    let state = try store.load(endedSince: now, bootID: "boot")
    #expect(
      state.jobs == [
        StoredJob(
          job: job(1), receivedAt: now, phase: .dispatching,
          statuses: [.received, .accepted],
          limitSeconds: 60, deadline: deadline, isTask: true, command: command, exitStored: false, signatureHash: [9],
          bodyBytes: 3)
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
    try store.commit([newJob(job(1)), .insertUpdate(entry(1, job(1), .received))])
    // The second status of that name breaks the rule that (job, status) is unique.
    #expect(throws: StoreError.self) {
      try store.commit([
        .insertUpdate(entry(2, job(1), .accepted)), .insertUpdate(entry(3, job(1), .received)),
      ])
    }
    #expect(try store.load(endedSince: now, bootID: "boot").queued == 1)
    // And the record can be used on.
    try store.commit([.insertUpdate(entry(2, job(1), .accepted))])
    #expect(try store.load(endedSince: now, bootID: "boot").queued == 2)
  }

  @Test func theBacklogIsReadInPagesOfNumbersAndBytes() throws {
    let store = try TemporaryRecord().open()
    try store.commit((1...5).map { newJob(job($0)) })
    try store.commit(
      (1...5).map { .insertUpdate(entry(Int64($0), job($0), .received, metadata: [0, 0, 0])) })
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
      .countAttempt(UpdateID(3), attempts: 2),
    ])
    #expect(try page(0, 10, 1000) == ([3, 4, 5], false))
    #expect(try store.waiting(after: UpdateID(0), limit: 1, bytes: 9).entries.first?.attempts == 2)
    let state = try store.load(endedSince: now, bootID: "boot")
    #expect(state.queued == 3 && state.dead == 1)
  }

  @Test func whatWaitsForTheHookOutlivesItsUpdateAndKeepsItsNumber() throws {
    let store = try TemporaryRecord().open()
    let updates = (1...3).map { entry(Int64($0), job(1), JobStatus.allCases[$0], metadata: [UInt8($0)]) }
    try store.commit([newJob(job(1))] + updates.flatMap { [.insertUpdate($0), .insertForHook($0)] })
    try store.commit(
      updates.map { .retire($0.id, at: now) } + [.end(job(1), at: now), .close(job(1), at: now)])
    let later = WallTime(milliseconds: now.milliseconds + 1)
    for _ in 0..<2 {
      _ = try store.transaction { () throws(StoreError) in
        try store.expire(closedBefore: later, forgottenBefore: later, limit: 10)
      }
    }
    let (waiting, more) = try store.waitingForHook(after: UpdateID(0), limit: 2, bytes: 100)
    #expect(waiting == Array(updates.prefix(2)) && more)
    try store.commit([.dropForHook([UpdateID(1), UpdateID(2)])])
    let state = try store.load(endedSince: now, bootID: "boot")
    #expect(state.nextUpdate == UpdateID(4) && state.forHook == 1)
    #expect(state.bytesForHook == OutboxEntry.overhead + 1)
  }

  @Test func aClosedJobHasNoBodyAndIsStillKnown() throws {
    let store = try TemporaryRecord().open()
    try store.commit([newJob(job(1), hash: [9]), .end(job(1), at: now), .close(job(1), at: now)])
    #expect(try store.body(of: job(1)) == nil)
    #expect(try store.load(endedSince: now, bootID: "boot").jobs.isEmpty)
    #expect(try store.load(endedSince: WallTime(milliseconds: 0), bootID: "boot").jobs.map(\.phase) == [.closed])
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
        newJob(job(number)), .insertUpdate(entry(Int64(number), job(number), .received)),
      ])
    }
    #expect(try store.waiting(after: UpdateID(0), limit: 1, bytes: 1).more)
    let filler = [UInt8](repeating: 0, count: 100_000)
    for number in 3...200 {
      try store.commit([
        newJob(job(number)), .insertUpdate(entry(Int64(number), job(number), .received, metadata: filler)),
      ])
    }
    let size = try FileManager.default.attributesOfItem(atPath: record.file + "-wal")[.size] as? Int
    #expect(try #require(size) < 10_000_000)
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
