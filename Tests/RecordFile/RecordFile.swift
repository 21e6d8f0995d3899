import CSQLite

/// A record's file, opened behind the record's back for one text of SQL.
public struct RecordFile {
  /// Why SQLite does not do it, in its words.
  public struct Refusal: Error, CustomStringConvertible {
    public let description: String
  }

  public let path: String

  public init(_ path: String) { self.path = path }

  /// Runs statements.
  public func run(_ sql: String) throws {
    try withHandle { handle in
      guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw refusal(handle, sql) }
    }
  }

  /// The first column of each row that a statement gives, as text; what is null is empty.
  public func texts(_ sql: String) throws -> [String] {
    try withHandle { handle in
      var statement: OpaquePointer?
      defer { sqlite3_finalize(statement) }
      guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw refusal(handle, sql) }
      var texts: [String] = []
      while true {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: texts.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
        case SQLITE_DONE: return texts
        default: throw refusal(handle, sql)
        }
      }
    }
  }

  /// The one number that a statement gives.
  public func number(_ sql: String) throws -> Int64 {
    let texts = try texts(sql)
    guard texts.count == 1, let number = Int64(texts[0]) else {
      throw Refusal(description: "\(sql) gives \(texts), which is not one number")
    }
    return number
  }

  private func withHandle<Result>(_ body: (OpaquePointer?) throws -> Result) throws -> Result {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw refusal(handle, "open") }
    sqlite3_busy_timeout(handle, 5000)
    return try body(handle)
  }

  private func refusal(_ handle: OpaquePointer?, _ sql: String) -> Refusal {
    Refusal(description: "\(path): \(sql): \(handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory")")
  }
}
