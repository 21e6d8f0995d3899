// The parts of Linux and glibc that Swift's own Glibc module leaves out.
//
// Swift builds that module without _GNU_SOURCE, and a header that was read with it would define the same types
// a second time and differently. So the GNU functions in use are declared here, as their manual pages have them.
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

// pidfd_open(2), glibc 2.36 and later
extern int pidfd_open(pid_t pid, unsigned int flags);
// accept(2)
extern int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
// pipe(2)
extern int pipe2(int ends[2], int flags);
// memfd_create(2)
extern int memfd_create(const char *name, unsigned int flags);
enum { MEMFD_CLOSE_ON_EXEC = 1 };
// renameat2(2), glibc 2.28 and later
extern int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);
enum { RENAME_ONLY_NEW = 1 };
// signalfd(2), without <sys/signalfd.h>, whose types Swift's Glibc module has as well
extern int signalfd(int fd, const sigset_t *mask, int flags);
enum { SIGNALFD_CLOEXEC = 02000000 };
// prctl(2): what follows the option varies, which Swift cannot call
extern int prctl(int option, ...);
static inline int ambient_capability(unsigned long operation, unsigned long capability) {
  return prctl(47 /* PR_CAP_AMBIENT */, operation, capability, 0UL, 0UL);
}
// landlock(7), which glibc has no functions for
#include <linux/landlock.h>
#include <sys/syscall.h>
extern long syscall(long number, ...);
static inline int landlock_version(void) {
  return (int)syscall(SYS_landlock_create_ruleset, (void *)0, 0UL, LANDLOCK_CREATE_RULESET_VERSION);
}
static inline int landlock_ruleset(unsigned long long handled) {
  struct landlock_ruleset_attr rules = {.handled_access_fs = handled};
  return (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0U);
}
static inline int landlock_allow(int rules, unsigned long long access, int place) {
  struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = place};
  return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U);
}
static inline int landlock_restrict(int rules) { return (int)syscall(SYS_landlock_restrict_self, rules, 0U); }
static inline int no_new_privileges(void) { return prctl(39 /* PR_GET_NO_NEW_PRIVS */, 0UL, 0UL, 0UL, 0UL); }
// open(2), which has this only with _GNU_SOURCE
enum { OPEN_PATH = 010000000 };
static inline int set_dumpable(unsigned long on) { return prctl(4 /* PR_SET_DUMPABLE */, on, 0UL, 0UL, 0UL); }
enum { AMBIENT_RAISE = 2, AMBIENT_CLEAR_ALL = 4 };
enum { CAPABILITY_SETGID = 6, CAPABILITY_SETUID = 7 };
static inline int become_subreaper(void) { return prctl(36 /* PR_SET_CHILD_SUBREAPER */, 1UL, 0UL, 0UL, 0UL); }
// pidfd_send_signal(2), glibc 2.36 and later; the siginfo_t is always NULL here
extern int pidfd_send_signal(int pidfd, int signal, void *info, unsigned int flags);
// ioctl(2): what follows the request varies
extern int ioctl(int fd, unsigned long request, ...);
static inline int unread_bytes(int fd) {
  int count = 0;
  return ioctl(fd, 0x541BUL /* SIOCINQ */, &count) < 0 ? -1 : count;
}
// tcp(7): what the other side has acknowledged, and what it has not
struct sent_bytes {
  unsigned long long acknowledged;
  int waiting;
};
static inline int count_sent_bytes(int fd, struct sent_bytes *sent) {
  unsigned long long info[16]; // the last is tcpi_bytes_acked of <linux/tcp.h>, Linux 4.1 and later
  socklen_t length = sizeof info;
  if (getsockopt(fd, 6 /* IPPROTO_TCP */, 11 /* TCP_INFO */, info, &length) < 0) return -1;
  sent->acknowledged = length == sizeof info ? info[15] : 0;
  return ioctl(fd, 0x5411UL /* SIOCOUTQ */, &sent->waiting);
}
// posix_spawn(3), glibc 2.34 and later
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
// posix_spawn(3), glibc 2.29 and later
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
enum { SPAWN_NEW_SESSION = 0x80 };
// unix(7)
enum { PEER_GROUPS = 59 };
// unix(7): what SO_PEERCRED fills in
struct peer_credentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
