import Decisions
import Foundation
import Messages
import RecordFile
import Store
import Testing

/// A value that hordelink never writes ends nobody: it is named as damage, or Uplink does with it what it would do.
@Suite struct DamagedRowTests {
  static let integers: [Int64] = [.min, -1, 0, 1, .max - 1, .max]

  /// Each column of the tables that hold integers, which SQLite lists itself.
  static func columns(of type: String) throws -> [(table: String, column: String)] {
    let record = try TemporaryRecord()
    _ = try record.open()
    return try RecordFile(record.file).texts(
      """
      SELECT m.name || ' ' || c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
      WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND c.type = '\(type)' ORDER BY 1
      """
    ).map { line in
      let words = line.split(separator: " ").map(String.init)
      return (words[0], words[1])
    }
  }

  @Test func everyIntegerAtItsLimits() throws {
    let columns = try Self.columns(of: "INTEGER")
    #expect(columns.count >= 30)
    for (table, column) in columns {
      for value in Self.integers { try expectNamedOrServed(table, column, "\(value)", rows: "true") }
      for value in Self.integers { try expectNamedOrServed(table, column, "\(value)", rows: Self.first(table)) }
    }
  }

  @Test func everyTextAndBlobInTheWrongForm() throws {
    let texts = try Self.columns(of: "TEXT")
    #expect(texts.contains { $0 == ("jobs", "uuid") })
    for (table, column) in texts {
      for value in ["''", "'x'", "CAST(x'ff00fe' AS TEXT)", "hex(zeroblob(5000))"] {
        try expectNamedOrServed(table, column, value, rows: Self.first(table))
      }
    }
    for (table, column) in try Self.columns(of: "BLOB") {
      for value in ["x''", "x'ff00fe'", "zeroblob(100000)"] {
        try expectNamedOrServed(table, column, value, rows: Self.first(table))
      }
    }
  }

  /// What would be forgotten without a word is damage too.
  @Test(arguments: [
    ("UPDATE jobs SET received_at = 9223372036854775807 WHERE id = 1", "jobs.received_at of row 1"),
    ("UPDATE jobs SET deadline_wall = -9223372036854775808 WHERE id = 1", "jobs.deadline_wall of row 1"),
    ("UPDATE jobs SET phase = 9223372036854775807, ended_at = NULL WHERE id = 1", "jobs.phase of row 1"),
    ("UPDATE updates SET stored_at = -9223372036854775808 WHERE id = 2", "updates.stored_at of row 2"),
    ("UPDATE updates SET id = 9223372036854775807 WHERE id = 2", "updates.id of row 9223372036854775807"),
    ("UPDATE updates SET job = 77 WHERE id = 2", "updates.job of row 2 is null"),
    ("UPDATE updates SET state = 7 WHERE id = 2", "updates.state of a row of the job \(job(1)) is 7"),
    ("UPDATE updates SET status = 12 WHERE id = 2", "updates.status of a row of the job \(job(1)) is 12"),
    ("UPDATE for_hook SET job = 'x'", "for_hook.job of row 2 is 'x'"),
    ("UPDATE specs SET number = -1", "specs.number of row -1"),
  ])
  func damageIsNamed(sql: String, name: String) throws {
    let record = try Self.copyOfRecord()
    try record.run("PRAGMA foreign_keys = OFF; \(sql)")
    let error = #expect(throws: StoreError.self) { try Self.serve(record) }
    #expect(error?.isDamaged == true)
    #expect(
      error.map { "\($0)".contains(name) && "\($0)".contains(record.file) } == true, "\(String(describing: error))")
  }

  /// The terminal status that decides whether a dead letter may go is looked at no less than the letter.
  @Test(arguments: [
    ("UPDATE updates SET state = 7 WHERE id = 2", "updates.state of row 2 is 7"),
    ("UPDATE updates SET attempts = -1 WHERE id = 2", "updates.attempts of row 2 is -1"),
    ("UPDATE updates SET attempts = 9223372036854775807 WHERE id = 2", "updates.attempts of row 2 is"),
    ("UPDATE updates SET id = -5 WHERE id = 2", "updates.id of row -5 is -5"),
    ("UPDATE jobs SET phase = -1", "jobs.phase of row 1 is -1"),
    ("UPDATE jobs SET id = 77", "updates.job of row 1 is null"),
  ])
  func damageBesideADeadLetterIsNamed(sql: String, name: String) throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([
      newJob(job(1)), .insertUpdate(entry(1, job(1), .accepted)), .insertUpdate(entry(2, job(1), .failed)),
      .end(job(1), at: now), .bury(UpdateID(1), attempts: 4, error: "refused", at: now),
    ])
    try record.run("PRAGMA foreign_keys = OFF; \(sql)")
    let error = #expect(throws: StoreError.self) { try store.findDead([UpdateID(1)]) }
    #expect(error?.isDamaged == true && "\(error as Any)".contains(name), "\(error as Any)")
  }

  private func expectNamedOrServed(_ table: String, _ column: String, _ value: String, rows: String) throws {
    let record = try Self.copyOfRecord()
    // What is not unique, or would be null, SQLite itself refuses.
    guard (try? record.run("PRAGMA foreign_keys = OFF; UPDATE \(table) SET \(column) = \(value) WHERE \(rows)")) != nil
    else {
      return
    }
    do {
      try Self.serve(record)
    } catch let error as StoreError {
      #expect(error.isDamaged, "\(table).\(column) = \(value): \(error)")
      // A job that has another number has lost its updates.
      let name = (table, column) == ("jobs", "id") ? "updates.job" : "\(table)."
      #expect("\(error)".contains(name), "\(table).\(column): \(error)")
    }
  }

  private static func first(_ table: String) -> String { "rowid = (SELECT min(rowid) FROM \(table))" }

  private static func copyOfRecord() throws -> TemporaryRecord {
    let record = try TemporaryRecord()
    try made.get().write(to: URL(filePath: record.file))
    return record
  }

  private static let made = Result { try madeRecord() }

  /// The file of a record with something in every column.
  private static func madeRecord() throws -> Data {
    let record = try TemporaryRecord()
    try fill(try record.open())
    try record.run("INSERT INTO meta VALUES ('restored', 'x')")
    return try Data(contentsOf: URL(filePath: record.file))
  }

  private static func fill(_ store: Store) throws {
    let deadline = Deadline(boot: Instant(nanoseconds: 1), bootID: "an earlier boot", wall: now)
    try store.commit([
      newJob(job(1), hash: [1]), newJob(job(2), hash: [2]), newJob(job(3), hash: [3]),
      .insertUpdate(entry(1, job(1), .received)), .insertUpdate(entry(2, job(1), .accepted, metadata: [0x7b, 0x7d])),
      .insertUpdate(entry(3, job(2), .received)), .insertUpdate(entry(4, job(2), .failed)),
      .insertUpdate(entry(5, job(3), .received)),
      .setDispatching(job(1), deadline, isTask: false),
      .setCommand(job(1), CommandRecord(pid: 7, startTime: 8, bootID: "an earlier boot")),
      .setExit(job(2), CommandExit(code: 1, signal: nil)), .end(job(2), at: now), .close(job(2), at: now),
      .bury(UpdateID(1), attempts: 4, error: "refused", at: now), .retire(UpdateID(3), at: now),
      .insertForHook(entry(2, job(1), .accepted)),
      .putSpecs(SpecsEntry(number: 1, specs: MachineSpecs(minerHotkey: "m", batchID: "b", specs: [0x7b, 0x7d]))),
      .insertCheat(CheatReport(number: 2, body: [1], signatureHash: [4]), at: now),
    ])
  }

  /// Opens the record, asks all that can be asked of it, and lets Uplink decide for some hours.
  private static func serve(_ record: TemporaryRecord) throws {
    let store = try record.open()
    let wall = WallTime(milliseconds: now.milliseconds + 1000)
    var moment = Moment(boot: Instant(nanoseconds: 5_000_000_000), wall: wall)
    let stored = try store.load(endedSince: now - .seconds(60), bootID: "boot")
    var settings = UplinkSettings(
      stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/", hotkeyFile: "/k", trustedSigners: [])
    settings.hasCheatHook = true
    settings.hasStatusHook = true
    var core = UplinkCore(settings: settings, stored: stored, bootID: "boot", seed: 1, at: moment)
    _ = core.start(at: moment)
    let waiting = try store.waiting(after: UpdateID(0), limit: 100, bytes: 1 << 20)
    let forHook = try store.waitingForHook(after: UpdateID(0), limit: 100, bytes: 1 << 20)
    let letters = try store.deadLetters(after: UpdateID(0), limit: 100)
    let found = try store.findDead(letters.map { UpdateID(Int64($0.id)) } + [UpdateID(1)])
    _ = core.handle(
      [
        .opened(connection: 1), .answered(.success, connection: 1), .loaded(waiting.entries, more: waiting.more),
        .loadedForHook(forHook.entries, more: forHook.more), .deadLoaded(1, letters),
        .fromSupervisor(.query(1, .jobs)), .fromSupervisor(.query(2, .queue)), .fromSupervisor(.query(3, .status)),
      ], at: moment)
    for number in 1...3 {
      _ = core.handle(.jobLoaded(job(number), try store.job(job(number))), at: moment)
      _ = core.handle(.bodyLoaded(job(number), try store.body(of: job(number))), at: moment)
      _ = try store.lookUp(job(number), signatureHash: [UInt8(number)])
    }
    for case .lookUpDead(let request) in core.handle(.fromSupervisor(.query(4, .retry([1]))), at: moment) {
      _ = core.handle(.deadFound(request, found), at: moment)
    }
    for _ in 0..<50 {
      moment.boot = moment.boot + .seconds(600)
      moment.wall.milliseconds += 600_000
      _ = core.handle(.timeReached, at: moment)
      _ = core.nextDeadline
    }
    try store.transaction { () throws(StoreError) in
      _ = try store.expire(closedBefore: moment.wall, forgottenBefore: moment.wall, limit: 10)
    }
  }
}
