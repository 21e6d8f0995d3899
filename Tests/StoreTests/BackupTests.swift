import Decisions
import Foundation
import Messages
import Store
import Testing

@Suite struct BackupTests {
  @Test func aCopyOfARecordInUseIsWholeAndMarked() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([newJob(job(1)), .insertUpdate(entry(1, job(1), .received))])
    let file = record.folder.appending(path: "copy").path
    try Backup.write(of: record.file, to: file)
    // The record goes on.
    try store.commit([.insertUpdate(entry(2, job(1), .accepted))])
    #expect(try !store.load(endedSince: now, bootID: "boot").isRestored)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: record.folder.path).sorted().filter { $0.hasPrefix("copy") }
        == ["copy"])
    #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
    let copy = try Store(file: file)
    let state = try copy.load(endedSince: now, bootID: "boot")
    #expect(state.isRestored && state.queued == 1 && state.jobs.map(\.job) == [job(1)])
    try copy.commit([.clearRestored])
    #expect(try !copy.load(endedSince: now, bootID: "boot").isRestored)
  }

  @Test func whatIsThereAlreadyIsNotOverwritten() throws {
    let record = try TemporaryRecord()
    _ = try record.open()
    let file = record.folder.appending(path: "copy").path
    try Data([1]).write(to: URL(fileURLWithPath: file))
    #expect(throws: StoreError.self) { try Backup.write(of: record.file, to: file) }
    #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == Data([1]))
  }

  @Test func whatIsNoRecordIsSaidToBeNone() throws {
    let record = try TemporaryRecord()
    let file = record.folder.appending(path: "copy").path
    let error = #expect(throws: StoreError.self) { try Backup.write(of: record.file, to: file) }
    #expect(error?.file == record.file)
    try Data(repeating: 7, count: 10_000).write(to: URL(fileURLWithPath: record.file))
    #expect(throws: StoreError.self) { try Backup.write(of: record.file, to: file) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: record.folder.path) == ["hordelink.db"])
  }
}
