import Glibc

/// Time on a processor to the nanosecond, where ``ProcessUsage`` has the clock ticks of /proc.
extension ProcessTable {
  /// What a process and all of its threads have had so far, in nanoseconds; nil when there is no such process.
  /// Source: clock_getcpuclockid(3).
  public static func processorTime(of pid: pid_t) -> Int64? {
    var clock = clockid_t()
    guard clock_getcpuclockid(pid, &clock) == 0 else { return nil }
    return time(on: clock)
  }

  /// What the children of a process have had that it has reaped, with theirs, in nanoseconds and in steps of a clock
  /// tick. Source: proc(5), /proc/PID/stat, fields 16 and 17.
  public static func reapedProcessorTime(of pid: pid_t) -> Int64? {
    guard let fields = statFields(of: pid), fields.count > 14, let user = Int64(fields[13]),
      let system = Int64(fields[14])
    else { return nil }
    return (user + system) * (1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK)))))
  }

  /// What a thread of this process has had so far, in nanoseconds; nil when it is no more.
  public static func processorTime(ofThread thread: pthread_t) -> Int64? {
    var clock = clockid_t()
    guard pthread_getcpuclockid(thread, &clock) == 0 else { return nil }
    return time(on: clock)
  }

  private static func time(on clock: clockid_t) -> Int64? {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else { return nil }
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
