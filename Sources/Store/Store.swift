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
    var jobs = try self.jobs("jobs.phase < 2", [])
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
      nextUpdate: UpdateID(
        // What waits for the hook may be the newest there is when the updates of its job have been forgotten.
        try number(
          "SELECT max((SELECT coalesce(max(id), 0) FROM updates), (SELECT coalesce(max(id), 0) FROM for_hook)) + 1")),
      queued: queued, dead: dead, bytes: queuedBytes + deadBytes,
      isRestored: try number("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'restored')") != 0,
      specs: try specs(), cheats: try cheats(), forHook: forHook, bytesForHook: bytesForHook)
  }

  /// For how long a command that was left running is looked for.
  private static let leftoverSeconds = 86_400

  /// How many updates there are in that state, and what they take.
  private func totals(
    of table: String, _ condition: String = "true"
  ) throws(StoreError) -> (rows: Int, bytes: Int) {
    let row = try database.statement(
      "SELECT count(*), coalesce(sum(coalesce(length(metadata), 0)), 0) FROM \(table) WHERE \(condition)")
    defer { row.reset() }
    guard try row.step() else { return (0, 0) }
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
        (SELECT group_concat(status) FROM (SELECT status FROM updates WHERE job = jobs.id ORDER BY id)), coalesce(length(body), 0), received_at,
        is_task
      FROM jobs WHERE \(condition) ORDER BY id
      """)
    try rows.bind(values)
    while try rows.step() {
      guard let job = rows.job(0), let phase = JobPhase(rawValue: UInt8(clamping: rows.integer(1)))
      else {
        throw StoreError(
          file: database.file, action: "reading the open jobs",
          message: "the job \(rows.text(0)) is not as hordelink writes it: restore a backup", code: 0)
      }
      jobs.append(
        StoredJob(
          job: job, receivedAt: WallTime(milliseconds: rows.integer(13)), phase: phase,
          statuses: rows.text(11).split(separator: ",").compactMap { UInt8($0).flatMap(JobStatus.init(rawValue:)) },
          limitSeconds: Int(rows.integer(2)), deadline: deadline(rows), isTask: rows.integer(14) != 0,
          command: command(rows),
          exitStored: rows.integer(9) != 0, signatureHash: rows.blob(10), bodyBytes: Int(rows.integer(12))))
    }
    return jobs
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
    try entries(
      """
      SELECT updates.id, uuid, status, metadata, stored_at, attempts FROM updates JOIN jobs ON jobs.id = updates.job
      WHERE state = 0 AND updates.id > ? ORDER BY updates.id LIMIT ?
      """, after: id, limit: limit, bytes: bytes)
  }

  /// The same of the updates that wait for the hook.
  public func waitingForHook(
    after id: UpdateID, limit: Int, bytes: Int
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    try entries(
      "SELECT id, job, status, metadata, stored_at, 0 FROM for_hook WHERE id > ? ORDER BY id LIMIT ?", after: id,
      limit: limit, bytes: bytes)
  }

  private func entries(
    _ sql: String, after id: UpdateID, limit: Int, bytes: Int
  ) throws(StoreError) -> (entries: [OutboxEntry], more: Bool) {
    let rows = try database.statement(sql)
    defer { rows.reset() }
    try rows.bind([.integer(id.number), .integer(Int64(limit) + 1)])
    var entries: [OutboxEntry] = []
    var size = 0
    while try rows.step() {
      guard entries.count < limit, size < bytes else { return (entries, true) }
      guard let job = rows.job(1), let status = JobStatus(rawValue: UInt8(clamping: rows.integer(2)))
      else { continue }
      let metadata = rows.blob(3)
      size += metadata?.count ?? 0
      entries.append(
        OutboxEntry(
          id: UpdateID(rows.integer(0)), job: job, status: status, metadata: metadata,
          storedAt: WallTime(milliseconds: rows.integer(4)), attempts: Int(rows.integer(5))))
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
