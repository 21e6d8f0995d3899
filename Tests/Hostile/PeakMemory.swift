import Messages
import Platform
import Rehearsal
import Stage
import Testing

/// The most memory that a process has had, against the bound for its role.
enum PeakMemory {
  /// A role other than a Listener, whatever its peers do. In bytes.
  static let bound = 128 << 20
  /// A Listener, whatever its workers and Redis do. In bytes.
  static let listenerBound = 16 << 20

  /// The process's peak resident set, in bytes. Source: proc(5), /proc/PID/status, VmHWM.
  static func of(_ pid: Int) throws -> Int {
    let status = String(decoding: try Files.read("/proc/\(pid)/status", limit: 65_536), as: UTF8.self)
    for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
      if let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) { return kilobytes << 10 }
    }
    throw RehearsalError("/proc/\(pid)/status has no VmHWM")
  }
}

extension Rehearsal {
  /// Expects that no role has ever had more memory than its bound. Prints the peaks.
  /// - Parameter attack: names what the peaks were reached under.
  func expectPeakMemoryWithinBounds(_ attack: String) throws {
    var peaks: [String] = []
    if let supervisor {
      let peak = try PeakMemory.of(Int(supervisor.pid))
      peaks.append("supervisor \(peak >> 20) MiB")
      #expect(peak <= PeakMemory.bound, "supervisor under \(attack)")
    }
    for child in try report()?.children ?? [] where child.name != "command" && child.pid > 0 {
      let isListener = child.name.hasSuffix("listener")
      let peak = try PeakMemory.of(child.pid)
      peaks.append("\(child.name) \(peak >> 20) MiB")
      #expect(peak <= (isListener ? PeakMemory.listenerBound : PeakMemory.bound), "\(child.name) under \(attack)")
    }
    print("peak memory under \(attack): \(peaks.sorted().joined(separator: ", "))")
  }
}
