import Glibc
import Measurements
import Platform
import Rehearsal

extension Memory {
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
