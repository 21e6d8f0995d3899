import Decisions
import Foundation
import Messages
import Store
import Testing

/// A damaged record is said to be so, is kept byte for byte, and never gives way to a new one.
@Suite struct DamageTests {
  enum Damage: CaseIterable {
    case empty, stump, truncated, header, missing
  }

  @Test(arguments: Damage.allCases)
  func itIsRefusedAndKept(damage: Damage) throws {
    let record = try TemporaryRecord()
    do {
      let store = try record.open()
      try store.commit((0..<200).map { newJob(job($0)) })
    }
    // Closed, it is one file. A log that is left is what its owner's death leaves.
    let url = URL(filePath: record.file)
    var bytes = try Data(contentsOf: url)
    try #require(bytes.count > 16_384)
    switch damage {
    case .empty: bytes = Data()
    case .stump: bytes = bytes.prefix(100)
    case .truncated: bytes = bytes.prefix(bytes.count / 2)
    case .header: bytes.replaceSubrange(0..<64, with: Data(repeating: 0x55, count: 64))
    case .missing:
      try FileManager.default.removeItem(at: url)
      try Data([1]).write(to: URL(filePath: record.file + "-wal"))
    }
    if damage != .missing { try bytes.write(to: url) }
    let error = #expect(throws: StoreError.self) {
      let store = try record.open()
      _ = try store.load(endedSince: now, bootID: "")
    }
    #expect(error?.isDamaged == true)
    #expect(error.map { "\($0)".contains(record.file) && "\($0)".contains("backup") } == true)
    if damage == .missing {
      #expect(!FileManager.default.fileExists(atPath: record.file))
    } else {
      #expect(try Data(contentsOf: url) == bytes)
    }
  }

  /// What a death while the first record is made leaves behind is no record yet.
  @Test func aHalfMadeRecordIsMadeAgain() throws {
    let record = try TemporaryRecord()
    try Data([1, 2, 3]).write(to: URL(filePath: record.file + ".new"))
    _ = try record.open()
    #expect(try record.number("PRAGMA user_version") > 0)
  }

  /// A long log that a killed process has left is written again and stays as it was.
  @Test func aLongLogIsKeptAtTheNextStart() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    let metadata = [UInt8](repeating: 0x20, count: 700_000)
    try store.commit([newJob(job(1)), .insertUpdate(entry(1, job(1), .received, metadata: metadata))])
    let left = record.folder.appending(path: "left")
    try FileManager.default.createDirectory(at: left, withIntermediateDirectories: false)
    for name in ["hordelink.db", "hordelink.db-wal"] {
      try FileManager.default.copyItem(at: record.folder.appending(path: name), to: left.appending(path: name))
    }
    let log = left.appending(path: "hordelink.db-wal")
    let before = try Data(contentsOf: log)
    try #require(before.count > 500_000)
    let successor = try Store(file: left.appending(path: "hordelink.db").path)
    #expect(try Data(contentsOf: log) == before)
    #expect(try successor.waiting(after: UpdateID(0), limit: 1, bytes: 1).entries.first?.metadata == metadata)
  }
}
