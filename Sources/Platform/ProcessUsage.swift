import Glibc

/// What a process takes of the machine. Source: proc(5), /proc/PID/stat, fields 4, 14, 15, 22 and 24.
public struct ProcessUsage: Sendable, Hashable {
  public var parent: pid_t
  /// Clock ticks after boot: with the pid it tells a process from a later one.
  public var startTime: UInt64
  /// Time on a processor, in user mode and in the kernel, in nanoseconds.
  public var processorNanoseconds: UInt64
  /// What of its memory is resident, in bytes.
  public var residentBytes: UInt64

  public init(parent: pid_t, startTime: UInt64, processorNanoseconds: UInt64, residentBytes: UInt64) {
    self.parent = parent
    self.startTime = startTime
    self.processorNanoseconds = processorNanoseconds
    self.residentBytes = residentBytes
  }
}

extension ProcessTable {
  /// What a process takes now; nil when there is no such process, or it is hidden.
  public static func usage(of pid: pid_t) -> ProcessUsage? {
    guard let fields = statFields(of: pid), fields.count > 21, let parent = pid_t(fields[1]),
      let user = UInt64(fields[11]), let system = UInt64(fields[12]), let start = UInt64(fields[19]),
      let pages = UInt64(fields[21])
    else { return nil }
    let tick = 1_000_000_000 / UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    return ProcessUsage(
      parent: parent, startTime: start, processorNanoseconds: (user + system) * tick,
      residentBytes: pages * UInt64(max(1, sysconf(Int32(_SC_PAGESIZE)))))
  }
}
