import CLinux
import Glibc

/// Other processes, looked at through /proc and signalled.
public enum ProcessTable {
  /// When a process started, in clock ticks after boot: with the boot's id it tells a process from a later one
  /// that got the same pid. nil when there is no such process. Source: proc(5), /proc/PID/stat field 22.
  public static func startTime(of pid: pid_t) -> UInt64? {
    guard let fields = statFields(of: pid), fields.count > 19 else { return nil }
    return UInt64(fields[19])
  }

  /// Whether a process still runs: one that waits to be reaped does not.
  public static func isRunning(_ pid: pid_t) -> Bool {
    guard let fields = statFields(of: pid) else { return false }
    return !hasEnded(fields)
  }

  /// Whether it waits to be reaped, by its fields from the third one on. A process whose first thread has ended while others
  /// run is shown as a zombie too, and counts them (field 20).
  static func hasEnded(_ fields: [String]) -> Bool {
    switch fields.first {
    case "X": true
    case "Z": fields.count <= 17 || (Int(fields[17]) ?? 0) <= 1
    default: false
    }
  }

  /// The name of a process's program, cut to 15 characters (proc(5), /proc/PID/comm).
  public static func name(of pid: pid_t) -> String? {
    guard let name = try? Files.read("/proc/\(pid)/comm", limit: 64) else { return nil }
    return String(decoding: name.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// Something that can be read from once the process has ended (pidfd_open(2)). It need not be a child.
  public static func watch(_ pid: pid_t) throws(SystemError) -> Descriptor {
    Descriptor(owning: try check("pidfd_open", "\(pid)") { pidfd_open(pid, 0) })
  }

  /// The fields of /proc/PID/stat from the third one on.
  static func statFields(of pid: pid_t) -> [String]? {
    guard let stat = try? Files.read("/proc/\(pid)/stat", limit: 4096),
      // The name, which may hold anything, ends at the last parenthesis; field 3 follows it.
      let end = stat.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    return stat[(end + 1)...].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Sends a signal to one process. Returns false when it is gone.
  @discardableResult
  public static func signal(_ pid: pid_t, _ signal: Int32) -> Bool { pid > 1 && kill(pid, signal) == 0 }

  /// Sends a signal to every process of a group. Returns false when none is left.
  @discardableResult
  public static func signalGroup(_ leader: pid_t, _ signal: Int32) -> Bool {
    leader > 1 && kill(-leader, signal) == 0
  }

  /// The folder that holds the running program.
  public static func ownFolder() throws(SystemError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = try check("readlink", "/proc/self/exe") {
      readlink("/proc/self/exe", &buffer, buffer.count - 1)
    }
    let path = String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }

  /// This process's environment.
  public static var environment: [String: String] {
    var result: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
      next += 1
    }
    return result
  }
}
