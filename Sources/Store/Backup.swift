import CSQLite
import Glibc
import Platform

/// A copy of a record that is in use.
public enum Backup {
  /// Copies the record as it is at one moment, while the service goes on writing or while it is stopped.
  ///
  /// The copy is marked: whoever opens it as a record ends the jobs that were open in it, and starts none of them again.
  ///
  /// Root may call this where others may write: no symbolic link is followed but those in the two directories' own names,
  /// and the copy is written where nobody else can enter.
  ///
  /// - Parameters:
  ///   - record: the database's file. Its log stays as it is.
  ///   - file: where the copy goes; must not exist. Only its owner can read it, and it is complete and on the disk once
  ///     it has its name.
  public static func write(of record: String, to file: String) throws(StoreError) {
    var status = stat()
    // SQLite does not say why it cannot open one.
    if lstat(record, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
      throw StoreError(
        file: record, action: "writing a backup",
        message: "it is a symbolic link, which is not followed: give the directory of the file that it leads to with "
          + "--state-directory", code: 0)
    }
    if lstat(file, &status) == 0 { throw failure(file, SystemError("rename", file, code: EEXIST)) }
    let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? "."
    let name = file.lastIndex(of: "/").map { String(file[file.index(after: $0)...]) } ?? file
    let mask = umask(0o077)
    defer { umask(mask) }
    let place: PrivateFolder
    do throws(SystemError) { place = try PrivateFolder(in: folder) } catch { throw failure(file, error) }
    defer { place.remove(["", "-journal", "-wal", "-shm"].map { "record" + $0 }) }
    let partial = place.path("record")
    do throws(StoreError) {
      try copy(record, to: partial)
    } catch {
      var named = error
      if named.file == partial { named.file = file }
      throw named
    }
    do throws(SystemError) { try place.publish("record", as: name) } catch { throw failure(file, error) }
  }

  private static func copy(_ record: String, to partial: String) throws(StoreError) {
    let source = try Database(file: record, mustExist: true, vfs: FilesAsNamed.vfs)
    // The record's owner decides when its log goes into it, once that is on the disk.
    source.leaveLogAtClose()
    try source.copy(to: partial)
    let copy = try Database(file: partial, mustExist: true, vfs: FilesAsNamed.vfs)
    // A file that stands alone.
    try copy.execute("PRAGMA journal_mode = DELETE")
    try copy.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('restored', 'from a backup')")
  }

  private static func failure(_ file: String, _ error: SystemError) -> StoreError {
    StoreError(
      file: file, action: "writing a backup",
      message: error.code == EEXIST
        ? "there is such a file already: name another, or remove it" : "\(error): name another directory", code: 0)
  }
}

/// SQLite's usual way to files but for one thing: it takes a path as it is. Otherwise it would resolve links beforehand and
/// open what the path led to then. Source: https://sqlite.org/c3ref/vfs.html
private enum FilesAsNamed {
  /// Its name for `sqlite3_open_v2`, under which it is registered by the first use.
  static let vfs: String? = {
    guard let usual = sqlite3_vfs_find(nil) else { return nil }
    let name: StaticString = "hordelink-as-named"
    // SQLite keeps it for as long as the process lives.
    let own = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
    own.initialize(to: usual.pointee)
    own.pointee.pNext = nil
    own.pointee.zName = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    own.pointee.xFullPathname = { _, path, size, result in
      guard let path, let result, strlen(path) < size else { return SQLITE_CANTOPEN }
      strcpy(result, path)
      return SQLITE_OK
    }
    return sqlite3_vfs_register(own, 0) == SQLITE_OK ? "\(name)" : nil
  }()
}
