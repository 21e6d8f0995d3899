/* The least that a job's command can be: it writes its job's uuid into the FIFO that it is given, and ends. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **words) {
  const char *job = getenv("HORDELINK_JOB_UUID");
  if (count != 2 || !job || strlen(job) != 36) return 64;
  int fifo = open(words[1], O_WRONLY | O_CLOEXEC);
  char line[37];
  memcpy(line, job, 36);
  line[36] = '\n';
  return fifo >= 0 && write(fifo, line, sizeof line) == sizeof line ? 0 : 74;
}
