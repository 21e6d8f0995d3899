import Decisions
import Foundation
import Messages
import Store
import Testing

/// What is kept, for how long, and what is erased before.
@Suite struct RetentionTests {
  private let day = Int64(86_400_000)

  private func expire(_ store: Store, at days: Int64, limit: Int = 500) throws -> Int {
    let today = days * day
    return try store.transaction { () throws(StoreError) in
      try store.expire(
        closedBefore: WallTime(milliseconds: today - 7 * day),
        forgottenBefore: WallTime(milliseconds: today - 90 * day),
        limit: limit)
    }
  }

  /// A job that was closed at the start of time.
  private func close(_ number: Int, in store: Store, dead: Bool = false) throws {
    let start = WallTime(milliseconds: 0)
    let id = Int64(number * 10)
    try store.commit([
      newJob(job(number), hash: [UInt8(number)]), .insertUpdate(entry(id, job(number), .received)),
      .insertUpdate(entry(id + 1, job(number), .completed, metadata: [1])), .end(job(number), at: start),
      dead
        ? .bury(UpdateID(id), attempts: 4, error: "no", at: start) : .retire(UpdateID(id), at: start),
      .retire(UpdateID(id + 1), at: start), .close(job(number), at: start),
    ])
  }

  @Test func closedJobsStaySevenDaysAndTheirUUIDsNinety() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try close(1, in: store)
    try store.commit([newJob(job(2))])
    #expect(try expire(store, at: 6) == 0)
    #expect(try store.job(job(1))?.statuses == [.received, .completed])
    #expect(try expire(store, at: 8) == 1)
    #expect(try expire(store, at: 8) == 0)
    #expect(try record.number("SELECT count(*) FROM updates") == 0)
    #expect(try store.lookUp(job(1), signatureHash: nil).known)
    #expect(try store.lookUp(job(9), signatureHash: [1]).replay)
    #expect(try expire(store, at: 91) == 1)
    #expect(try !store.lookUp(job(1), signatureHash: nil).known)
    // What is open is never old.
    #expect(try store.body(of: job(2)) == [1, 2, 3])
  }

  @Test func theSignatureOfACheatReportIsKnownForAsLongAsThatOfAJob() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    let reports = (1...2).map { CheatReport(number: UInt64($0), body: [UInt8($0)], signatureHash: [UInt8($0)]) }
    try store.commit(reports.map { .insertCheat($0, at: now) } + [.dropCheat(2)])
    for days in [1, 89] {
      _ = try expire(store, at: Int64(days))
      #expect(try store.load(endedSince: now, bootID: "b").cheats == [reports[0]])
      #expect(try store.load(endedSince: now, bootID: "b").lastNumber == 2)
      #expect(try store.knowsCheat(signatureHash: [2]) && !store.knowsCheat(signatureHash: [3]))
    }
    _ = try expire(store, at: 91)
    // The one that the hook has not taken stays.
    #expect(try store.knowsCheat(signatureHash: [1]) && !store.knowsCheat(signatureHash: [2]))
  }

  @Test func deadLettersStayUntilSomebodyDecides() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try close(1, in: store, dead: true)
    _ = try expire(store, at: 8)
    _ = try expire(store, at: 200)
    #expect(try store.deadLetters(after: UpdateID(0), limit: 9).map(\.id) == [10])
    try store.commit([.dropDead(UpdateID(10), at: now)])
    #expect(try store.deadLetters(after: UpdateID(0), limit: 9).isEmpty)
    #expect(try record.number("SELECT count(*) FROM attempts") == 1)
  }

  @Test func itGoesBatchByBatch() throws {
    let store = try TemporaryRecord().open()
    for number in 1...5 { try close(number, in: store) }
    #expect(try expire(store, at: 8, limit: 2) == 2)
    #expect(try expire(store, at: 8, limit: 2) == 2)
    #expect(try expire(store, at: 8, limit: 2) == 1)
  }

  /// What the facilitator has accepted need not be kept, and a request may hold tokens.
  @Test func whatIsNotNeededAnyMoreIsErased() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([
      newJob(job(1)), .insertUpdate(entry(1, job(1), .accepted, metadata: [1, 2])),
      .insertUpdate(entry(2, job(1), .completed, metadata: [3])), .end(job(1), at: now),
    ])
    #expect(try record.number("SELECT count(*) FROM jobs WHERE body IS NOT NULL") == 0)
    try store.commit([.retire(UpdateID(1), at: now)])
    #expect(try record.number("SELECT count(*) FROM updates WHERE metadata IS NOT NULL") == 1)
    let state = try store.load(endedSince: now, bootID: "boot")
    #expect(state.bytes == OutboxEntry.overhead + 1)
  }

  @Test func aStartFindsWhatIsOpenWhatHasJustEndedAndWhatMayStillRun() throws {
    let store = try TemporaryRecord().open()
    let command = CommandRecord(pid: 7, startTime: 1, bootID: "boot")
    let earlier = WallTime(milliseconds: 1)
    try store.commit((1...6).map { newJob(job($0)) })
    let deadline = Deadline(boot: Instant(nanoseconds: 1), bootID: "boot", wall: now)
    try store.commit([
      .end(job(2), at: earlier), .end(job(3), at: WallTime(milliseconds: now.milliseconds + 1)),
      .setCommand(job(4), command), .end(job(4), at: earlier),
      .setCommand(job(5), CommandRecord(pid: 7, startTime: 1, bootID: "another")), .end(job(5), at: earlier),
      // Nothing of a task runs here.
      .setDispatching(job(6), deadline, isTask: true), .setCommand(job(6), command), .end(job(6), at: earlier),
    ])
    let found = try store.load(endedSince: now, bootID: "boot").jobs.map(\.job)
    #expect(found.sorted() == [job(1), job(3), job(4)])
    #expect(try store.job(job(2))?.phase == .ended)
    #expect(try store.job(job(9)) == nil)
  }

  /// An outage of days is a refusal a minute.
  @Test func ofAnUpdatesHistoryTheNewestIsKept() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([
      newJob(job(1)), newJob(job(2)), .insertUpdate(entry(1, job(1), .accepted)),
      .insertUpdate(entry(2, job(2), .accepted)),
      .noteAttempt(UpdateID(2), error: "another's", at: WallTime(milliseconds: 1)),
    ])
    for number in 1...100 as ClosedRange<Int64> {
      try store.commit([.noteAttempt(UpdateID(1), error: "e", at: WallTime(milliseconds: number))])
    }
    try store.commit([
      .bury(UpdateID(1), attempts: 4, error: "last", at: WallTime(milliseconds: 101)),
      .bury(UpdateID(2), attempts: 4, error: "last", at: WallTime(milliseconds: 101)),
    ])
    let letters = try store.deadLetters(after: UpdateID(0), limit: 9)
    #expect(letters.map(\.history.count) == [DeadLetter.attemptsTold, 2])
    #expect(letters.first?.history.map(\.at) == Array(92...101))
    #expect(try record.number("SELECT count(*) FROM attempts") == Int64(DeadLetter.attemptsTold + 2))
  }

  @Test func deadLettersHaveTheirHistoryAndCanBeRevived() throws {
    let store = try TemporaryRecord().open()
    try store.commit([
      newJob(job(1)), .insertUpdate(entry(1, job(1), .accepted, metadata: [5])),
      .noteAttempt(UpdateID(1), error: "first", at: WallTime(milliseconds: 11)),
      .bury(UpdateID(1), attempts: 2, error: "last", at: WallTime(milliseconds: 12)),
    ])
    let letter = try #require(try store.deadLetters(after: UpdateID(0), limit: 9).first)
    #expect(letter.job == job(1) && letter.status == .accepted && letter.bytes == 1 && letter.deadSince == 12)
    #expect(
      letter.history == [
        DeadLetter.Attempt(at: 11, error: "first"), DeadLetter.Attempt(at: 12, error: "last"),
      ])
    #expect(try store.deadLetters(after: UpdateID(1), limit: 9).isEmpty)
    let found = try store.findDead([UpdateID(1), UpdateID(2)])
    #expect(found.map(\.entry) == [entry(1, job(1), .accepted, metadata: [5])])
    #expect(found.first?.terminal == FoundDeadLetter.Terminal.none)
    try store.commit([.revive(UpdateID(1))])
    #expect(try store.findDead([UpdateID(1)]).isEmpty)
    #expect(try store.waiting(after: UpdateID(0), limit: 9, bytes: 9).entries.first?.attempts == 0)
    try store.commit([
      .bury(UpdateID(1), attempts: 4, error: "again", at: now), .insertUpdate(entry(2, job(1), .failed)),
      .end(job(1), at: now),
    ])
    #expect(try store.findDead([UpdateID(1)]).first?.terminal == .waiting(UpdateID(2)))
    try store.commit([.bury(UpdateID(2), attempts: 0, error: "connections", at: now)])
    // The facilitator may have it.
    let both = try store.findDead([UpdateID(1), UpdateID(2)]).map(\.terminal)
    #expect(both == [FoundDeadLetter.Terminal.taken, .none])
    try store.commit([.revive(UpdateID(2)), .bury(UpdateID(2), attempts: 4, error: "refused", at: now)])
    #expect(try store.findDead([UpdateID(1)]).first?.terminal == FoundDeadLetter.Terminal.none)
    try store.commit([.revive(UpdateID(2)), .retire(UpdateID(2), at: now)])
    #expect(try store.findDead([UpdateID(1)]).first?.terminal == .taken)
    // It is forgotten before the dead letters of its job.
    try store.commit([.close(job(1), at: now)])
    #expect(try expire(store, at: 8) == 1)
    #expect(try store.findDead([UpdateID(1)]).first?.terminal == .taken)
  }
}
