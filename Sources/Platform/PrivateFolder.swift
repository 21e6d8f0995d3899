import CLinux
import Glibc

/// A new directory inside another, that nobody else can enter, for a file that is to appear in the other once it is
/// whole.
///
/// Others may write in the other directory and the caller may be root: the new one is held open and reached by its
/// descriptor, so that neither a link nor a renaming leads elsewhere.
public struct PrivateFolder {
  private let parent: Descriptor
  private let parentPath: String
  private let folder: Descriptor
  private let name: String

  /// - Parameter directory: in which it is made.
  public init(in directory: String) throws(SystemError) {
    parentPath = directory
    parent = Descriptor(
      owning: try check("open", directory) { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
    var generator = SystemRandomNumberGenerator()
    let name = ".hordelink-\(String(generator.next(), radix: 16))"
    let (number, mode) = (parent.number, mode_t(0o700))
    try check("mkdir", "\(directory)/\(name)") { mkdirat(number, name, mode) }
    self.name = name
    // Whoever may rename in the other directory may have put another in its place.
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    folder = Descriptor(owning: try check("open", "\(directory)/\(name)") { openat(number, name, flags) })
    var status = stat()
    try check("fstat", "\(directory)/\(name)") { fstat(folder.number, &status) }
    guard status.st_uid == geteuid(), status.st_mode & 0o7777 & ~mode == 0 else {
      throw SystemError("open", "\(directory)/\(name)", code: EPERM)
    }
  }

  /// A path to a file in it, for as long as this lives. It must not be resolved beforehand.
  public func path(_ file: String) -> String { "/proc/self/fd/\(folder.number)/\(file)" }

  /// Gives a file in it a name in the other directory, and puts both on the disk. A file that is there already is an
  /// error (EEXIST).
  public func publish(_ file: String, as newName: String) throws(SystemError) {
    let path = "\(parentPath)/\(newName)"
    let content = Descriptor(
      owning: try check("open", path) { openat(folder.number, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) })
    try check("fsync", path) { fsync(content.number) }
    do throws(SystemError) {
      try check("rename", path) { renameat2(folder.number, file, parent.number, newName, UInt32(RENAME_ONLY_NEW)) }
    } catch {
      // Not every file system, NFS for one, can refuse to replace; each that has links can refuse to make one.
      guard error.code == EINVAL else { throw error }
      try check("link", path) { linkat(folder.number, file, parent.number, newName, 0) }
    }
    try check("fsync", parentPath) { fsync(parent.number) }
  }

  /// Removes it with the files of these names in it.
  public func remove(_ files: [String]) {
    for file in files { unlinkat(folder.number, file, 0) }
    unlinkat(parent.number, name, AT_REMOVEDIR)
  }
}
