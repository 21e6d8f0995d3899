import CLinux
import Glibc

/// Whether this process leaves a core and lets processes of its user look into its memory (prctl(2), PR_SET_DUMPABLE).
public enum Dumpable {
  /// The environment variable that keeps both as they are, for somebody who debugs: `HORDELINK_DUMPABLE=1`.
  public static let variable = "HORDELINK_DUMPABLE"

  /// From now on there is no core, and only root can trace this process, read its memory or take its descriptors,
  /// unless `variable` is set to 1.
  ///
  /// Until this is called it is as execve(2) made it: open to its user, and closed if that user may not read its program.
  /// Whoever opened its memory before keeps it open.
  ///
  /// Its /proc/PID belongs to root then: others still read `stat` and `status`, and no longer `fd`, `environ` or `smaps`.
  /// A program that this process starts begins without it.
  public static func off() throws(SystemError) {
    if let value = getenv(variable), String(cString: value) == "1" {
      // The installed programs cannot be read, and so begin without it.
      try check("prctl", "PR_SET_DUMPABLE") { set_dumpable(1) }
      return
    }
    try check("prctl", "PR_SET_DUMPABLE") { set_dumpable(0) }
  }
}
