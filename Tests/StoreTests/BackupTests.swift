import Decisions
import Foundation
import Messages
import Platform
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

/// Where others may write, and root makes the copy.
@Suite struct BackupInSharedFolderTests {
  /// A link that waits under the names that the copy is given on its way leads nowhere.
  @Test(arguments: ["copy", "copy.partial", "copy.partial-wal", "copy.partial-journal"])
  func aLinkInTheFolderIsNotFollowed(name: String) throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([newJob(job(1))])
    let shared = record.folder.appending(path: "shared")
    try FileManager.default.createDirectory(at: shared, withIntermediateDirectories: false)
    let victim = record.folder.appending(path: "victim")
    try FileManager.default.createSymbolicLink(at: shared.appending(path: name), withDestinationURL: victim)
    let file = shared.appending(path: "copy").path
    if name == "copy" {
      #expect(throws: StoreError.self) { try Backup.write(of: record.file, to: file) }
    } else {
      try Backup.write(of: record.file, to: file)
      #expect(try Store(file: file).load(endedSince: now, bootID: "").isRestored)
    }
    #expect(!FileManager.default.fileExists(atPath: victim.path))
    // What somebody else has there is theirs.
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: shared.appending(path: name).path) == victim.path)
    let names = try FileManager.default.contentsOfDirectory(atPath: shared.path)
    #expect(Set(names).isSubset(of: [name, "copy"]), "\(names)")
  }

  /// Renamed while the copy is written, and replaced by a link, the folder of the copy is still where it is written.
  @Test func aFolderThatIsReplacedByALinkIsNotFollowed() throws {
    let record = try TemporaryRecord()
    let shared = record.folder.appending(path: "shared").path
    let elsewhere = record.folder.appending(path: "elsewhere").path
    for folder in [shared, elsewhere] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    }
    let place = try PrivateFolder(in: shared)
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: shared).first)
    #expect(try FileManager.default.attributesOfItem(atPath: "\(shared)/\(name)")[.posixPermissions] as? Int == 0o700)
    try FileManager.default.moveItem(atPath: "\(shared)/\(name)", toPath: "\(shared)/moved")
    try FileManager.default.createSymbolicLink(atPath: "\(shared)/\(name)", withDestinationPath: elsewhere)
    try Data([1, 2]).write(to: URL(fileURLWithPath: place.path("record")))
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere) == [])
    try place.publish("record", as: "copy")
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(shared)/copy")) == Data([1, 2]))
    // Nothing is replaced.
    try Data([3]).write(to: URL(fileURLWithPath: place.path("record")))
    let error = #expect(throws: SystemError.self) { try place.publish("record", as: "copy") }
    #expect(error?.code == EEXIST)
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(shared)/copy")) == Data([1, 2]))
    place.remove(["record"])
  }

  /// The service's user owns the record's folder and may have put a link there.
  @Test func aRecordThatIsALinkIsNotFollowed() throws {
    let record = try TemporaryRecord()
    _ = try record.open()
    let link = record.folder.appending(path: "link.db").path
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: record.file)
    let error = #expect(throws: StoreError.self) {
      try Backup.write(of: link, to: record.folder.appending(path: "copy").path)
    }
    #expect(error.map { "\($0)".contains("symbolic link") } == true)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: record.folder.path).sorted() == ["hordelink.db", "link.db"])
  }

  /// What a killed service has left in its log goes into the record when the service opens it, not before.
  @Test func theLogOfAStoppedServiceStays() throws {
    let record = try TemporaryRecord()
    let store = try record.open()
    try store.commit([newJob(job(1)), .insertUpdate(entry(1, job(1), .received))])
    // As after a kill: the files of a store that is still open.
    let left = record.folder.appending(path: "left").path
    try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: false)
    for suffix in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: record.file + suffix, toPath: "\(left)/hordelink.db\(suffix)")
    }
    let before = try ["", "-wal"].map { try Data(contentsOf: URL(fileURLWithPath: "\(left)/hordelink.db\($0)")) }
    let file = record.folder.appending(path: "copy").path
    try Backup.write(of: "\(left)/hordelink.db", to: file)
    let after = try ["", "-wal"].map { try Data(contentsOf: URL(fileURLWithPath: "\(left)/hordelink.db\($0)")) }
    #expect(before == after)
    #expect(try Store(file: file).load(endedSince: now, bootID: "").queued == 1)
  }
}
