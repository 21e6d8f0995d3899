import Decisions
import Glibc
import Messages
import Platform

/// The durable record of jobs and updates: an SQLite database, and what can be asked of it.
///
/// Confined to one thread at a time; every call blocks until the disk has answered.
public final class Store {
  let database: Database
  /// The rows of jobs that something was written about lately.
  private var rows: [JobID: Int64] = [:]

  /// Opens the record in that file, which is made where there is none. A damaged one is never replaced, and what is in
  /// it is on the disk before any of it counts.
  public init(file: String) throws(StoreError) {
    if access(file, F_OK) != 0 { try Self.make(file) }
    var status = stat()
    // SQLite would take an empty file for a new database.
    if stat(file, &status) == 0, status.st_size < Self.shortestFile {
      throw .damaged(file, "it has \(status.st_size) bytes, which is less than any record")
    }
    database = try Database(file: file, mustExist: true)
    try database.makeDurable()
    try Schema.prepare(database)
  }

  /// One page of the smallest size. Source: https://sqlite.org/fileformat2.html#pages
  private static let shortestFile = 512

  /// Makes an empty record. It gets its name once it is whole: a file without a record in it is damage, always.
  private static func make(_ file: String) throws(StoreError) {
    guard access(file + "-wal", F_OK) != 0 else { throw .damaged(file, "it is gone, and its log is still there") }
    let new = file + ".new"
    for name in [new, new + "-wal", new + "-shm"] { unlink(name) }
    try begin(new)
    do throws(SystemError) {
      guard rename(new, file) == 0 else { throw SystemError("rename", file) }
      try Files.syncDirectory(of: file)
    } catch {
      throw StoreError(file: file, action: "making the database", message: error.description, code: 0)
    }
  }

  private static func begin(_ file: String) throws(StoreError) {
    let database = try Database(file: file)
    try Schema.prepare(database, isNew: true)
    // Closing does it too, and does not say when it fails.
    try database.checkpoint()
  }

  // MARK: Writing

  /// Does all of `body` in one transaction, durable when this returns: together or not at all. What is read in
  /// it sees what was written in it before.
  public func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    try database.run("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try database.run("COMMIT")
      return result
    } catch {
      // Some errors have rolled back already, and then this one fails; the first error is what matters.
      try? database.execute("ROLLBACK")
      rows = [:]
      throw error
    }
  }

  /// How many rows of jobs are remembered.
  private static let rememberedRows = 16_384

  /// The row of a job; NULL where there is none.
  func row(of job: JobID) throws(StoreError) -> SQLValue {
    if let row = rows[job] { return .integer(row) }
    let found = try database.statement("SELECT id FROM jobs WHERE uuid = ?")
    defer { found.reset() }
    try found.bind([.text(job.description)])
    guard try found.step() else { return .null }
    let row = found.integer(0)
    remember(job, row: row)
    return .integer(row)
  }

  func remember(_ job: JobID, row: Int64) {
    if rows.count >= Self.rememberedRows { rows = [:] }
    rows[job] = row
  }

  /// Rows have been deleted.
  func forgetRows() { rows = [:] }

  // MARK: Reading

  /// What Uplink must know when it starts.
  ///
  /// - Parameters:
  ///   - recently: jobs that ended since are among it.
  ///   - bootID: of the boot that is running: jobs of it whose command may still run are among it.
  public func load(endedSince recently: WallTime, bootID: String) throws(StoreError) -> StoredState {
    let newest = max(try newestNumber(in: "updates"), try newestNumber(in: "for_hook"))
    var jobs = try self.jobs("jobs.phase < 2", [])
    // None is in a phase that there is not, and would be forgotten.
    _ = try self.jobs("jobs.phase >= 2 AND jobs.phase > 3 AND ended_at IS NULL", [])
    jobs += try self.jobs("jobs.phase >= 2 AND ended_at > ?", [.integer(recently.milliseconds)])
    let known = Set(jobs.map(\.job))
    // Not those of tasks: what put one into its queue ended soon after, and no exit of it is ever stored.
    jobs += try self.jobs(
      """
      jobs.phase >= 2 AND exit_stored = 0 AND is_task = 0 AND command_pid IS NOT NULL AND command_boot_id = ?
        AND ended_at > ?
      """,
      [.text(bootID), .integer((recently - .seconds(Self.leftoverSeconds)).milliseconds)]
    ).filter { !known.contains($0.job) }
    let (queued, queuedBytes) = try totals(of: "updates", "state = 0")
    let (dead, deadBytes) = try totals(of: "updates", "state = 2")
    let (forHook, bytesForHook) = try totals(of: "for_hook")
    return StoredState(
      jobs: jobs,
      // What waits for the hook may be the newest there is when the updates of its job have been forgotten.
      nextUpdate: UpdateID(newest).next,
      queued: queued, dead: dead, bytes: queuedBytes + deadBytes,
      isRestored: try number("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'restored')") != 0,
      specs: try specs(), cheats: try cheats(),
      lastNumber: UInt64(
        clamping: try number(
          "SELECT max((SELECT coalesce(max(number), 0) FROM specs), (SELECT coalesce(max(number), 0) FROM cheats))")),
      forHook: forHook, bytesForHook: bytesForHook)
  }

  /// For how long a command that was left running is looked for.
  private static let leftoverSeconds = 86_400

  /// The highest number of an update in that table; 0 when it is empty.
  private func newestNumber(in table: StaticString) throws(StoreError) -> Int64 {
    let row = try database.statement(
      "SELECT (SELECT min(id) FROM \(table)) AS id, (SELECT max(id) FROM \(table)) AS id")
    defer { row.reset() }
    guard try row.step(), !row.isNull(0) else { return 0 }
    _ = try row.row(of: table, number: 0)
    return try row.row(of: table, number: 1).number
  }

  /// How many updates there are in that state, and what they take.
  private func totals(
    of table: String, _ condition: String = "true"
  ) throws(StoreError) -> (rows: Int, bytes: Int) {
    let row = try database.statement(
      "SELECT count(*), coalesce(sum(coalesce(length(metadata), 0)), 0) FROM \(table) WHERE \(condition)")
    defer { row.reset() }
    guard try row.step() else { return (0, 0) }
    // Counts of rows and bytes that are there.
    let rows = Int(row.integer(0))
    return (rows, Int(row.integer(1)) + rows * OutboxEntry.overhead)
  }

  /// A job, whatever has become of it; nil when it is not on record.
  public func job(_ id: JobID) throws(StoreError) -> StoredJob? {
    try jobs("uuid = ?", [.text(id.description)]).first
  }

  private func jobs(_ condition: String, _ values: [SQLValue]) throws(StoreError) -> [StoredJob] {
    var jobs: [StoredJob] = []
    let rows = try database.statement(
      """
      SELECT uuid, phase, limit_seconds, deadline_boot, deadline_boot_id, deadline_wall, command_pid,
        command_start, command_boot_id, exit_stored, signature_hash,
        (SELECT group_concat(status) FROM (
          SELECT CASE WHEN state IN (0, 1, 2, 3) THEN status ELSE 'state ' || state END AS status
          FROM updates WHERE job = jobs.id ORDER BY id)),
        coalesce(length(body), 0), received_at, is_task, id
      FROM jobs WHERE \(condition) ORDER BY id
      """)
    try rows.bind(values)
    while try rows.step() {
      let row = try rows.row(of: "jobs", number: 15, Int64.min...Int64.max)
      let job = try row.job(0)
      jobs.append(
        StoredJob(
          job: job, receivedAt: try row.time(13), phase: try row.phase(1), statuses: try row.statuses(11, of: job),
          limitSeconds: Int(try row.integer(2, Row.limits)), deadline: try deadline(row), isTask: try row.bool(14),
          command: try command(row), exitStored: try row.bool(9), signatureHash: rows.blob(10),
          bodyBytes: Int(rows.integer(12))))
    }
    return jobs
  }

  private func specs() throws(StoreError) -> [SpecsEntry] {
    let rows = try database.statement("SELECT number, miner, batch, specs FROM specs ORDER BY number")
    var entries: [SpecsEntry] = []
    while try rows.step() {
      let row = try rows.row(of: "specs", number: 0)
      let specs = MachineSpecs(minerHotkey: rows.text(1), batchID: rows.text(2), specs: rows.blob(3) ?? [])
      entries.append(SpecsEntry(number: UInt64(row.number), specs: specs))
    }
    return entries
  }

  private func cheats() throws(StoreError) -> [CheatReport] {
    let rows = try database.statement(
      "SELECT number, signature_hash, body FROM cheats WHERE body <> x'' ORDER BY number")
    var reports: [CheatReport] = []
    while try rows.step() {
      let row = try rows.row(of: "cheats", number: 0)
      reports.append(
        CheatReport(number: UInt64(row.number), body: rows.blob(2) ?? [], signatureHash: rows.blob(1) ?? []))
    }
    return reports
  }

  private func deadline(_ row: Row) throws(StoreError) -> Deadline? {
    guard let boot = try row.optionalInteger(3, Row.instants) else { return nil }
    return Deadline(boot: Instant(nanoseconds: boot), bootID: row.statement.text(4), wall: try row.time(5))
  }

  private func command(_ row: Row) throws(StoreError) -> CommandRecord? {
    guard let pid = try row.optionalInteger(6, 1...Int64(Int32.max)) else { return nil }
    return CommandRecord(
      pid: Int32(pid), startTime: UInt64(try row.integer(7, 0...Int64.max)), bootID: row.statement.text(8))
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
  ///   - passingOver: leaves out those of jobs of which an update waits before that number.
  /// - Returns: them, and whether there are more.
  public func waiting(
    after id: UpdateID, limit: Int, bytes: Int, passingOver: Bool = false
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    guard passingOver else {
      return try entries(
        """
        SELECT updates.id, uuid AS job, status, metadata, stored_at, attempts
        FROM updates LEFT JOIN jobs ON jobs.id = updates.job
        WHERE state = 0 AND updates.id > ? ORDER BY updates.id LIMIT ?
        """, of: "updates", after: id, limit: limit, bytes: bytes)
    }
    return try entries(
      """
      SELECT updates.id, uuid AS job, status, metadata, stored_at, attempts
      FROM updates LEFT JOIN jobs ON jobs.id = updates.job
      WHERE state = 0 AND updates.id > ?1 AND NOT EXISTS (
        SELECT 1 FROM updates AS older WHERE older.job = updates.job AND older.state = 0 AND older.id <= ?1)
      ORDER BY updates.id LIMIT ?2
      """, of: "updates", after: id, limit: limit, bytes: bytes)
  }

  /// The same of the updates that wait for the hook.
  public func waitingForHook(
    after id: UpdateID, limit: Int, bytes: Int
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    try entries(
      "SELECT id, job, status, metadata, stored_at, 0 FROM for_hook WHERE id > ? ORDER BY id LIMIT ?", of: "for_hook",
      after: id, limit: limit, bytes: bytes)
  }

  private func entries(
    _ sql: String, of table: StaticString, after id: UpdateID, limit: Int, bytes: Int
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    let rows = try database.statement(sql)
    defer { rows.reset() }
    try rows.bind([.integer(id.number), .integer(Int64(limit) + 1)])
    var entries: [OutboxEntry] = []
    var size = 0
    while try rows.step() {
      guard entries.count < limit, size < bytes else { return (entries, true) }
      let row = try rows.row(of: table, number: 0)
      let metadata = rows.blob(3)
      size += metadata?.count ?? 0
      entries.append(
        OutboxEntry(
          id: UpdateID(row.number), job: try row.job(1), status: try row.status(2), metadata: metadata,
          storedAt: try row.time(4), attempts: try row.count(5)))
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

  /// Whether a cheat report with that signature is on record, or was.
  public func knowsCheat(signatureHash: [UInt8]) throws(StoreError) -> Bool {
    let row = try database.statement("SELECT 1 FROM cheats WHERE signature_hash = ?")
    try row.bind([.blob(signatureHash)])
    defer { row.reset() }
    return try row.step()
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
