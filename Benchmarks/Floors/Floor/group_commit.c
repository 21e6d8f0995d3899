#define _GNU_SOURCE
#include "floor.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The outbox as Sources/Store/Schema.swift has it, with what it refers to, and the settings of
   Sources/Store/Database.swift. A copy: a floor stays where it is when the Store changes. */
static const char *const schema =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA trusted_schema = OFF;"
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE updates ("
    "  id INTEGER PRIMARY KEY,"
    "  job INTEGER NOT NULL REFERENCES jobs (id),"
    "  status INTEGER NOT NULL,"
    "  state INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  stored_at INTEGER NOT NULL,"
    "  settled_at INTEGER,"
    "  metadata BLOB,"
    "  UNIQUE (job, status)"
    ") STRICT;"
    "CREATE INDEX updates_waiting ON updates (id) WHERE state = 0;"
    "CREATE INDEX updates_dead ON updates (id) WHERE state = 2;"
    "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 1000000)"
    "  INSERT INTO jobs SELECT number FROM numbers;";

/* Jobs that report at the same time, and how often each does. */
enum { OPEN = 1000, STATUSES = 7 };

static int64_t job_of(int64_t row) { return row / (OPEN * STATUSES) * OPEN + row % OPEN; }
static int64_t status_of(int64_t row) { return row % (OPEN * STATUSES) / OPEN; }

static void check(sqlite3 *database, int code, const char *doing) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return;
  fprintf(stderr, "hordelink-bench-floor: %s: %s\n", doing, sqlite3_errmsg(database));
  exit(1);
}

static void execute(sqlite3 *database, const char *sql) { check(database, sqlite3_exec(database, sql, 0, 0, 0), sql); }

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql) {
  sqlite3_stmt *statement = NULL;
  check(database, sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), sql);
  return statement;
}

static void run(sqlite3 *database, sqlite3_stmt *statement) {
  check(database, sqlite3_step(statement), sqlite3_sql(statement));
  check(database, sqlite3_reset(statement), sqlite3_sql(statement));
}

static void remove_database(const char *file) {
  static const char *const suffixes[] = {"", "-wal", "-shm"};
  char name[4128];
  for (int index = 0; index < 3; index++) {
    snprintf(name, sizeof name, "%s%s", file, suffixes[index]);
    unlink(name);
  }
}

void floor_group_commit(double seconds, const char *folder, int batch, int metadata, int deletes) {
  char directory[4000], file[4096];
  snprintf(directory, sizeof directory, "%s/hordelink-floor-XXXXXX", folder);
  if (mkdtemp(directory) == NULL) fail("mkdtemp", directory);
  snprintf(file, sizeof file, "%s/floor.db", directory);
  sqlite3 *database = NULL;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  int code = sqlite3_open_v2(file, &database, flags, NULL);
  check(database, code, file);
  execute(database, schema);
  sqlite3_stmt *begin = prepare(database, "BEGIN IMMEDIATE"), *commit = prepare(database, "COMMIT");
  sqlite3_stmt *insert =
      prepare(database, "INSERT INTO updates (id, job, status, stored_at, metadata) VALUES (?, ?, ?, ?, ?)");
  sqlite3_stmt *delete = prepare(database, "DELETE FROM updates WHERE id = ?");
  char *bytes = malloc((size_t)metadata + 1);
  if (bytes == NULL) fail("malloc", "metadata");
  memset(bytes, 'x', (size_t)metadata);

  double values[REPETITIONS];
  int64_t id = 0;
  for (int repetition = 0; repetition < REPETITIONS; repetition++) {
    int64_t start = now_nanoseconds(), first = id, elapsed;
    do {
      run(database, begin);
      int64_t end = id + batch;
      for (; id < end; id++) {
        sqlite3_bind_int64(insert, 1, id + 1);
        sqlite3_bind_int64(insert, 2, job_of(id) + 1);
        sqlite3_bind_int64(insert, 3, status_of(id));
        sqlite3_bind_int64(insert, 4, 1764000000000);
        if (metadata > 0) sqlite3_bind_blob64(insert, 5, bytes, (sqlite3_uint64)metadata, SQLITE_STATIC);
        run(database, insert);
      }
      if (deletes) {
        for (int64_t old = id - 2 * batch; old < id - batch; old++) {
          if (old < 0) continue;
          sqlite3_bind_int64(delete, 1, old + 1);
          run(database, delete);
        }
      }
      run(database, commit);
      elapsed = now_nanoseconds() - start;
    } while ((double)elapsed < seconds * 1e9);
    values[repetition] = (double)(id - first) / ((double)elapsed / 1e9);
  }

  sqlite3_stmt *statements[] = {begin, commit, insert, delete};
  for (int index = 0; index < 4; index++) sqlite3_finalize(statements[index]);
  check(database, sqlite3_close(database), file);
  free(bytes);
  remove_database(file);
  rmdir(directory);
  char parameters[128];
  snprintf(parameters, sizeof parameters, "{\"batch\":%d,\"metadata\":%d,\"deletes\":%s}", batch, metadata,
           deletes ? "true" : "false");
  print_figure("group-commit", parameters, "rows a second", "1/s", values);
}
