/* Floors: what the machine itself takes for the steps that hordelink consists of, without hordelink.

     hordelink-bench-floor spawn [SECONDS]
     hordelink-bench-floor pingpong [SECONDS]
     hordelink-bench-floor group-commit [SECONDS [FOLDER [BATCH METADATA]]]

   One JSON line a figure on standard output. SECONDS is what each figure takes in all, 10 at most; FOLDER,
   /tmp by default, is where the databases of group-commit are made and removed; BATCH, the rows of a transaction, and
   METADATA, the bytes of a row, are one of its figures instead of all. */

#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what, const char *subject) {
  fprintf(stderr, "hordelink-bench-floor: %s: %s: %s\n", what, subject, strerror(errno));
  exit(1);
}

int64_t now_nanoseconds(void) {
  struct timespec time;
  if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) fail("clock_gettime", "CLOCK_MONOTONIC");
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void print_figure(const char *benchmark, const char *parameters, const char *figure, const char *unit,
                  const double values[REPETITIONS]) {
  printf("{\"benchmark\":\"%s\",\"subject\":\"floor\",\"parameters\":%s,\"figure\":\"%s\",\"unit\":\"%s\",\"values\":[",
         benchmark, parameters, figure, unit);
  for (int index = 0; index < REPETITIONS; index++) printf("%s%.6g", index ? "," : "", values[index]);
  puts("]}");
  fflush(stdout);
}

/* hordelink-bench-exit, which lies beside this program. */
static const char *static_program(void) {
  static char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
  if (length < 0) fail("readlink", "/proc/self/exe");
  path[length] = 0;
  char *slash = strrchr(path, '/');
  strcpy(slash ? slash + 1 : path, "hordelink-bench-exit");
  if (access(path, X_OK) != 0) fail("make bench makes it", path);
  return path;
}

static int usage(void) {
  fputs("usage: hordelink-bench-floor spawn|pingpong|group-commit [SECONDS [FOLDER [BATCH METADATA]]]\n", stderr);
  return 64;
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  double seconds = count > 2 ? atof(arguments[2]) : 5;
  int valid = seconds > 0 && seconds <= 10;
  double each = seconds / REPETITIONS;
  if (valid && strcmp(what, "spawn") == 0) {
    floor_spawn(each, static_program(), "static");
    floor_spawn(each, "/bin/true", "dynamic");
  } else if (valid && strcmp(what, "pingpong") == 0) {
    floor_pingpong(each, 1);
    floor_pingpong(each, 64);
  } else if (valid && strcmp(what, "group-commit") == 0) {
    static const int batches[] = {1, 8, 64, 512, 4096};
    static const int sizes[] = {0, 200, 1024};
    const char *folder = count > 3 ? arguments[3] : "/tmp";
    if (count > 5) {
      int batch = atoi(arguments[4]), size = atoi(arguments[5]);
      if (batch < 1 || batch > 100000 || size < 0 || size > 1 << 20) return usage();
      for (int deletes = 0; deletes < 2; deletes++) floor_group_commit(each, folder, batch, size, deletes);
      return 0;
    }
    for (int size = 0; size < 3; size++)
      for (int batch = 0; batch < 5; batch++)
        for (int deletes = 0; deletes < 2; deletes++)
          floor_group_commit(each, folder, batches[batch], sizes[size], deletes);
  } else {
    return usage();
  }
  return 0;
}
