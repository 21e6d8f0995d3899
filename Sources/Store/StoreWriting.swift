import Decisions
import Messages

// What is written to the record.
extension Store {
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
      remember(job.job, row: database.lastRow)
    case .insertUpdate(let entry):
      try database.run(
        "INSERT INTO updates (id, job, status, stored_at, metadata) VALUES (?, ?, ?, ?, ?)", .integer(entry.id.number),
        row(of: entry.job), .integer(Int64(entry.status.rawValue)),
        .integer(entry.storedAt.milliseconds), SQLValue(entry.metadata))
    case .insertForHook(let entry):
      try database.run(
        "INSERT INTO for_hook (id, job, status, stored_at, metadata) VALUES (?, ?, ?, ?, ?)", .integer(entry.id.number),
        .text(entry.job.description), .integer(Int64(entry.status.rawValue)), .integer(entry.storedAt.milliseconds),
        SQLValue(entry.metadata))
    case .dropForHook(let ids):
      for id in ids { try database.run("DELETE FROM for_hook WHERE id = ?", .integer(id.number)) }
    case .setDispatching(let job, let deadline, let isTask):
      try database.run(
        """
        UPDATE jobs SET phase = ?, deadline_boot = ?, deadline_boot_id = ?, deadline_wall = ?, is_task = ? WHERE id = ?
        """, .phase(.dispatching), .integer(deadline.boot.nanoseconds), .text(deadline.bootID),
        .integer(deadline.wall.milliseconds), .integer(isTask ? 1 : 0), row(of: job))
    case .setCommand(let job, let record):
      try database.run(
        "UPDATE jobs SET command_pid = ?, command_start = ?, command_boot_id = ? WHERE id = ?",
        .integer(Int64(record.pid)), .integer(Int64(clamping: record.startTime)), .text(record.bootID),
        row(of: job))
    case .setExit(let job, let exit):
      try database.run(
        "UPDATE jobs SET exit_stored = 1, exit_code = ?, exit_signal = ? WHERE id = ?",
        .optional(exit.code), .optional(exit.signal), row(of: job))
    case .end(let job, let at):
      try database.run(
        "UPDATE jobs SET phase = ?, ended_at = ?, body = NULL WHERE id = ?", .phase(.ended),
        .integer(at.milliseconds), row(of: job))
    case .retire(let id, let at):
      try database.run(
        "UPDATE updates SET state = 1, settled_at = ?, metadata = NULL WHERE id = ?", .integer(at.milliseconds),
        .integer(id.number))
    case .countAttempt(let id, let attempts):
      try database.run(
        "UPDATE updates SET attempts = ? WHERE id = ?", .integer(Int64(attempts)), .integer(id.number))
    case .noteAttempt(let id, let error, let at): try note(error, of: id, at: at)
    case .bury(let id, let attempts, let error, let at):
      try database.run(
        "UPDATE updates SET state = 2, attempts = ?, settled_at = ? WHERE id = ?",
        .integer(Int64(attempts)), .integer(at.milliseconds), .integer(id.number))
      try note(error, of: id, at: at)
    case .revive(let id):
      try database.run(
        "UPDATE updates SET state = 0, attempts = 0, settled_at = NULL WHERE id = ? AND state = 2",
        .integer(id.number))
    case .dropDead(let id, let at):
      try database.run(
        "UPDATE updates SET state = 3, settled_at = ?, metadata = NULL WHERE id = ? AND state = 2",
        .integer(at.milliseconds), .integer(id.number))
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
      try database.run("UPDATE cheats SET body = x'' WHERE number = ?", .integer(Int64(clamping: number)))
    case .close(let job, let at):
      try database.run(
        "UPDATE jobs SET phase = ?, closed_at = ? WHERE id = ?", .phase(.closed), .integer(at.milliseconds),
        row(of: job))
    case .clearRestored: try database.run("DELETE FROM meta WHERE key = 'restored'")
    }
  }

  /// One line of an update's history, which keeps the newest: in an outage there is one a minute, for as long as it
  /// lasts.
  private func note(_ error: String, of id: UpdateID, at: WallTime) throws(StoreError) {
    try database.run(
      "INSERT INTO attempts (update_id, at, error) VALUES (?, ?, ?)", .integer(id.number),
      .integer(at.milliseconds), .text(error))
    try database.run(
      """
      DELETE FROM attempts WHERE update_id = ?1 AND rowid <= (
        SELECT rowid FROM attempts WHERE update_id = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)
      """, .integer(id.number), .integer(Int64(DeadLetter.attemptsTold)))
  }

  /// Forgets the accepted updates of jobs closed before the one time, and jobs closed before the other with all that
  /// is left of them but dead letters; and cheat reports that the hook has taken which came before the other. Only within `transaction`.
  ///
  /// - Parameter limit: how many jobs at most, of each kind.
  /// - Returns: of how many jobs something was forgotten.
  public func expire(
    closedBefore: WallTime, forgottenBefore: WallTime, limit: Int
  ) throws(StoreError) -> Int {
    let old = try ids(
      "SELECT id FROM jobs WHERE phase = 3 AND expired = 0 AND closed_at < ? ORDER BY closed_at LIMIT ?", closedBefore,
      limit)
    for id in old {
      // Dead letters stay until a person decides about them.
      try database.run("DELETE FROM updates WHERE job = ? AND state IN (1, 3)", .integer(id))
      try database.run("UPDATE jobs SET expired = 1 WHERE id = ?", .integer(id))
    }
    let forgotten = try ids(
      """
      SELECT id FROM jobs WHERE expired = 1 AND closed_at < ?
        AND NOT EXISTS (SELECT 1 FROM updates WHERE job = jobs.id) ORDER BY closed_at LIMIT ?
      """, forgottenBefore, limit)
    for id in forgotten { try database.run("DELETE FROM jobs WHERE id = ?", .integer(id)) }
    if !forgotten.isEmpty { forgetRows() }
    try database.run(
      "DELETE FROM cheats WHERE number IN (SELECT number FROM cheats WHERE body = x'' AND received_at < ? LIMIT ?)",
      .integer(forgottenBefore.milliseconds), .integer(Int64(limit)))
    return max(old.count, forgotten.count)
  }

  private func ids(_ sql: String, _ before: WallTime, _ limit: Int) throws(StoreError) -> [Int64] {
    let rows = try database.statement(sql)
    try rows.bind([.integer(before.milliseconds), .integer(Int64(limit))])
    var ids: [Int64] = []
    while try rows.step() { ids.append(rows.integer(0)) }
    return ids
  }
}

extension SQLValue {
  fileprivate static func phase(_ phase: JobPhase) -> SQLValue { .integer(Int64(phase.rawValue)) }
  fileprivate static func optional(_ number: Int32?) -> SQLValue {
    number.map { .integer(Int64($0)) } ?? .null
  }
}
