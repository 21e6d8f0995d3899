import Glibc

/// The clocks, read in one place.
public enum Clock {
  /// Nanoseconds since boot, suspend included (CLOCK_BOOTTIME, clock_gettime(2)).
  public static var bootNanoseconds: Int64 { nanoseconds(CLOCK_BOOTTIME) }

  /// Microseconds on the clock that systemd's messages are told by (CLOCK_MONOTONIC, sd_notify(3)).
  public static var monotonicMicroseconds: Int64 { nanoseconds(CLOCK_MONOTONIC) / 1000 }

  /// Milliseconds since 1970 (CLOCK_REALTIME).
  public static var wallMilliseconds: Int64 { nanoseconds(CLOCK_REALTIME) / 1_000_000 }

  private static func nanoseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // It fails only for a clock that does not exist or memory that is not ours.
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// What tells this boot from every other.
  public static func bootID() throws(SystemError) -> String {
    let bytes = try Files.read("/proc/sys/kernel/random/boot_id", limit: 64)
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }
}
