import Glibc
import Platform
import Rehearsal

/// What a process has in memory, in KiB. Source: proc(5), /proc/PID/smaps_rollup.
public struct Memory: Sendable {
  /// All of its pages, those that it shares among them.
  public var resident: Int
  /// Each page divided by the number of processes that have it.
  public var proportional: Int
  /// Pages that it alone has.
  public var exclusive: Int
  /// Those of them that it has written.
  public var own: Int
  /// Pages that stand for no file.
  public var anonymous: Int

  /// - Throws: when the process is gone, or the kernel says none of this.
  public init(of pid: pid_t) throws {
    let bytes = try Files.read("/proc/\(pid)/smaps_rollup", limit: 65_536)
    var values: [String: Int] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, let value = Int(words[1]) { values[String(words[0])] = value }
    }
    guard let resident = values["Rss:"], let proportional = values["Pss:"], let clean = values["Private_Clean:"],
      let own = values["Private_Dirty:"], let anonymous = values["Anonymous:"]
    else { throw RehearsalError("/proc/\(pid)/smaps_rollup does not hold what is looked for") }
    (self.resident, self.proportional, self.own, self.anonymous) = (resident, proportional, own, anonymous)
    exclusive = clean + own
  }
}
