import CSQLite
import Decisions
import Glibc
import Messages
import Platform
import Rehearsal
import Store

/// Builds disk states that a power cut during a recording may leave, and opens each as a successor does.
struct Replay {
  /// Different ones that were opened.
  private(set) var states = 0
  private(set) var findings: [String] = []
  /// How many findings are told; the rest is counted only.
  private static let findingsTold = 10
  private(set) var lost = 0

  private let folder: String
  private var dice: Dice
  private var known: Set<Int> = []

  /// - Parameter folder: in which the states are laid out.
  init(in folder: String, seed: UInt64) {
    self.folder = folder
    dice = Dice(seed: seed)
  }

  /// Opens about that many states of the recording.
  mutating func run(_ recording: Recording, states wanted: Int) throws {
    let start = states
    var passes = 0
    // Some states come up several times: it goes through the recording until there are enough different ones.
    while states - start < wanted, passes < 8 {
      passes += 1
      try pass(recording, chance: Double(wanted - (states - start)) / Double(recording.entries.count))
    }
  }

  private mutating func pass(_ recording: Recording, chance: Double) throws {
    var disk = DiskModel()
    var acknowledged: [String] = []
    for (index, entry) in recording.entries.enumerated() {
      disk.take(entry, &dice)
      var cuts: [DiskModel.Cut] = []
      if case .acknowledged(let text) = entry {
        acknowledged.append(text)
        // This is when most is promised and least has followed.
        cuts = [.nothingKept, .pages]
      }
      var draws = chance
      while Double.random(in: 0..<1, using: &dice) < draws {
        cuts.append(DiskModel.Cut.allCases.randomElement(using: &dice) ?? .nothingKept)
        draws -= 1
      }
      for cut in cuts {
        let files = disk.afterCut(cut, &dice)
        var hasher = Hasher()
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
          hasher.combine(name)
          bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
        hasher.combine(acknowledged.count)
        guard known.insert(hasher.finalize()).inserted else { continue }
        states += 1
        let problems = try open(files, acknowledged)
        lost += problems.isEmpty ? 0 : 1
        if findings.count < Self.findingsTold {
          findings += problems.map { "after entry \(index) of \(recording.entries.count), \(cut): \($0)" }
        }
      }
    }
  }

  /// Opens a disk state with the Store, and looks for what was acknowledged. Returns what is wrong.
  private func open(_ files: [String: [UInt8]], _ acknowledged: [String]) throws -> [String] {
    for name in try Files.names(in: folder) { try Files.remove("\(folder)/\(name)") }
    for (name, bytes) in files { try Rehearsal.write(bytes, to: "\(folder)/\(name)", mode: 0o600) }
    let file = folder + "/hordelink.db"
    do throws(StoreError) {
      let store = try Store(file: file)
      _ = try store.load(endedSince: WallTime(milliseconds: 0), bootID: "")
      var statuses: [JobID: [JobStatus]] = [:]
      var missing: [String] = []
      for text in acknowledged {
        let words = text.split(separator: " ")
        guard words.count == 2, let job = JobID(String(words[0])) else { continue }
        if statuses[job] == nil { statuses[job] = try store.job(job)?.statuses ?? [] }
        if statuses[job]?.contains(JobStatus(name: String(words[1]))) != true { missing.append(text) }
      }
      let found = missing.isEmpty ? [] : ["acknowledged and lost: \(missing.joined(separator: ", "))"]
      return found + (isSound(file) ? [] : ["the database is damaged (integrity_check)"])
    } catch {
      return ["it cannot be opened: \(error)"]
    }
  }

  private func isSound(_ file: String) -> Bool {
    var handle: OpaquePointer?
    var statement: OpaquePointer?
    defer {
      sqlite3_finalize(statement)
      sqlite3_close(handle)
    }
    guard sqlite3_open(file, &handle) == SQLITE_OK,
      sqlite3_prepare_v2(handle, "PRAGMA integrity_check(1)", -1, &statement, nil) == SQLITE_OK,
      sqlite3_step(statement) == SQLITE_ROW, let text = sqlite3_column_text(statement, 0)
    else { return false }
    return String(cString: text) == "ok"
  }
}
