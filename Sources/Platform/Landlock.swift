import CLinux
import Glibc

/// Keeps a file from processes that run as a user who could read it (landlock(7)). It takes no privileges where
/// no_new_privs is set.
enum Landlock {
  /// Whether this kernel has it and this process may use it.
  static var isUsable: Bool { landlock_version() > 0 && (no_new_privileges() == 1 || geteuid() == 0) }

  /// From now on this thread cannot read the file at that path, nor can the processes that it starts and theirs, for ever.
  ///
  /// Landlock can only allow: so they may read what lies in the folders above the file now, and nothing that is made there
  /// later. Below those, in `/usr` or `/run/user` for one, nothing changes. They cannot mount either, nor trace a process
  /// that is not under the same rule.
  static func hide(_ path: String) throws(SystemError) {
    // Moving a file to another folder has to be allowed by name since Linux 5.19, and cannot be before that.
    let moves = landlock_version() > 1 ? UInt64(LANDLOCK_ACCESS_FS_REFER) : 0
    let reads = UInt64(LANDLOCK_ACCESS_FS_READ_FILE)
    let rules = Descriptor(owning: try check("landlock_create_ruleset", path) { landlock_ruleset(reads | moves) })
    var folder = ""
    for name in real(path).split(separator: "/") {
      // A folder that this user cannot list has nothing that could be allowed.
      for other in (try? Files.names(in: folder + "/")) ?? [] where other != name {
        allow("\(folder)/\(other)", file: reads, folder: reads | moves, rules)
      }
      folder += "/" + name
    }
    try check("landlock_restrict_self", path) { landlock_restrict(rules.number) }
  }

  private static func allow(_ path: String, file: UInt64, folder: UInt64, _ rules: Descriptor) {
    let number = open(path, Int32(OPEN_PATH) | O_NOFOLLOW | O_CLOEXEC)
    // It may be gone by now, not be for this user, or be of a file system that has died: then it is not allowed.
    guard number >= 0 else { return }
    let place = Descriptor(owning: number)
    // A folder's rights are refused for a file (EINVAL). Asking what it is (fstat(2)) would wait for its file system, and one in
    // the network may be dead. A symbolic link's rule allows nothing: what it leads to has its own.
    if landlock_allow(rules.number, folder, place.number) != 0 { _ = landlock_allow(rules.number, file, place.number) }
  }

  /// The path without symbolic links; as it is where there is no such file yet.
  private static func real(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}
