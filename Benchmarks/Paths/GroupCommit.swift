import Decisions
import Glibc
import Messages
import Platform

/// How many updates a second the Store stores, by how many go into a transaction: beside hordelink-bench-floor's figures
/// of SQLite itself.
enum GroupCommit {
  private static let repetitions = 5
  /// Jobs that report at the same time, each with all of these.
  private static let openJobs = 1000
  private static let statuses: [JobStatus] = [.received] + Sample.statuses + [.streamingReady]

  /// Rows of a transaction, and bytes of a row's metadata, that are measured unless others are asked for.
  static let batches = [1, 8, 64, 512, 4096]
  static let sizes = [0, 200, 1024]

  /// Prints the figure of that batch and size as a JSON line.
  static func measure(batch: Int, metadata: Int, seconds: Double) throws {
    let values = try rowsASecond(batch: batch, metadata: metadata, seconds: seconds / Double(repetitions))
    let list = values.map { "\(Int($0))" }.joined(separator: ",")
    print(
      #"{"benchmark":"group-commit","subject":"hordelink","#
        + #""parameters":{"batch":\#(batch),"metadata":\#(metadata),"deletes":false},"#
        + #""figure":"rows a second","unit":"1/s","values":[\#(list)]}"#)
    fflush(nil)
  }

  private static func rowsASecond(batch: Int, metadata: Int, seconds: Double) throws -> [Double] {
    let rig = try StoreRig(filled: false)
    let json = metadata > 0 ? Array(repeating: UInt8(ascii: "x"), count: metadata) : nil
    var row = 0
    return try (0..<repetitions).map { _ in
      var elapsed: Int64 = 0
      var rows = 0
      while Double(elapsed) < seconds * 1e9 {
        let entries = try (0..<batch).map { _ in
          defer { row += 1 }
          return try entry(row, json, rig)
        }
        let start = Clock.bootNanoseconds
        try rig.transact(entries)
        elapsed += Clock.bootNanoseconds - start
        rows += batch
      }
      return Double(rows) / (Double(elapsed) / 1e9)
    }
  }

  /// The update of that number, whose job is made where it is the first of many.
  private static func entry(_ row: Int, _ metadata: [UInt8]?, _ rig: StoreRig) throws -> StoreOperation {
    let rowsOfJobs = openJobs * statuses.count
    // Behind those that the record has from the start.
    let first = 1_000_000 + row / rowsOfJobs * openJobs
    if row % rowsOfJobs == 0 {
      try rig.transact((0..<openJobs).map { StoreRig.newJob(Sample.job(first + $0)) })
    }
    return .insertUpdate(
      OutboxEntry(
        id: UpdateID(Int64(row + 1)), job: Sample.job(first + row % openJobs),
        status: statuses[row % rowsOfJobs / openJobs], metadata: metadata, storedAt: StoreRig.now))
  }
}
