import CSQLite
import Decisions
import Foundation
import Messages
import Store
import Synchronization

/// Values in the rows of a sound record, changed to others of any size and type that the columns take: whoever reads
/// them gets sound values or an error.
func fuzzRows(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  do {
    let record = try Record()
    while !choices.isOver { try record.change(&choices) }
    guard let store = try? Store(file: record.file) else { return }
    let now = Moment(boot: Instant(nanoseconds: 1), wall: WallTime(milliseconds: 1_000_000))
    if let stored = try? store.load(endedSince: WallTime(milliseconds: 0), bootID: "boot") {
      var core = UplinkCore(
        settings: UplinkSettings(
          stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/", hotkeyFile: "/k", trustedSigners: []),
        stored: stored, bootID: choices.bool() ? "boot" : "another", seed: 1, at: now)
      _ = core.start(at: now)
      if let (entries, more) = try? store.waiting(after: UpdateID(0), limit: 100, bytes: 1 << 20) {
        _ = core.handle(.loaded(entries, more: more), at: now)
      }
      _ = core.handle(.timeReached, at: now)
    }
    _ = try? store.waitingForHook(after: UpdateID(0), limit: 100, bytes: 1 << 20)
    _ = try? store.deadLetters(after: UpdateID(0), limit: 100)
    for number in 0..<4 { _ = try? store.job(JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number))) }
    _ = try? store.transaction { () throws(StoreError) in
      try store.expire(closedBefore: now.wall, forgottenBefore: now.wall, limit: 10)
    }
  } catch let finding as Finding {
    throw finding
  } catch { throw Finding("the sound record cannot be made: \(error)") }
}

/// A copy of a sound record, in memory as far as the system has such a place, and gone with this.
private final class Record {
  private let folder: String
  var file: String { folder + "/hordelink.db" }

  private struct Unmade: Error, CustomStringConvertible { var description: String }

  /// The sound one, made once.
  private static let sound = Mutex<Data?>(nil)

  init() throws {
    let place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array((place + "/hordelink-rows-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw Unmade(description: "mkdtemp in \(place)") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try Self.sound.withLock { sound in
      if let sound { return try sound.write(to: URL(filePath: file)) }
      try Self.make(file)
      try execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
      sound = try Data(contentsOf: URL(filePath: file))
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Jobs in each phase, with updates in each state, and a row at least in every other table.
  private static func make(_ file: String) throws {
    let store = try Store(file: file)
    let now = WallTime(milliseconds: 500_000)
    func job(_ number: UInt64) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | number) }
    var operations: [StoreOperation] = []
    var id: Int64 = 0
    for number in 0..<4 as Range<UInt64> {
      let job = job(number)
      operations.append(
        .insertJob(
          NewJob(job: job, receivedAt: now, body: [1], signatureHash: [UInt8(number)], limitSeconds: 60)))
      for status in [JobStatus.received, .accepted, .completed].prefix(number == 0 ? 1 : 3) {
        id += 1
        let entry = OutboxEntry(id: UpdateID(id), job: job, status: status, metadata: [0x7b, 0x7d], storedAt: now)
        operations += [.insertUpdate(entry), .insertForHook(entry)]
      }
      guard number > 0 else { continue }
      let deadline = Deadline(boot: Instant(nanoseconds: 9), bootID: "boot", wall: WallTime(milliseconds: 9))
      operations += [
        .setDispatching(job, deadline, isTask: number == 2),
        .setCommand(job, CommandRecord(pid: 7, startTime: 8, bootID: "boot")),
      ]
      if number == 1 { operations.append(.bury(UpdateID(id), attempts: 4, error: "no", at: now)) }
      if number > 1 { operations.append(.end(job, at: now)) }
      if number == 3 { operations += [.retire(UpdateID(id), at: now), .close(job, at: now)] }
    }
    let specs = MachineSpecs(minerHotkey: "m", batchID: "b", specs: [0x7b, 0x7d])
    operations += [
      .putSpecs(SpecsEntry(number: 1, specs: specs)),
      .insertCheat(CheatReport(number: 1, body: [1], signatureHash: [1]), at: now),
    ]
    try store.transaction { () throws(StoreError) in
      for operation in operations { try store.carryOut(operation) }
    }
  }

  private static let columns = [
    "jobs": [
      "id", "uuid", "phase", "received_at", "closed_at", "limit_seconds", "deadline_boot", "deadline_boot_id",
      "deadline_wall", "command_pid", "command_start", "command_boot_id", "exit_code", "exit_signal", "exit_stored",
      "signature_hash", "body", "ended_at", "expired", "is_task",
    ],
    "updates": ["id", "job", "status", "state", "attempts", "stored_at", "settled_at", "metadata"],
    "attempts": ["update_id", "at", "error"], "specs": ["number", "miner", "batch", "specs"],
    "cheats": ["number", "signature_hash", "received_at", "body"],
    "for_hook": ["id", "job", "status", "stored_at", "metadata"],
  ].sorted { $0.key < $1.key }

  /// Changes one value; what the table does not take stays as it was.
  func change(_ choices: inout Choices) throws {
    let (table, columns) = choices.pick(Self.columns)
    let value =
      switch choices.index(4) {
      case 0: "x'\(choices.bytes().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())'"
      case 1: "CAST(x'\(choices.bytes().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())' AS TEXT)"
      default: "\(choices.signed())"
      }
    let change = "UPDATE OR IGNORE \(table) SET \(choices.pick(columns)) = \(value)"
    try? execute("PRAGMA foreign_keys = OFF; \(change) WHERE rowid = 1 + \(choices.index(4))")
  }

  private func execute(_ sql: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    guard sqlite3_open(file, &handle) == SQLITE_OK, sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else {
      throw Unmade(description: handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory")
    }
  }
}
