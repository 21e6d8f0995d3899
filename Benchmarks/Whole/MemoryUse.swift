import Glibc
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
    var found: [String: [[String: Double]]] = [:]
    for (role, pid) in try processes.all() where role != "redis-server" {
      found[role, default: []].append(try memory(of: pid))
    }
    let parameters = subject.parameters + [JSONMember("jobs", .integer(jobs))]
    func print(_ name: String, _ values: [Double]) {
      Figure("memory", subject.name, parameters, name, "KiB", values).print()
    }
    for (role, values) in found.sorted(by: { $0.key < $1.key }) {
      let name =
        role == "listeners" ? "Listener, " : role == "peer" ? "" : role.prefix(1).uppercased() + role.dropFirst() + ", "
      for (figure, lines) in figures {
        print(name + figure, values.map { value in lines.reduce(0) { $0 + (value[$1] ?? 0) } })
      }
    }
    if found["peer"] == nil {
      print("all roles, resident", [found.values.joined().reduce(0) { $0 + ($1["Rss"] ?? 0) }])
    }
  }

  private static let figures = [
    ("resident", ["Rss"]), ("private", ["Private_Clean", "Private_Dirty"]), ("anonymous", ["Anonymous"]),
  ]

  /// The lines of smaps_rollup, in KiB.
  private static func memory(of pid: pid_t) throws -> [String: Double] {
    let bytes = try Files.read("/proc/\(pid)/smaps_rollup", limit: 65_536)
    var values: [String: Double] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, words[2] == "kB", let value = Double(words[1]) {
        values[String(words[0].dropLast())] = value
      }
    }
    guard values["Rss"] != nil else {
      throw RehearsalError("/proc/\(pid)/smaps_rollup does not hold what is looked for")
    }
    return values
  }
}
