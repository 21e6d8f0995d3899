import CSQLite
import Glibc
import Messages

/// Why the record cannot be read or written.
public struct StoreError: Error, Hashable, CustomStringConvertible {
  /// The database's file.
  public var file: String
  /// What was being done.
  public var action: String
  public var message: String
  /// SQLite's extended result code (https://sqlite.org/rescode.html); 0 when SQLite had no part in it.
  public var code: Int32

  public var description: String { "\(file): \(action): \(message)\(advice)" }

  private var advice: String {
    guard isDamaged else { return "" }
    return
      ": the file is damaged and is left as it is; put a backup in its place (hordelinkctl backup --help), or move "
      + "it away, with its -wal, to begin with an empty record, which forgets the updates and jobs in it"
  }

  /// What is in the file is not a database, or no longer a whole one. Source: https://sqlite.org/rescode.html#corrupt
  public var isDamaged: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB].contains(code & 0xff) }

  /// Damage that SQLite would not see.
  static func damaged(_ file: String, _ how: String, action: String = "opening the database") -> StoreError {
    StoreError(file: file, action: action, message: how, code: SQLITE_CORRUPT)
  }

  /// The disk failed. Source: https://sqlite.org/rescode.html#ioerr
  var isOfDisk: Bool { code & 0xff == SQLITE_IOERR }

  /// The disk has no room. Source: https://sqlite.org/rescode.html#full
  public var isFull: Bool { code & 0xff == SQLITE_FULL }
}

/// One connection to an SQLite database. Confined to one thread at a time.
///
/// The settings are those of the promise that what is acknowledged survives power loss: WAL with
/// synchronous=FULL syncs the log at every commit (https://sqlite.org/pragma.html#pragma_synchronous). After an error
/// of the disk nothing is tried again here, and nothing is checkpointed: who opens the file next begins with
/// `makeDurable` (docs/decisions/0020-synced-at-open.md).
final class Database {
  let file: String
  let handle: OpaquePointer
  private var statements: [String: Statement] = [:]
  private var written: [UnsafePointer<UInt8>: Statement] = [:]

  /// Opens the file, which is made where there is none.
  ///
  /// - Parameters:
  ///   - mustExist: it is not made.
  ///   - vfs: SQLite's name of what reads and writes the files; nil: the usual one.
  init(file: String, mustExist: Bool = false, vfs: String? = nil) throws(StoreError) {
    self.file = file
    var opened: OpaquePointer?
    let flags =
      SQLITE_OPEN_READWRITE | (mustExist ? 0 : SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(file, &opened, flags, vfs)
    guard code == SQLITE_OK, let opened else {
      let message = String(cString: sqlite3_errstr(code))
      sqlite3_close_v2(opened)
      throw StoreError(file: file, action: "opening the database", message: message, code: code)
    }
    handle = opened
    // Only `hordelinkctl backup` and a person with sqlite3 share the file, and for moments.
    sqlite3_busy_timeout(handle, 5000)
    try execute("PRAGMA journal_mode = WAL")
    try execute("PRAGMA synchronous = FULL")
    try execute("PRAGMA foreign_keys = ON")
    try execute("PRAGMA trusted_schema = OFF")
    checkpointAfterCommits()
  }

  deinit {
    written = [:]
    statements = [:]
    sqlite3_close_v2(handle)
  }

  /// Runs one or more statements whose rows nobody wants.
  func execute(_ sql: String) throws(StoreError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, doing: sql) }
  }

  /// The prepared statement for `sql`, made once and kept. It is reset and has no values bound.
  func statement(_ sql: String) throws(StoreError) -> Statement {
    if let known = statements[sql] {
      known.reset()
      return known
    }
    var prepared: OpaquePointer?
    let code = sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
    guard code == SQLITE_OK, let prepared else { throw error(code, doing: sql) }
    let statement = Statement(prepared, sql: sql, database: self)
    statements[sql] = statement
    return statement
  }

  /// The same for SQL that stands in the program, which is known by its address.
  private func statement(_ sql: StaticString) throws(StoreError) -> Statement {
    if let known = written[sql.utf8Start] {
      known.reset()
      return known
    }
    let statement = try statement("\(sql)")
    written[sql.utf8Start] = statement
    return statement
  }

  /// Runs a statement whose rows nobody wants, with these values.
  func run(_ sql: StaticString, _ values: SQLValue...) throws(StoreError) {
    let statement = try statement(sql)
    try statement.bind(values)
    while try statement.step() {}
    // Values may be megabytes.
    statement.reset()
  }

  /// The number of the row that was inserted last.
  var lastRow: Int64 { sqlite3_last_insert_rowid(handle) }

  /// Writes all that is committed into a file of its own, in place of an older one of that name, while others go on
  /// reading and writing. Source: https://sqlite.org/lang_vacuum.html#vacuuminto
  func copy(to other: String) throws(StoreError) {
    unlink(other)
    try run("VACUUM INTO ?", .text(other))
  }

  func error(_ code: Int32, doing action: String) -> StoreError {
    let error = StoreError(file: file, action: action, message: String(cString: sqlite3_errmsg(handle)), code: code)
    // Nobody knows what is on the disk, or what the file is: its log is the only witness, and closing would remove it.
    if error.isOfDisk || error.isDamaged { leaveLogAtClose() }
    return error
  }
}

/// A value on its way into a statement.
enum SQLValue {
  case null
  case integer(Int64)
  case text(String)
  case blob([UInt8])

  init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  init(_ bytes: [UInt8]?) { self = bytes.map { .blob($0) } ?? .null }
}

/// A prepared statement. Its rows are read one `step` at a time.
final class Statement {
  private let handle: OpaquePointer
  private let sql: String
  private unowned let database: Database

  fileprivate init(_ handle: OpaquePointer, sql: String, database: Database) {
    self.handle = handle
    self.sql = sql
    self.database = database
  }

  deinit { sqlite3_finalize(handle) }

  /// Gives up the row it is on, and with it the read lock that would keep the log from being checkpointed.
  func reset() {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  func bind(_ values: [SQLValue]) throws(StoreError) {
    for (index, value) in values.enumerated() {
      let position = Int32(index + 1)
      let code =
        switch value {
        case .null: sqlite3_bind_null(handle, position)
        case .integer(let number): sqlite3_bind_int64(handle, position, number)
        // SQLITE_TRANSIENT: SQLite makes its own copy.
        case .text(let text):
          sqlite3_bind_text(handle, position, text, Int32(text.utf8.count), transient)
        case .blob(let bytes):
          bytes.withUnsafeBytes {
            sqlite3_bind_blob64(
              handle, position, $0.baseAddress ?? UnsafeRawPointer(bitPattern: 1), UInt64($0.count), transient)
          }
        }
      guard code == SQLITE_OK else { throw database.error(code, doing: sql) }
    }
  }

  /// That its rows hold what hordelink never writes.
  func damaged(_ how: String) -> StoreError {
    database.leaveLogAtClose()
    return .damaged(database.file, how, action: "reading the database")
  }

  /// Moves to the next row; false when there is none, and then the statement is reset.
  func step() throws(StoreError) -> Bool {
    let code = sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    // Reset gives up the read lock; its own code is that of the step.
    sqlite3_reset(handle)
    guard code == SQLITE_DONE else { throw database.error(code, doing: sql) }
    return false
  }

  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
  func isInteger(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_INTEGER }
  /// A column's name.
  func name(_ column: Int32) -> String { sqlite3_column_name(handle, column).map { String(cString: $0) } ?? "?" }
  func text(_ column: Int32) -> String {
    guard let start = sqlite3_column_text(handle, column) else { return "" }
    return String(
      decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))), as: UTF8.self)
  }
  /// A job by its uuid.
  func job(_ column: Int32) -> JobID? {
    guard let start = sqlite3_column_text(handle, column) else { return nil }
    return JobID(utf8: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }
  func blob(_ column: Int32) -> [UInt8]? {
    if isNull(column) { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    return Array(UnsafeRawBufferPointer(start: sqlite3_column_blob(handle, column), count: count))
  }

  private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}
