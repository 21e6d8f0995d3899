import Glibc

/// The tables of the record and their versions.
enum Schema {
  /// "hord" in the file's header, so that file(1) and people can tell whose database it is.
  static let applicationID: Int64 = 0x686f_7264

  /// What makes each version from the one before it, the first from nothing. What has been released never changes.
  ///
  /// `status` and `phase` hold the raw values of JobStatus and JobPhase; times are milliseconds since 1970, but
  /// deadline_boot, which is nanoseconds since the boot `deadline_boot_id`. `state` of an update: 0 waits for the
  /// facilitator, 1 accepted by it, 2 dead letter, 3 dropped by a person. `expired` jobs have no updates any more but
  /// dead letters. A cheat report that the hook has taken has an empty body: its signature stays known. `meta` has the key `restored` in a backup. `for_hook` holds the updates that wait for
  /// on_status_update, whatever becomes of them elsewhere, with the numbers they have in `updates`.
  static let migrations = [
    """
    CREATE TABLE jobs (
      id INTEGER PRIMARY KEY,
      uuid TEXT NOT NULL UNIQUE,
      phase INTEGER NOT NULL,
      received_at INTEGER NOT NULL,
      closed_at INTEGER,
      limit_seconds INTEGER NOT NULL,
      deadline_boot INTEGER,
      deadline_boot_id TEXT,
      deadline_wall INTEGER,
      command_pid INTEGER,
      command_start INTEGER,
      command_boot_id TEXT,
      exit_code INTEGER,
      exit_signal INTEGER,
      exit_stored INTEGER NOT NULL DEFAULT 0,
      signature_hash BLOB UNIQUE,
      body BLOB
    ) STRICT;
    CREATE INDEX jobs_open ON jobs (id) WHERE phase < 3;
    CREATE INDEX jobs_closed ON jobs (closed_at) WHERE phase = 3;
    CREATE TABLE updates (
      id INTEGER PRIMARY KEY,
      job INTEGER NOT NULL REFERENCES jobs (id),
      status INTEGER NOT NULL,
      state INTEGER NOT NULL DEFAULT 0,
      attempts INTEGER NOT NULL DEFAULT 0,
      stored_at INTEGER NOT NULL,
      settled_at INTEGER,
      error TEXT,
      metadata BLOB,
      UNIQUE (job, status)
    ) STRICT;
    CREATE TABLE specs (
      number INTEGER PRIMARY KEY,
      miner TEXT NOT NULL UNIQUE,
      batch TEXT NOT NULL,
      specs BLOB NOT NULL
    ) STRICT;
    CREATE TABLE cheats (
      number INTEGER PRIMARY KEY,
      signature_hash BLOB NOT NULL UNIQUE,
      received_at INTEGER NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX updates_waiting ON updates (id) WHERE state = 0;
    CREATE INDEX updates_dead ON updates (id) WHERE state = 2;
    """,
    """
    ALTER TABLE jobs ADD COLUMN ended_at INTEGER;
    ALTER TABLE jobs ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET body = NULL, ended_at = (SELECT max(stored_at) FROM updates WHERE job = jobs.id) WHERE phase >= 2;
    UPDATE updates SET metadata = NULL WHERE state = 1;
    DROP INDEX jobs_open;
    DROP INDEX jobs_closed;
    CREATE INDEX jobs_open ON jobs (id) WHERE phase < 2;
    CREATE INDEX jobs_ended ON jobs (ended_at) WHERE phase >= 2;
    CREATE INDEX jobs_closed ON jobs (closed_at) WHERE phase = 3 AND expired = 0;
    CREATE INDEX jobs_expired ON jobs (closed_at) WHERE expired = 1;
    CREATE TABLE attempts (
      update_id INTEGER NOT NULL REFERENCES updates (id) ON DELETE CASCADE,
      at INTEGER NOT NULL,
      error TEXT NOT NULL
    ) STRICT;
    CREATE INDEX attempts_of_update ON attempts (update_id);
    INSERT INTO attempts (update_id, at, error)
      SELECT id, coalesce(settled_at, stored_at), error FROM updates WHERE error IS NOT NULL;
    ALTER TABLE updates DROP COLUMN error;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE for_hook (
      id INTEGER PRIMARY KEY,
      job TEXT NOT NULL,
      status INTEGER NOT NULL,
      stored_at INTEGER NOT NULL,
      metadata BLOB
    ) STRICT;
    ALTER TABLE jobs ADD COLUMN is_task INTEGER NOT NULL DEFAULT 0;
    """,
  ]

  /// Of the newest schema, kept in the file's user_version.
  static let version = Int64(migrations.count)

  /// Makes the tables in a new file, brings an older schema up to this one after the file has been copied, and
  /// refuses a newer one, and a file that is not new and has none.
  static func prepare(_ database: Database, isNew: Bool = false) throws(StoreError) {
    let query = try database.statement("PRAGMA user_version")
    let found = try query.step() ? query.integer(0) : 0
    query.reset()
    guard found != version else { return }
    guard (0..<version).contains(found) else {
      throw StoreError(
        file: database.file, action: "opening the database",
        message: "its schema is version \(found), and this release knows up to \(version): "
          + "install the release that wrote it, or a later one", code: 0)
    }
    guard found > 0 || isNew else { throw StoreError.damaged(database.file, "there is no record in it") }
    if found > 0 { try database.keepCopy("\(database.file).v\(found)") }
    try database.execute(
      """
      BEGIN IMMEDIATE;
      \(migrations[Int(found)...].joined(separator: "\n"))
      PRAGMA application_id = \(applicationID);
      PRAGMA user_version = \(version);
      COMMIT
      """)
  }
}
