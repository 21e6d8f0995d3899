import JSON
import Measurements
import Messages
import Platform
import Rehearsal

/// What the processes have in memory, idle and with open jobs. Source: proc(5), /proc/PID/smaps_rollup.
struct MemoryUse {
  /// `memory JOBS...`, 0, 200 and 1,000 if none are named.
  static func main(_ options: Options) throws {
    let counts = (options.numbers.isEmpty ? [0, 200, 1000] : options.numbers).sorted()
    for jobs in counts {
      if options.subjects.contains("hordelink") {
        try HordelinkSubject.run(options, jobs: jobs) { try measure($0, jobs) }
      }
      try PeerSubject.run(options) { try measure($0, jobs) }
    }
  }

  private static func measure(_ subject: any Subject, _ jobs: Int) throws {
    _ = try subject.open(0..<jobs, try JobRequests())
    let processes = subject.processes
    try processes.waitUntilQuiet()
    var found: [String: [Memory]] = [:]
    for (role, pid) in try processes.all() where role != "redis-server" {
      found[role, default: []].append(try Memory(of: pid))
    }
    let parameters = subject.parameters + [JSONMember("jobs", .integer(jobs))]
    func print(_ name: String, _ values: [Int]) {
      Figure("memory", subject.name, parameters, name, "KiB", values.map(Double.init)).print()
    }
    for (role, values) in found.sorted(by: { $0.key < $1.key }) {
      let name =
        role == "listeners" ? "Listener, " : role == "peer" ? "" : role.prefix(1).uppercased() + role.dropFirst() + ", "
      for figure in figures { print(name + figure.name, values.map(figure.of)) }
    }
    if found["peer"] == nil {
      print("all roles, resident", [found.values.joined().reduce(0) { $0 + $1.resident }])
    }
  }

  private static let figures: [(name: String, of: @Sendable (Memory) -> Int)] = [
    ("resident", { $0.resident }), ("private", { $0.exclusive }), ("anonymous", { $0.anonymous }),
  ]
}
