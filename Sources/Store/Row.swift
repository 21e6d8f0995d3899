import CSQLite
import Decisions
import Messages

/// The row that a statement is on. A value that hordelink never writes is damage, and is named with table, column and row.
struct Row {
  let statement: Statement
  let table: StaticString
  /// Its number in the table.
  let number: Int64

  /// Milliseconds from 1970 to the end of the year 9999.
  static let times: ClosedRange<Int64> = 0...253_402_300_799_999
  /// Numbers of rows that are counted up from 1: so many are never written, and more can be counted from each.
  static let numbers: ClosedRange<Int64> = 1...1 << 62
  /// Of an update: see `Schema`.
  static let states: ClosedRange<Int64> = 0...3
  static let counts: ClosedRange<Int64> = 0...Int64(Int32.max)
  /// A hundred years, in seconds.
  static let limits: ClosedRange<Int64> = 0...3_153_600_000
  /// The same and what a machine may be up before, in nanoseconds.
  static let instants: ClosedRange<Int64> = 0...4_000_000_000_000_000_000

  func integer(_ column: Int32, _ range: ClosedRange<Int64>) throws(StoreError) -> Int64 {
    let value = statement.integer(column)
    guard statement.isInteger(column), range.contains(value) else { throw damaged(column, "\(value)") }
    return value
  }

  func optionalInteger(_ column: Int32, _ range: ClosedRange<Int64>) throws(StoreError) -> Int64? {
    statement.isNull(column) ? nil : try integer(column, range)
  }

  func bool(_ column: Int32) throws(StoreError) -> Bool { try integer(column, 0...1) != 0 }
  func count(_ column: Int32) throws(StoreError) -> Int { Int(try integer(column, Self.counts)) }
  func time(_ column: Int32) throws(StoreError) -> WallTime {
    WallTime(milliseconds: try integer(column, Self.times))
  }

  func job(_ column: Int32) throws(StoreError) -> JobID {
    guard let job = statement.job(column) else { throw damaged(column, "'\(statement.text(column).prefix(64))'") }
    return job
  }

  func status(_ column: Int32) throws(StoreError) -> JobStatus {
    let value = statement.integer(column)
    guard let status = UInt8(exactly: value).flatMap(JobStatus.init(rawValue:)) else {
      throw damaged(column, "\(value)")
    }
    return status
  }

  func phase(_ column: Int32) throws(StoreError) -> JobPhase {
    let value = statement.integer(column)
    guard let phase = UInt8(exactly: value).flatMap(JobPhase.init(rawValue:)) else {
      throw damaged(column, "\(value)")
    }
    return phase
  }

  /// The statuses of a job's updates, listed in the column; or `state` with the number of one that there is not.
  func statuses(_ column: Int32, of job: JobID) throws(StoreError) -> [JobStatus] {
    var statuses: [JobStatus] = []
    for text in statement.text(column).split(separator: ",") {
      guard let status = UInt8(text).flatMap(JobStatus.init(rawValue:)) else {
        let words = text.split(separator: " ")
        let name = words.count == 2 ? "state" : "status"
        throw statement.damaged("updates.\(name) of a row of the job \(job) is \(words.last ?? "")")
      }
      statuses.append(status)
    }
    return statuses
  }

  private func damaged(_ column: Int32, _ value: String) -> StoreError {
    statement.damaged(
      "\(table).\(statement.name(column)) of row \(number) is \(statement.isNull(column) ? "null" : value)")
  }
}

extension Statement {
  /// The row that it is on, whose number is in that column.
  func row(of table: StaticString, number column: Int32, _ range: ClosedRange<Int64> = Row.numbers) throws(StoreError)
    -> Row
  {
    let row = Row(statement: self, table: table, number: integer(column))
    _ = try row.integer(column, range)
    return row
  }
}
