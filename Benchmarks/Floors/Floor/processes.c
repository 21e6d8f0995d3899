#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

void floor_spawn(double seconds, const char *program, const char *kind) {
  /* More than can be started in the time. */
  size_t room = (size_t)(seconds * 100000) + 1;
  double *times = malloc(room * sizeof *times);
  if (times == NULL) fail("malloc", "times");
  double values[REPETITIONS];
  for (int repetition = 0; repetition < REPETITIONS; repetition++) {
    int64_t begin = now_nanoseconds(), start = begin, end = begin;
    size_t count = 0;
    do {
      start = now_nanoseconds();
      pid_t child;
      char *arguments[] = {(char *)program, NULL};
      errno = posix_spawn(&child, program, NULL, NULL, arguments, environ);
      if (errno != 0) fail("posix_spawn", program);
      int status;
      if (waitpid(child, &status, 0) != child || status != 0) fail("waitpid", program);
      end = now_nanoseconds();
      times[count++] = (double)(end - start) / 1e6;
    } while (count < room && (double)(end - begin) < seconds * 1e9);
    qsort(times, count, sizeof *times, ascending);
    values[repetition] = times[count / 2];
  }
  free(times);
  char parameters[64];
  snprintf(parameters, sizeof parameters, "{\"program\":\"%s\"}", kind);
  print_figure("spawn", parameters, "spawn to exit, median", "ms", values);
}

/* Reads exactly as much; returns 0 at the end of the file. */
static int read_all(int descriptor, char *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t count = read(descriptor, bytes + done, size - done);
    if (count == 0) return 0;
    if (count < 0) fail("read", "Unix socket");
    done += (size_t)count;
  }
  return 1;
}

static void write_all(int descriptor, const char *bytes, size_t size) {
  if (write(descriptor, bytes, size) != (ssize_t)size) fail("write", "Unix socket");
}

void floor_pingpong(double seconds, int size) {
  char bytes[64] = {0};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair", "Unix socket");
  pid_t child = fork();
  if (child < 0) fail("fork", "pingpong");
  if (child == 0) {
    close(ends[0]);
    while (read_all(ends[1], bytes, (size_t)size)) write_all(ends[1], bytes, (size_t)size);
    _exit(0);
  }
  close(ends[1]);
  double values[REPETITIONS];
  for (int repetition = 0; repetition < REPETITIONS; repetition++) {
    int64_t begin = now_nanoseconds(), elapsed;
    long count = 0;
    do {
      for (int turn = 0; turn < 100; turn++) {
        write_all(ends[0], bytes, (size_t)size);
        if (!read_all(ends[0], bytes, (size_t)size)) fail("read", "the other process has gone");
      }
      count += 100;
      elapsed = now_nanoseconds() - begin;
    } while ((double)elapsed < seconds * 1e9);
    values[repetition] = (double)elapsed / 1e3 / (double)count;
  }
  close(ends[0]);
  if (waitpid(child, NULL, 0) != child) fail("waitpid", "pingpong");
  char parameters[64];
  snprintf(parameters, sizeof parameters, "{\"bytes\":%d}", size);
  print_figure("pingpong", parameters, "round trip over a Unix socket", "µs", values);
}
