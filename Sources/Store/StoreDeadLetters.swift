import Decisions
import Messages

// Dead letters: what was given up on, and why.
extension Store {
  /// The dead letters behind that number, in order.
  ///
  /// - Parameter limit: how many at most.
  public func deadLetters(after id: UpdateID, limit: Int) throws(StoreError) -> [DeadLetter] {
    let rows = try database.statement(
      """
      SELECT updates.id, uuid AS job, status, stored_at, settled_at, coalesce(length(metadata), 0)
      FROM updates LEFT JOIN jobs ON jobs.id = updates.job
      WHERE state = 2 AND updates.id > ? ORDER BY updates.id LIMIT ?
      """)
    try rows.bind([.integer(id.number), .integer(Int64(limit))])
    var letters: [DeadLetter] = []
    while try rows.step() {
      let row = try rows.row(of: "updates", number: 0)
      letters.append(
        DeadLetter(
          id: Int(row.number), job: try row.job(1), status: try row.status(2),
          storedAt: Int(try row.integer(3, Row.times)), deadSince: Int(try row.optionalInteger(4, Row.times) ?? 0),
          bytes: Int(rows.integer(5)), history: []))
    }
    for index in letters.indices { letters[index].history = try history(letters[index].id) }
    return letters
  }

  private func history(_ id: Int) throws(StoreError) -> [DeadLetter.Attempt] {
    let rows = try database.statement(
      "SELECT at, error, rowid FROM attempts WHERE update_id = ? ORDER BY rowid DESC LIMIT \(DeadLetter.attemptsTold)")
    try rows.bind([.integer(Int64(id))])
    var attempts: [DeadLetter.Attempt] = []
    while try rows.step() {
      let row = try rows.row(of: "attempts", number: 2, Int64.min...Int64.max)
      attempts.append(DeadLetter.Attempt(at: Int(try row.integer(0, Row.times)), error: rows.text(1)))
    }
    return attempts.reversed()
  }

  /// The dead letters among these, each with whether its job's terminal status is with the facilitator or may be.
  public func findDead(_ ids: [UpdateID]) throws(StoreError) -> [FoundDeadLetter] {
    let terminal = JobStatus.allCases.filter(\.isTerminal).map { String($0.rawValue) }.joined(separator: ", ")
    let row = try database.statement(
      """
      SELECT uuid, status, metadata, stored_at,
        status NOT IN (\(terminal)) AND jobs.phase >= 2 AND NOT EXISTS (
          SELECT 1 FROM updates AS other WHERE other.job = updates.job AND other.status IN (\(terminal))
            AND other.state IN (2, 3) AND other.attempts > \(Outbox.retryDelays.count))
      FROM updates JOIN jobs ON jobs.id = updates.job WHERE updates.id = ? AND state = 2
      """)
    var found: [FoundDeadLetter] = []
    for id in ids {
      row.reset()
      try row.bind([.integer(id.number)])
      guard try row.step() else { continue }
      let letter = Row(statement: row, table: "updates", number: id.number)
      found.append(
        FoundDeadLetter(
          entry: OutboxEntry(
            id: id, job: try letter.job(0), status: try letter.status(1), metadata: row.blob(2),
            storedAt: try letter.time(3)),
          isTooLate: row.integer(4) != 0))
    }
    row.reset()
    return found
  }
}
