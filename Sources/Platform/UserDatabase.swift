import Glibc

/// A user of this machine, as its databases have them (getpwnam(3), nsswitch.conf(5)). They may lie in the network: asking
/// can take as long as a server does.
public struct User: Sendable, Hashable {
  public var uid: uid_t
  public var gid: gid_t
  public var home: String

  /// - Returns: nil when there is no such user.
  public init?(named name: String) throws(SystemError) {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    // The longest entry that is taken; others are an error (ERANGE).
    var text = [CChar](repeating: 0, count: 1 << 16)
    let code = getpwnam_r(name, &entry, &text, text.count, &found)
    guard found != nil else {
      // Some databases call it an error that they have no such entry.
      guard code == 0 || [ENOENT, ESRCH, EBADF, EPERM].contains(code) else {
        throw SystemError("getpwnam_r", name, code: code)
      }
      return nil
    }
    (uid, gid) = (entry.pw_uid, entry.pw_gid)
    home = String(cString: entry.pw_dir)
  }
}
