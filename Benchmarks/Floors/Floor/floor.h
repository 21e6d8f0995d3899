/* What the floors share: time, medians' raw values, and errors. */

#ifndef HORDELINK_FLOOR_H
#define HORDELINK_FLOOR_H

#include <stdint.h>

/* Repetitions of each figure. Their median is what counts. */
enum { REPETITIONS = 5 };

/* Says what failed, with errno's words, and exits with 1. */
_Noreturn void fail(const char *what, const char *subject);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t now_nanoseconds(void);

/* One JSON line: a figure's values, one for each repetition. `parameters` is a JSON object. */
void print_figure(const char *benchmark, const char *parameters, const char *figure, const char *unit,
                  const double values[REPETITIONS]);

/* Each takes the seconds that one repetition lasts. */

/* posix_spawn of `program` and its end waited for, one after the other. `kind` says what it is. */
void floor_spawn(double seconds, const char *program, const char *kind);

/* `size` bytes there and back over a Unix socket between two processes. */
void floor_pingpong(double seconds, int size);

/* SQLite's own group commit in a new database in `folder`: transactions that insert `batch` rows with `metadata` bytes
   each, and, if `deletes`, remove those of the transaction before. */
void floor_group_commit(double seconds, const char *folder, int batch, int metadata, int deletes);

#endif
