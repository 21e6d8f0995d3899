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

  /// The dead letters among these, each with what has become of its job's terminal status.
  public func findDead(_ ids: [UpdateID]) throws(StoreError) -> [FoundDeadLetter] {
    let terminal = JobStatus.allCases.filter(\.isTerminal).map { String($0.rawValue) }.joined(separator: ", ")
    let rows = try database.statement(
      """
      SELECT updates.id, uuid AS job, updates.status, updates.metadata, updates.stored_at, jobs.id, phase,
        other.id, other.state, other.attempts
      FROM updates LEFT JOIN jobs ON jobs.id = updates.job
      LEFT JOIN updates AS other
        ON other.job = updates.job AND other.id <> updates.id AND other.status IN (\(terminal))
      WHERE updates.id = ? AND updates.state = 2
      """)
    defer { rows.reset() }
    var found: [FoundDeadLetter] = []
    for id in ids {
      rows.reset()
      try rows.bind([.integer(id.number)])
      guard try rows.step() else { continue }
      let row = try rows.row(of: "updates", number: 0)
      let entry = OutboxEntry(
        id: id, job: try row.job(1), status: try row.status(2), metadata: rows.blob(3), storedAt: try row.time(4))
      found.append(FoundDeadLetter(entry: entry, terminal: try Self.terminal(of: entry.status, rows)))
    }
    return found
  }

  private static func terminal(
    of status: JobStatus, _ rows: Statement
  ) throws(StoreError) -> FoundDeadLetter.Terminal {
    let phase = try rows.row(of: "jobs", number: 5, Int64.min...Int64.max).phase(6)
    let other = rows.isNull(7) ? nil : try rows.row(of: "updates", number: 7)
    let state = try other?.integer(8, Row.states)
    let attempts = try other?.count(9) ?? 0
    if status.isTerminal || phase.rawValue < JobPhase.ended.rawValue { return .none }
    // An accepted one is forgotten some days after its job was closed.
    guard let other, let state else { return .taken }
    switch state {
    case 0: return .waiting(UpdateID(other.number))
    case 2, 3: return attempts > Outbox.retryDelays.count ? .none : .taken
    default: return .taken
    }
  }
}
