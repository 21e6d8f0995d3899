import CLinux
import Glibc

/// Files and directories.
public enum Files {
  /// The error of a file that is larger than `read` was told.
  public static let tooLarge = EFBIG

  /// The whole of a small file.
  /// - Parameter limit: a larger file is an error (EFBIG).
  public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    let file = Descriptor(owning: try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
    var content: [UInt8] = []
    while let bytes = try file.read(upTo: 65_536), !bytes.isEmpty {
      content += bytes
      guard content.count <= limit else { throw SystemError("read", path, code: tooLarge) }
    }
    return content
  }

  /// Reads the whole of a small file into memory of the caller's, and nowhere else: for a secret.
  ///
  /// - Parameter memory: a file that does not fit is an error (EFBIG).
  /// - Returns: how many bytes the file has.
  public static func read(_ path: String, into memory: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    let file = Descriptor(owning: try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
    var count = 0
    while true {
      let rest = UnsafeMutableRawBufferPointer(rebasing: memory[count...])
      // Where the memory is full, a byte more shows whether the file is.
      var one: UInt8 = 0
      let read = try check("read", path) {
        rest.isEmpty ? Glibc.read(file.number, &one, 1) : Glibc.read(file.number, rest.baseAddress, rest.count)
      }
      if read == 0 { return count }
      guard !rest.isEmpty else { throw SystemError("read", path, code: tooLarge) }
      count += read
    }
  }

  /// The permission bits of what is at that path, symbolic links followed.
  public static func mode(_ path: String) throws(SystemError) -> mode_t {
    var status = stat()
    try check("stat", path) { stat(path, &status) }
    return status.st_mode & 0o7777
  }

  /// Makes a directory of that mode where there is none.
  public static func makeDirectory(_ path: String, mode: mode_t) throws(SystemError) {
    if mkdir(path, mode) != 0, errno != EEXIST { throw SystemError("mkdir", path) }
  }

  /// Removes a file; one that is not there is no error.
  public static func remove(_ path: String) throws(SystemError) {
    if unlink(path) != 0, errno != ENOENT { throw SystemError("unlink", path) }
  }

  /// Puts on the disk what has happened to the names in a file's directory (fsync(2)).
  public static func syncDirectory(of path: String) throws(SystemError) {
    let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let folder = Descriptor(
      owning: try check("open", directory) { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
    try check("fsync", directory) { fsync(folder.number) }
  }

  /// Puts on the disk what was written to a file (fsync(2)).
  public static func sync(_ path: String) throws(SystemError) {
    let file = Descriptor(owning: try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
    try check("fsync", path) { fsync(file.number) }
  }

  /// Removes an empty directory; one that is not there is no error.
  public static func removeDirectory(_ path: String) throws(SystemError) {
    if rmdir(path) != 0, errno != ENOENT { throw SystemError("rmdir", path) }
  }

  /// The names in a directory, `.` and `..` left out; none when there is no such directory.
  public static func names(in path: String) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw SystemError("opendir", path)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Takes the exclusive lock on a file, made where there is none, and writes into it who we are: our pid, and on
  /// a second line when we started and in which boot.
  ///
  /// - Returns: the open file, which holds the lock as long as it lives; or who holds it.
  public static func lock(_ path: String) throws(SystemError) -> LockResult {
    let file = Descriptor(owning: try check("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640) })
    if flock(file.number, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK else { throw SystemError("flock", path) }
      let words = String(decoding: try file.read(upTo: 256) ?? [], as: UTF8.self).split(whereSeparator: \.isWhitespace)
      return .held(
        by: LockHolder(
          pid: words.first.flatMap { pid_t($0) } ?? 0, startTime: words.dropFirst().first.flatMap { UInt64($0) },
          bootID: words.dropFirst(2).first.map { String($0) }))
    }
    try check("ftruncate", path) { ftruncate(file.number, 0) }
    let start = ProcessTable.startTime(of: getpid()).map { "\($0)" } ?? ""
    let text = Array("\(getpid())\n\(start) \(try Clock.bootID())\n".utf8)
    try check("write", path) { pwrite(file.number, text, text.count, 0) }
    return .locked(file)
  }

  public enum LockResult {
    case locked(Descriptor)
    case held(by: LockHolder)
  }

  /// Who holds a lock, by what it has written into the file.
  public struct LockHolder: Sendable, CustomStringConvertible {
    /// 0 if it cannot be read.
    public var pid: pid_t
    /// In clock ticks after boot; nil when an earlier release has taken the lock.
    public var startTime: UInt64?
    public var bootID: String?

    public var description: String { "\(pid)" }
  }

  /// An anonymous file with this content, read from its start: what a command finds on its standard input.
  public static func inMemory(_ content: [UInt8], name: String) throws(SystemError) -> Descriptor {
    let file = Descriptor(owning: try check("memfd_create", name) { memfd_create(name, UInt32(MEMFD_CLOSE_ON_EXEC)) })
    var written = 0
    while written < content.count {
      written += try content[written...].withUnsafeBytes { rest -> Result<Int, SystemError> in
        do throws(SystemError) {
          return .success(
            try check("write", name) { Glibc.write(file.number, rest.baseAddress, rest.count) })
        } catch { return .failure(error) }
      }.get()
    }
    try check("lseek", name) { lseek(file.number, 0, SEEK_SET) }
    return file
  }

  /// A pipe, both ends close-on-exec; the reading end is non-blocking.
  public static func pipe() throws(SystemError) -> (reading: Descriptor, writing: Descriptor) {
    var numbers: [Int32] = [-1, -1]
    try check("pipe2", "for a command's output") { pipe2(&numbers, O_CLOEXEC) }
    let ends = (Descriptor(owning: numbers[0]), Descriptor(owning: numbers[1]))
    try ends.0.setNonBlocking()
    return ends
  }
}
