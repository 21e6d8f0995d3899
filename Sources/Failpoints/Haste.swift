import Glibc

/// Makes Uplink's clock run faster in debug builds, so that a test sees waits of minutes in seconds; release builds
/// hold nothing of it.
public enum Haste {
  #if DEBUG
    /// The environment variable that says how many times as fast, from 2 to 100.
    public static let variable = "HORDELINK_HASTE"

    private static let factor = min(max(getenv(variable).flatMap { Int64(String(cString: $0)) } ?? 1, 1), 100)
    private static let origin = now()

    private static func now() -> Int64 {
      var time = timespec()
      clock_gettime(CLOCK_BOOTTIME, &time)
      return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
  #endif

  /// Nanoseconds on the clock that runs faster, which agreed with the true one when this was first asked for.
  public static func hurried(_ nanoseconds: Int64) -> Int64 {
    #if DEBUG
      guard factor > 1 else { return nanoseconds }
      return origin + (nanoseconds - origin) * factor
    #else
      return nanoseconds
    #endif
  }

  /// True nanoseconds in which that many pass on the clock that runs faster.
  public static func real(_ nanoseconds: Int64) -> Int64 {
    #if DEBUG
      return nanoseconds / factor
    #else
      return nanoseconds
    #endif
  }
}
