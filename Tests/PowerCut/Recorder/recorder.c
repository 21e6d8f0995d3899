// Loaded into a process with LD_PRELOAD: records, in order, all that it does to the files of a record, and can make a sync
// fail, or the process die before one.
//
// HORDELINK_RECORDER names the recording, to which several processes append one after the other. Files are watched whose
// name begins with hordelink.db in a folder named state; not -shm, which is memory. A file of the recording's name with
// .fault behind it holds a letter and a number n: k, the process dies before the n-th sync from then on; w, before the
// n-th write; e, the n-th sync fails with EIO and writes nothing.
//
// An entry: its letter in 8 bytes, handle, offset, and the lengths of the path and the data, each 8 bytes in the machine's
// order; then path and data.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t handles[MOST_DESCRIPTORS];
static char is_folder[MOST_DESCRIPTORS];
static uint64_t opened;
static int recording = -2;
static char fault;
static long fault_in;

static int recorder(void) {
  if (recording == -2) {
    const char *path = getenv("HORDELINK_RECORDER");
    recording = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  }
  return recording;
}

static void note(char letter, uint64_t handle, uint64_t offset, const char *path, uint64_t path_count, const void *data,
                 uint64_t count) {
  uint64_t head[5] = {(uint64_t)letter, handle, offset, path_count, count};
  struct iovec parts[3] = {{head, sizeof head}, {(void *)path, path_count}, {(void *)data, count}};
  if (recorder() >= 0 && writev(recorder(), parts, 3) != (ssize_t)(sizeof head + path_count + count)) abort();
}

static const char *base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int ends_with(const char *text, size_t count, const char *end) {
  size_t length = strlen(end);
  return count >= length && memcmp(text + count - length, end, length) == 0;
}

static int is_watched(const char *path) {
  const char *name = base(path);
  return recorder() >= 0 && name > path && ends_with(path, (size_t)(name - path) - 1, "/state") &&
         strncmp(name, "hordelink.db", 12) == 0 && !ends_with(name, strlen(name), "-shm");
}

static void look_for_fault(void) {
  char path[4096], text[32];
  if (fault) return;
  snprintf(path, sizeof path, "%s.fault", getenv("HORDELINK_RECORDER"));
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t count = read(file, text, sizeof text - 1);
  syscall(SYS_close, file);
  syscall(SYS_unlink, path);
  if (count < 2) return;
  text[count] = 0;
  fault = text[0];
  fault_in = atol(text + 1);
}

// Whether the fault of that letter is due.
static int is_due(char letter) {
  look_for_fault();
  if (fault != letter || --fault_in > 0) return 0;
  fault = 0;
  return 1;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int open_watched(int folder, const char *path, int flags, mode_t mode) {
  int folder_is_watched = recorder() >= 0 && ends_with(path, strlen(path), "/state");
  if (!folder_is_watched && !is_watched(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = (flags & O_CREAT) && faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  int file = (int)syscall(SYS_openat, folder, path, flags, mode);
  int error = errno;
  if (file >= 0 && file < MOST_DESCRIPTORS) {
    handles[file] = (uint64_t)getpid() << 32 | ++opened;
    is_folder[file] = (char)folder_is_watched;
    const char *name = base(path);
    if (!folder_is_watched) note('o', handles[file], (uint64_t)is_new, name, strlen(name), "", 0);
    if (!folder_is_watched && (flags & O_TRUNC)) note('t', handles[file], 0, "", 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return file;
}

#define OPEN(name)                                             \
  int name(const char *path, int flags, ...) {                 \
    va_list more;                                              \
    va_start(more, flags);                                     \
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;  \
    va_end(more);                                              \
    return open_watched(AT_FDCWD, path, flags, mode);          \
  }
OPEN(open)
OPEN(open64)

static uint64_t handle_of(int file) { return file >= 0 && file < MOST_DESCRIPTORS ? handles[file] : 0; }

int close(int file) {
  if (handle_of(file)) handles[file] = 0;
  return (int)syscall(SYS_close, file);
}

static ssize_t write_at(int file, const void *data, size_t count, off_t offset) {
  if (!handle_of(file)) return (ssize_t)syscall(SYS_pwrite64, file, data, count, offset);
  pthread_mutex_lock(&lock);
  if (is_due('w')) die();
  ssize_t written = (ssize_t)syscall(SYS_pwrite64, file, data, count, offset);
  int error = errno;
  if (written > 0) note('w', handles[file], (uint64_t)offset, "", 0, data, (uint64_t)written);
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}

ssize_t pwrite(int file, const void *data, size_t count, off_t offset) { return write_at(file, data, count, offset); }
ssize_t pwrite64(int file, const void *data, size_t count, off_t offset) { return write_at(file, data, count, offset); }

ssize_t write(int file, const void *data, size_t count) {
  if (!handle_of(file)) return (ssize_t)syscall(SYS_write, file, data, count);
  off_t offset = lseek(file, 0, SEEK_CUR);
  ssize_t written = write_at(file, data, count, offset);
  if (written > 0) lseek(file, offset + written, SEEK_SET);
  return written;
}

static int truncate_to(int file, off_t size) {
  if (!handle_of(file)) return (int)syscall(SYS_ftruncate, file, size);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, file, size);
  if (result == 0) note('t', handles[file], (uint64_t)size, "", 0, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int ftruncate(int file, off_t size) { return truncate_to(file, size); }
int ftruncate64(int file, off_t size) { return truncate_to(file, size); }

// The disk itself is left alone: the recording says what would be on it.
static int sync_file(int file, long call) {
  uint64_t handle = handle_of(file);
  if (!handle) return (int)syscall(call, file);
  pthread_mutex_lock(&lock);
  if (is_due('k')) die();
  int fails = is_due('e');
  note(is_folder[file] ? (fails ? 'f' : 'd') : (fails ? 'e' : 's'), handle, 0, "", 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = EIO;
  return fails ? -1 : 0;
}

int fsync(int file) { return sync_file(file, SYS_fsync); }
int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }

int unlink(const char *path) {
  if (!is_watched(path)) return (int)syscall(SYS_unlink, path);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_unlink, path);
  int error = errno;
  if (result == 0) note('u', 0, 0, base(path), strlen(base(path)), "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int rename(const char *from, const char *to) {
  if (!is_watched(from) && !is_watched(to)) return (int)syscall(SYS_rename, from, to);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_rename, from, to);
  int error = errno;
  if (result == 0) note('r', 0, 0, base(from), strlen(base(from)), base(to), strlen(base(to)));
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
