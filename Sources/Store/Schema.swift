/// The tables of the record and their versions.
enum Schema {
  /// Of the schema below, kept in the file's user_version.
  static let version: Int64 = 1

  /// "hord" in the file's header, so that file(1) and people can tell whose database it is.
  static let applicationID: Int64 = 0x686f_7264

  /// `status` and `phase` hold the raw values of JobStatus and JobPhase; times are milliseconds since 1970, but
  /// deadline_boot, which is nanoseconds since the boot `deadline_boot_id`.
  ///
  /// `state` of an update: 0 waits for the facilitator, 1 accepted by it, 2 dead letter.
  static let tables = """
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
    """

  /// Makes the tables in a new file, and refuses a file of another schema.
  static func prepare(_ database: Database) throws(StoreError) {
    let query = try database.statement("PRAGMA user_version")
    let found = try query.step() ? query.integer(0) : 0
    query.reset()
    switch found {
    case version: return
    case 0:
      try database.execute(
        """
        BEGIN IMMEDIATE;
        \(tables)
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT
        """)
    default:
      throw StoreError(
        file: database.file, action: "opening the database",
        message: "its schema is version \(found), and this release knows \(version) only: "
          + "install the release that wrote it, or a later one", code: 0)
    }
  }
}
