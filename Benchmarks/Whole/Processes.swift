import Glibc
import Platform
import Rehearsal

/// The processes of a subject, and what they have had of the machine's processors.
struct Processes {
  /// Processor time in nanoseconds by role.
  typealias Times = [String: Int64]

  /// What was started here, each with its role; their children are found in /proc.
  var roots: [(role: String, pid: pid_t)]

  /// Roles by what the kernel calls a process, which is cut off after 15 bytes (proc(5), /proc/PID/comm).
  private static let roles = [
    "hordelink-super": "supervisor", "hordelink-uplin": "uplink", "hordelink-liste": "listeners",
  ]

  /// The children of the roots and their children, with their roles: what is none of ours is a "command".
  func all() throws -> [(role: String, pid: pid_t)] {
    var children: [pid_t: [pid_t]] = [:]
    for name in try Files.names(in: "/proc") {
      guard let pid = pid_t(name), let parent = ProcessTable.usage(of: pid)?.parent else { continue }
      children[parent, default: []].append(pid)
    }
    var found = roots
    var next = 0
    while next < found.count {
      for pid in children[found[next].pid] ?? [] {
        let name = (try? Files.read("/proc/\(pid)/comm", limit: 64)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        found.append((Self.roles[String(name.prefix { $0 != "\n" })] ?? "command", pid))
      }
      next += 1
    }
    return found
  }

  /// What all of them have had so far, those that have ended under "ended".
  func times() throws -> Times {
    var times: Times = [:]
    for (role, pid) in try all() { times[role, default: 0] += ProcessTable.processorTime(of: pid) ?? 0 }
    // Last: what has ended meanwhile is in here.
    for (_, pid) in roots { times["ended", default: 0] += ProcessTable.reapedProcessorTime(of: pid) ?? 0 }
    return times
  }

  /// Waits until they do nothing to speak of: a hundredth of a processor over a tenth of a second.
  func waitUntilQuiet() throws {
    let deadline = Clock.bootNanoseconds + 120_000_000_000
    var before = try sum()
    while Clock.bootNanoseconds < deadline {
      usleep(100_000)
      let now = try sum()
      if now - before < 1_000_000 { return }
      before = now
    }
    throw RehearsalError("the processes still work two minutes after their jobs have ended")
  }

  private func sum() throws -> Int64 { try times().values.reduce(0, +) }
}

extension Processes.Times {
  static func - (after: Self, before: Self) -> Self {
    after.merging(before) { $0 - $1 }
  }
}
