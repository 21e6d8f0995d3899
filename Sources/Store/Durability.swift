import CSQLite
import Failpoints
import Platform

// What is read from the record must be on the disk before it counts, and SQLite syncs what it writes, not what it finds.
extension Database {
  /// Puts on the disk what an earlier process has left: the log, the database, and their names in the directory.
  ///
  /// A process that was killed in a sync, or left after one that failed, leaves commits in the log that the page cache
  /// shows and the disk may not have. After a failed sync the kernel takes those pages for clean, and a further sync
  /// alone writes nothing (https://wiki.postgresql.org/wiki/Fsync_Errors): so the log's bytes are written again first.
  /// The write lock keeps other connections from writing to the log meanwhile.
  func makeDurable() throws(StoreError) {
    #if DEBUG
      if Failpoint.isSet("store.open_without_sync") { return }
    #endif
    try execute("BEGIN IMMEDIATE")
    do throws(StoreError) {
      try rewriteLog()
      try sync(SQLITE_FCNTL_FILE_POINTER)
    } catch {
      try? execute("ROLLBACK")
      throw error
    }
    try execute("ROLLBACK")
    // SQLite syncs the directory when it makes a log, and takes no notice when that fails.
    do throws(SystemError) {
      try Files.syncDirectory(of: file)
    } catch {
      throw StoreError(file: file, action: "syncing the directory", message: error.description, code: SQLITE_IOERR)
    }
  }

  /// Writes a copy as `copy` does, which stays whatever happens to the database next.
  func keepCopy(_ other: String) throws(StoreError) {
    try copy(to: other)
    do throws(SystemError) {
      try Files.sync(other)
      try Files.syncDirectory(of: other)
    } catch {
      throw StoreError(file: other, action: "copying the database", message: error.description, code: SQLITE_IOERR)
    }
  }

  private func rewriteLog() throws(StoreError) {
    try withFile(SQLITE_FCNTL_JOURNAL_POINTER, doing: "writing the log again") { log, methods in
      var size: Int64 = 0
      var code = methods.xFileSize(log, &size)
      // SQLite takes at most 128 KiB in one write.
      var chunk = [UInt8](repeating: 0, count: 1 << 16)
      var offset: Int64 = 0
      while code == SQLITE_OK, offset < size {
        let count = Int32(min(Int64(chunk.count), size - offset))
        code = methods.xRead(log, &chunk, count, offset)
        if code == SQLITE_OK { code = methods.xWrite(log, chunk, count, offset) }
        offset += Int64(count)
      }
      return code == SQLITE_OK ? methods.xSync(log, SQLITE_SYNC_NORMAL) : code
    }
  }

  private func sync(_ which: Int32) throws(StoreError) {
    try withFile(which, doing: "syncing the database") { file, methods in methods.xSync(file, SQLITE_SYNC_NORMAL) }
  }

  /// Lets `body` use one of the connection's open files. Opened a second time and closed, it would lose SQLite's locks
  /// (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
  private func withFile(
    _ which: Int32, doing action: String, _ body: (UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods) -> Int32
  ) throws(StoreError) {
    var file: UnsafeMutablePointer<sqlite3_file>?
    var code = sqlite3_file_control(handle, "main", which, &file)
    // A file that is not open has no methods.
    if code == SQLITE_OK, let file, let methods = file.pointee.pMethods { code = body(file, methods.pointee) }
    guard code == SQLITE_OK else {
      leaveLogAtClose()
      throw StoreError(file: self.file, action: action, message: String(cString: sqlite3_errstr(code)), code: code)
    }
  }

  /// Moves the log into the database after a commit that makes it long, as SQLite does by itself, which hides errors:
  /// after a failed sync the next checkpoint would take what it wrote before for written. Here the commit fails.
  func checkpointAfterCommits() {
    sqlite3_wal_hook(
      handle,
      { _, handle, name, pages in
        guard pages >= 1000 else { return SQLITE_OK }
        let code = sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
        // A log that cannot be moved now, because somebody reads or the disk is full, is moved after a later commit.
        return [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL].contains(code & 0xff) ? SQLITE_OK : code
      }, nil)
  }

  /// Moves all of the log into the database and syncs both.
  func checkpoint() throws(StoreError) {
    let code = sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw error(code, doing: "moving the log into the database") }
  }

  /// Closing leaves the log as it is: nothing of it goes into the database, and it is not removed.
  func leaveLogAtClose() { sqlite3_keep_log_at_close(handle) }
}
