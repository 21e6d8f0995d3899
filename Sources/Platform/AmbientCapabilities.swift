import CLinux
import Glibc

/// Capabilities that a service without root has been given and that each program it starts would have too
/// (capabilities(7), the ambient set; AmbientCapabilities= in systemd.exec(5)). They are this thread's.
public enum AmbientCapabilities {
  /// Has programs that are started from now on get none. This process keeps its own.
  public static func clear() throws(SystemError) {
    try check("prctl", "PR_CAP_AMBIENT") { ambient_capability(UInt(AMBIENT_CLEAR_ALL), 0) }
  }

  /// Has programs that are started from now on get those to become another user, as far as this process was given them.
  /// Root's programs need none.
  static func raiseForAnotherUser() {
    for capability in [CAPABILITY_SETGID, CAPABILITY_SETUID] {
      _ = ambient_capability(UInt(AMBIENT_RAISE), UInt(capability))
    }
  }
}
