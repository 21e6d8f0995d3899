import Glibc
import Platform

/// A copy of a record that is in use.
public enum Backup {
  /// Copies the record as it is at one moment, while the service goes on writing or while it is stopped.
  ///
  /// The copy is marked: whoever opens it as a record ends the jobs that were open in it, and starts none of them again.
  ///
  /// - Parameters:
  ///   - record: the database's file.
  ///   - file: where the copy goes; must not exist. Only its owner can read it, and it is complete once it has its name.
  public static func write(of record: String, to file: String) throws(StoreError) {
    guard access(file, F_OK) != 0 else {
      throw StoreError(
        file: file, action: "writing a backup", message: "there is such a file already: name another, or remove it",
        code: 0)
    }
    let partial = file + ".partial"
    // SQLite does not say why it cannot make a file.
    let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? "."
    guard access(folder, W_OK | X_OK) == 0 else {
      throw StoreError(
        file: file, action: "writing a backup", message: "\(SystemError("open", folder)): name another directory",
        code: 0)
    }
    let mask = umask(0o077)
    defer { umask(mask) }
    do throws(StoreError) {
      try Database(file: record, mustExist: true).copy(to: partial)
      let copy = try Database(file: partial, mustExist: true)
      // A file that stands alone, and is on the disk when it gets its name.
      try copy.execute("PRAGMA journal_mode = DELETE")
      try copy.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('restored', 'from a backup')")
    } catch {
      unlink(partial)
      throw error
    }
    guard rename(partial, file) == 0 else {
      let error = SystemError("rename", file)
      unlink(partial)
      throw StoreError(file: file, action: "writing a backup", message: error.description, code: 0)
    }
  }
}
