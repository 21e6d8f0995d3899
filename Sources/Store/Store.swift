import Decisions
import Messages

/// The durable record of jobs and updates: an SQLite database, and what can be asked of it.
///
/// Confined to one thread at a time; every call blocks until the disk has answered.
public final class Store {
  private let database: Database

  /// Opens the record in that file, which is made where there is none.
  public init(file: String) throws(StoreError) {
    database = try Database(file: file)
    try Schema.prepare(database)
  }

  // MARK: Writing

  /// Does all of `body` in one transaction, durable when this returns: together or not at all. What is read in
  /// it sees what was written in it before.
  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    try database.execute("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try database.execute("COMMIT")
      return result
    } catch {
      // Some errors have rolled back already, and then this one fails; the first error is what matters.
      try? database.execute("ROLLBACK")
      throw error
    }
  }

  /// Makes one change. Only within `transaction`.
  public func carryOut(_ operation: StoreOperation) throws(StoreError) {
    switch operation {
    case .insertJob(let job):
      try database.run(
        """
        INSERT INTO jobs (uuid, phase, received_at, limit_seconds, signature_hash, body)
        VALUES (?, ?, ?, ?, ?, ?)
        """, .text(job.job.description), .phase(.accepted), .integer(job.receivedAt.milliseconds),
        .integer(Int64(job.limitSeconds)), SQLValue(job.signatureHash), .blob(job.body))
    case .insertUpdate(let entry, let at):
      try database.run(
        """
        INSERT INTO updates (id, job, status, stored_at, metadata)
        VALUES (?, (SELECT id FROM jobs WHERE uuid = ?), ?, ?, ?)
        """, .integer(entry.id.number), .text(entry.job.description), .integer(Int64(entry.status.rawValue)),
        .integer(at.milliseconds), SQLValue(entry.metadata))
    case .setDispatching(let job, let deadline):
      try database.run(
        """
        UPDATE jobs SET phase = ?, deadline_boot = ?, deadline_boot_id = ?, deadline_wall = ? WHERE uuid = ?
        """, .phase(.dispatching), .integer(deadline.boot.nanoseconds), .text(deadline.bootID),
        .integer(deadline.wall.milliseconds), .text(job.description))
    case .setCommand(let job, let record):
      try database.run(
        "UPDATE jobs SET command_pid = ?, command_start = ?, command_boot_id = ? WHERE uuid = ?",
        .integer(Int64(record.pid)), .integer(Int64(clamping: record.startTime)), .text(record.bootID),
        .text(job.description))
    case .setExit(let job, let exit):
      try database.run(
        "UPDATE jobs SET exit_stored = 1, exit_code = ?, exit_signal = ? WHERE uuid = ?",
        .optional(exit.code), .optional(exit.signal), .text(job.description))
    case .setPhase(let job, let phase):
      try database.run("UPDATE jobs SET phase = ? WHERE uuid = ?", .phase(phase), .text(job.description))
    case .retire(let id, let at):
      try database.run(
        "UPDATE updates SET state = 1, settled_at = ? WHERE id = ?", .integer(at.milliseconds),
        .integer(id.number))
    case .countAttempt(let id, let attempts, let error):
      try database.run(
        "UPDATE updates SET attempts = ?, error = ? WHERE id = ?", .integer(Int64(attempts)), .text(error),
        .integer(id.number))
    case .bury(let id, let attempts, let error, let at):
      try database.run(
        "UPDATE updates SET state = 2, attempts = ?, error = ?, settled_at = ? WHERE id = ?",
        .integer(Int64(attempts)), .text(error), .integer(at.milliseconds), .integer(id.number))
    case .putSpecs(let entry):
      try database.run(
        "INSERT OR REPLACE INTO specs (number, miner, batch, specs) VALUES (?, ?, ?, ?)",
        .integer(Int64(clamping: entry.number)), .text(entry.specs.minerHotkey), .text(entry.specs.batchID),
        .blob(entry.specs.specs))
    case .dropSpecs(let number):
      try database.run("DELETE FROM specs WHERE number = ?", .integer(Int64(clamping: number)))
    case .insertCheat(let report, let at):
      try database.run(
        "INSERT OR IGNORE INTO cheats (number, signature_hash, received_at, body) VALUES (?, ?, ?, ?)",
        .integer(Int64(clamping: report.number)), .blob(report.signatureHash), .integer(at.milliseconds),
        .blob(report.body))
    case .dropCheat(let number):
      try database.run("DELETE FROM cheats WHERE number = ?", .integer(Int64(clamping: number)))
    case .close(let job, let at):
      try database.run(
        "UPDATE jobs SET phase = ?, closed_at = ?, body = NULL WHERE uuid = ?", .phase(.closed),
        .integer(at.milliseconds), .text(job.description))
    }
  }

  // MARK: Reading

  /// What Uplink must know when it starts: every open job, and those closed since `recently`.
  public func load(closedSince recently: WallTime) throws(StoreError) -> StoredState {
    var jobs: [StoredJob] = []
    let rows = try database.statement(
      """
      SELECT uuid, phase, limit_seconds, deadline_boot, deadline_boot_id, deadline_wall, command_pid,
        command_start, command_boot_id, exit_stored, signature_hash,
        (SELECT sum(1 << status) FROM updates WHERE job = jobs.id)
      FROM jobs WHERE phase < 3 OR (phase = 3 AND closed_at > ?) ORDER BY id
      """)
    try rows.bind([.integer(recently.milliseconds)])
    while try rows.step() {
      guard let job = JobID(rows.text(0)), let phase = JobPhase(rawValue: UInt8(clamping: rows.integer(1)))
      else {
        throw StoreError(
          file: database.file, action: "reading the open jobs",
          message: "the job \(rows.text(0)) is not as hordelink writes it: restore a backup", code: 0)
      }
      jobs.append(
        StoredJob(
          job: job, phase: phase, statuses: JobStatusSet(rawValue: UInt16(clamping: rows.integer(11))),
          limitSeconds: Int(rows.integer(2)), deadline: deadline(rows), command: command(rows),
          exitStored: rows.integer(9) != 0, signatureHash: rows.blob(10)))
    }
    return StoredState(
      jobs: jobs, nextUpdate: UpdateID(try number("SELECT coalesce(max(id), 0) + 1 FROM updates")),
      queued: Int(try number("SELECT count(*) FROM updates WHERE state = 0")),
      dead: Int(try number("SELECT count(*) FROM updates WHERE state = 2")), specs: try specs(),
      cheats: try cheats())
  }

  private func specs() throws(StoreError) -> [SpecsEntry] {
    let rows = try database.statement("SELECT number, miner, batch, specs FROM specs ORDER BY number")
    var entries: [SpecsEntry] = []
    while try rows.step() {
      let specs = MachineSpecs(minerHotkey: rows.text(1), batchID: rows.text(2), specs: rows.blob(3) ?? [])
      entries.append(SpecsEntry(number: UInt64(clamping: rows.integer(0)), specs: specs))
    }
    return entries
  }

  private func cheats() throws(StoreError) -> [CheatReport] {
    let rows = try database.statement("SELECT number, signature_hash, body FROM cheats ORDER BY number")
    var reports: [CheatReport] = []
    while try rows.step() {
      reports.append(
        CheatReport(
          number: UInt64(clamping: rows.integer(0)), body: rows.blob(2) ?? [], signatureHash: rows.blob(1) ?? []))
    }
    return reports
  }

  private func deadline(_ row: Statement) -> Deadline? {
    guard let boot = row.optionalInteger(3) else { return nil }
    return Deadline(
      boot: Instant(nanoseconds: boot), bootID: row.text(4), wall: WallTime(milliseconds: row.integer(5)))
  }

  private func command(_ row: Statement) -> CommandRecord? {
    guard let pid = row.optionalInteger(6) else { return nil }
    return CommandRecord(
      pid: Int32(clamping: pid), startTime: UInt64(clamping: row.integer(7)), bootID: row.text(8))
  }

  private func number(_ sql: String) throws(StoreError) -> Int64 {
    let row = try database.statement(sql)
    defer { row.reset() }
    return try row.step() ? row.integer(0) : 0
  }

  /// The updates that wait for the facilitator behind that number, in order.
  ///
  /// - Parameters:
  ///   - limit: how many at most.
  ///   - bytes: how many bytes of metadata at most, though always one update.
  /// - Returns: them, and whether there are more.
  public func waiting(
    after id: UpdateID, limit: Int, bytes: Int
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    let rows = try database.statement(
      """
      SELECT updates.id, uuid, status, metadata, attempts FROM updates JOIN jobs ON jobs.id = updates.job
      WHERE state = 0 AND updates.id > ? ORDER BY updates.id LIMIT ?
      """)
    defer { rows.reset() }
    try rows.bind([.integer(id.number), .integer(Int64(limit) + 1)])
    var entries: [OutboxEntry] = []
    var size = 0
    while try rows.step() {
      guard entries.count < limit, size < bytes else { return (entries, true) }
      guard let job = JobID(rows.text(1)), let status = JobStatus(rawValue: UInt8(clamping: rows.integer(2)))
      else { continue }
      let metadata = rows.blob(3)
      size += metadata?.count ?? 0
      entries.append(
        OutboxEntry(
          id: UpdateID(rows.integer(0)), job: job, status: status, metadata: metadata,
          attempts: Int(rows.integer(4))))
    }
    return (entries, false)
  }

  /// The request of a job, exactly as received; nil when it is closed or unknown.
  public func body(of job: JobID) throws(StoreError) -> [UInt8]? {
    let row = try database.statement("SELECT body FROM jobs WHERE uuid = ?")
    try row.bind([.text(job.description)])
    defer { row.reset() }
    return try row.step() ? row.blob(0) : nil
  }

  /// Whether a job of that uuid is on record, and whether one of another uuid has that signature.
  public func lookUp(
    _ job: JobID, signatureHash: [UInt8]?
  ) throws(StoreError) -> (known: Bool, replay: Bool) {
    let row = try database.statement(
      """
      SELECT EXISTS (SELECT 1 FROM jobs WHERE uuid = ?1),
        EXISTS (SELECT 1 FROM jobs WHERE signature_hash = ?2 AND uuid <> ?1)
      """)
    try row.bind([.text(job.description), SQLValue(signatureHash)])
    defer { row.reset() }
    guard try row.step() else { return (false, false) }
    return (row.integer(0) != 0, row.integer(1) != 0)
  }
}

extension SQLValue {
  fileprivate static func phase(_ phase: JobPhase) -> SQLValue { .integer(Int64(phase.rawValue)) }
  fileprivate static func optional(_ number: Int32?) -> SQLValue {
    number.map { .integer(Int64($0)) } ?? .null
  }
}
