import Glibc
import Platform
import Rehearsal

/// What a process has in memory, in KiB. Source: proc(5), /proc/PID/smaps_rollup.
struct Memory {
  /// All of its pages, those that it shares among them.
  var resident: Int
  /// Each page divided by the number of processes that have it.
  var proportional: Int
  /// Pages that it alone has and has written.
  var own: Int
  /// Pages that stand for no file.
  var anonymous: Int

  init(of pid: pid_t) throws {
    let bytes = try Files.read("/proc/\(pid)/smaps_rollup", limit: 65_536)
    var values: [String: Int] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, let value = Int(words[1]) { values[String(words[0])] = value }
    }
    guard let resident = values["Rss:"], let proportional = values["Pss:"], let own = values["Private_Dirty:"],
      let anonymous = values["Anonymous:"]
    else { throw RehearsalError("/proc/\(pid)/smaps_rollup does not hold what is looked for") }
    (self.resident, self.proportional, self.own, self.anonymous) = (resident, proportional, own, anonymous)
  }

  /// A line of the table: of each figure the median and the largest.
  static func line(_ name: String, _ all: [Memory]) -> String {
    func figure(_ key: (Memory) -> Int) -> String {
      let sorted = all.map(key).sorted()
      return "\(sorted[sorted.count / 2])/\(sorted[sorted.count - 1])"
    }
    let columns = [figure(\.resident), figure(\.proportional), figure(\.own), figure(\.anonymous)]
    return "\(all.count) of \(name), KiB, median/largest: resident \(columns[0]), proportional \(columns[1]), "
      + "own \(columns[2]), anonymous \(columns[3])"
  }
}

/// Processes that do nothing, to compare with.
struct Idle {
  private var processes: [RunningProcess] = []
  /// What they are told when they are to go.
  private var sockets: [Descriptor] = []

  /// - Parameter hasSockets: whether each is given a control socket and a listening one, as a Listener is.
  init(_ count: Int, _ command: [String], hasSockets: Bool) throws {
    let folder = try Rehearsal.makeFolder()
    defer { Rehearsal.removeTree(folder) }
    for number in 0..<count {
      var request = SpawnRequest(executable: command[0], arguments: command, environment: [])
      if hasSockets {
        let (ours, theirs) = try UnixSocket.pair()
        request.descriptors = [theirs, try UnixSocket.listen(at: "\(folder)/\(number)", mode: 0o600)]
        sockets.append(ours)
      }
      processes.append(try RunningProcess(pid: try request.spawn()))
    }
  }

  /// What each has, once all of them sleep.
  func memory() throws -> [Memory] {
    for process in processes {
      while try !Self.sleeps(process.pid) { usleep(1000) }
    }
    return try processes.map { try Memory(of: $0.pid) }
  }

  private static func sleeps(_ pid: pid_t) throws -> Bool {
    String(decoding: try Files.read("/proc/\(pid)/status", limit: 65_536), as: UTF8.self).contains("State:\tS")
  }

  func end() throws {
    for process in processes { process.signal(SIGKILL) }
    for process in processes { _ = try process.wait(milliseconds: 10_000) }
  }
}
