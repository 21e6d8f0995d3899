import Glibc
import MessagePack
import Messages
import Platform
import RecordFile
import Rehearsal
import Stage
import Store
import Testing
import WorkerClient

private let job = "11111111-2222-4333-8444-555555555555"

/// What the disk can do to the record.
@Suite(.serialized) struct RecordFaultTests {
  enum Damage: String, CaseIterable {
    case truncated
    case overwritten
    case replaced

    func apply(to bytes: [UInt8]) -> [UInt8] {
      switch self {
      case .truncated: Array(bytes.prefix(6000))
      case .overwritten: Array(bytes.prefix(100)) + [UInt8](repeating: 0xa5, count: bytes.count - 100)
      case .replaced: Array("not a database at all\n".utf8)
      }
    }
  }

  /// A damaged record is never started anew: it is said what to do, the file stays as it is, and with a whole one the
  /// service goes on by itself.
  @Test(arguments: Damage.allCases)
  func aDamagedRecordIsSaidToBeOneAndKept(damage: Damage) throws {
    try onStage(started: false) { settings in
      settings.more["stop"] = "drain_seconds = 0"
    } _: { rehearsal in
      try rehearsal.startSupervisor()
      let id = try #require(JobID(job))
      let worker = try rehearsal.workerOfNewJob(id)
      try rehearsal.facilitatorGoesAway()
      #expect(try worker.send(.accepted) == .stored)
      try rehearsal.stopSupervisor()
      let file = rehearsal.stateDirectory + "/hordelink.db"
      // All of it goes from the log into the file when the last one closes it.
      _ = try Store(file: file)
      let whole = try Files.read(file, limit: 64 << 20)
      let damaged = damage.apply(to: whole)
      try Rehearsal.write(damaged, to: file, mode: 0o600)

      try rehearsal.startSupervisor()
      try rehearsal.until("the file is damaged and is left as it is") { $0.log.contains($1) }
      #expect(rehearsal.log.contains(file))
      #expect(try Files.read(file, limit: 64 << 20) == damaged)
      let uplink = try rehearsal.report()?.children.first { $0.name == "uplink" }
      #expect(uplink != nil && uplink?.state != "ready")

      try Rehearsal.write(whole, to: file, mode: 0o600)
      try rehearsal.facilitatorComesBack()
      try rehearsal.expectAccepted(id, [.received, .accepted])
    }
  }

  /// Numbers near the limits, in a row of an otherwise sound file: the service is up and says which one, and with the old
  /// number it goes on.
  @Test(arguments: [
    ("jobs", "received_at", Int64.max), ("jobs", "deadline_wall", .min), ("updates", "stored_at", .max),
    ("updates", "id", .max),
  ])
  func aNumberThatCannotBeIsNamed(table: String, column: String, number: Int64) throws {
    try onStage { settings in
      settings.more["stop"] = "drain_seconds = 0"
    } _: { rehearsal in
      let id = try #require(JobID(job))
      let worker = try rehearsal.workerOfNewJob(id)
      try rehearsal.facilitatorGoesAway()
      #expect(try worker.send(.accepted) == .stored)
      try rehearsal.killSupervisor()
      let file = rehearsal.stateDirectory + "/hordelink.db"
      let last = "WHERE rowid = (SELECT max(rowid) FROM \(table))"
      let old = try RecordFile(file).number("SELECT \(column) FROM \(table) \(last)")
      try RecordFile(file).run("UPDATE \(table) SET \(column) = \(number) \(last)")

      try rehearsal.startSupervisor()
      try rehearsal.until("\(table).\(column) of row") { $0.log.contains($1) }
      #expect(rehearsal.log.contains("is \(number): the file is damaged and is left as it is"))
      let uplink = try rehearsal.report()?.children.first { $0.name == "uplink" }
      #expect(uplink != nil && uplink?.state != "ready")
      #expect(!rehearsal.log.contains("was ended by signal \(SIGILL)"))

      try RecordFile(file).run("UPDATE \(table) SET \(column) = \(old) \(last)")
      try rehearsal.facilitatorComesBack()
      try rehearsal.expectAccepted(id, [.received, .accepted], milliseconds: 60_000)
    }
  }

  /// Beyond the room of its disk the service takes what ends jobs and nothing else; what it has taken is not lost, and
  /// what waits goes on when there is room.
  @Test func aFullDiskHoldsWorkersBackAndLosesNothing() throws {
    try onStage(started: false) { settings in
      settings.more["stop"] = "drain_seconds = 0"
    } _: { rehearsal in
      guard try rehearsal.mountSmallDisk() else { return }
      defer { umount2(rehearsal.stateDirectory, Int32(MNT_DETACH)) }
      try rehearsal.startSupervisor()
      let id = try #require(JobID(job))
      let worker = try rehearsal.workerOfNewJob(id)
      #expect(access(rehearsal.stateDirectory + "/hordelink.reserve", F_OK) == 0)
      try rehearsal.facilitatorGoesAway()

      let filler = rehearsal.stateDirectory + "/filler"
      try fill(filler)
      let large = MessagePackValue.map([
        MessagePackPair(.string("comment"), .string(String(repeating: "x", count: 500_000)))
      ])
      // The first has the room of the reserve.
      #expect(try worker.send(.accepted, metadata: large) == .stored)
      try rehearsal.until("the disk of the state directory is full") { $0.log.contains($1) }
      let answers = try rehearsal.reportElsewhere(
        id, [WorkerClient.Update(.executorReady)], patienceMilliseconds: 90_000)
      try rehearsal.until("disk") { rehearsal, full in try rehearsal.report()?.uplink?.state.full == full }
      unlink(filler)
      #expect(answers.takeUntilClosed() == [.stored])
      #expect(try worker.send(.completed) == .stored)
      try rehearsal.facilitatorComesBack()
      try rehearsal.expectAccepted(id, [.received, .accepted, .executorReady, .completed])
      #expect(access(rehearsal.stateDirectory + "/hordelink.reserve", F_OK) == 0)
    }
  }

  /// Takes all the room there is.
  private func fill(_ path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    let descriptor = Descriptor(owning: file)
    for size in [1 << 20, 4096, 1] {
      let block = [UInt8](repeating: 1, count: size)
      while write(descriptor.number, block, size) > 0 {}
    }
    #expect(errno == ENOSPC)
  }
}

extension Rehearsal {
  /// A job that is received, and its worker.
  fileprivate func workerOfNewJob(_ job: JobID) throws -> WorkerClient {
    try waitUntilConnected()
    try facilitator.sendJob(job)
    try expectAccepted(job, [.received])
    // A stop would end a launcher that still runs, and its job with it.
    try expectLog("command exited with code 0")
    return WorkerClient(socketPath: workerSocket(job), job: job, patienceMilliseconds: 20_000)
  }

  /// Puts the state directory on a disk of its own that is soon full. Returns false, and says why, where that is not
  /// allowed.
  fileprivate func mountSmallDisk() throws -> Bool {
    try Files.makeDirectory(stateDirectory, mode: 0o700)
    guard mount("tmpfs", stateDirectory, "tmpfs", 0, "size=200m,mode=700") == 0 else {
      print("skipped: a small disk cannot be mounted: \(SystemError("mount", stateDirectory))")
      return false
    }
    return true
  }
}
