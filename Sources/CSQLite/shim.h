#include <sqlite3.h>

// sqlite3_db_config(): what follows the option varies, which Swift cannot call
static inline int sqlite3_keep_log_at_close(sqlite3 *database) {
  return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
