import Glibc
import Platform

/// A file whose only purpose is its size: when the disk has no room, it is given up, so that the jobs that run can
/// still end. Source: posix_fallocate(3).
public struct Reserve {
  /// In bytes: the terminal statuses of some thousand jobs, and SQLite's log.
  public static let size = 64 << 20
  private let path: String

  /// - Parameter directory: the state directory.
  public init(directory: String) { path = directory + "/hordelink.reserve" }

  /// Makes the file where there is none and the disk has twice its room: what is written next needs some too.
  /// - Returns: whether there is one now.
  public func make() -> Bool {
    var found = stat()
    if lstat(path, &found) == 0 {
      if found.st_size >= off_t(Self.size) { return true }
      // Nobody syncs it: after a power cut it may be there and have no room in it.
      unlink(path)
    }
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
    var file = statvfs()
    guard statvfs(folder, &file) == 0 else { return false }
    // A file system in user space may say anything.
    let (free, isHuge) = UInt64(file.f_bavail).multipliedReportingOverflow(by: UInt64(file.f_frsize))
    guard isHuge || free >= 2 * Self.size else { return false }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    guard posix_fallocate(descriptor, 0, off_t(Self.size)) == 0 else {
      unlink(path)
      return false
    }
    return true
  }

  /// Gives up the file. Returns false when there was none.
  public func giveUp() -> Bool { unlink(path) == 0 }
}
