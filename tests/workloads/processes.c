// SPDX-License-Identifier: Apache-2.0
//
// fork and vfork by all their names, and the two _exits: who is the child, what it leaves behind in its parent.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

pid_t __fork(void);
pid_t __vfork(void);

static int status_of(pid_t child) {
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void forks(pid_t (*fork_by)(void)) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const pid_t parent = getpid();
  errno = 77;
  const pid_t child = fork_by();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(errno == 77 && getppid() == parent && getpid() != parent);
    CHECK(write(pair[1], "from the child", 14) == 14);
    _exit(3);
  }
  CHECK(close(pair[1]) == 0);
  char bytes[20];
  CHECK(read(pair[0], bytes, sizeof bytes) == 14 && memcmp(bytes, "from the child", 14) == 0);
  CHECK(read(pair[0], bytes, sizeof bytes) == 0);
  CHECK(status_of(child) == 3);
  CHECK(close(pair[0]) == 0);
}

// Called as itself, for vfork() through a pointer would not be known to return twice.
#define VFORKS(vfork_by)                                                           \
  do {                                                                             \
    int pair[2];                                                                   \
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);                         \
    volatile int seen = 0;                                                         \
    errno = 77;                                                                    \
    const pid_t child = vfork_by();                                                \
    if (child == 0) {                                                              \
      seen = errno == 77; /* in the parent's memory */                             \
      if (write(pair[1], "from the child", 14) != 14) _exit(1);                    \
      /* The parent keeps its own descriptors, whatever becomes of the child's. */ \
      if (close(pair[0]) != 0 || dup2(1, pair[1]) != pair[1]) _exit(2);            \
      _Exit(4);                                                                    \
    }                                                                              \
    CHECK(child > 0 && seen);                                                      \
    CHECK(status_of(child) == 4);                                                  \
    char bytes[20];                                                                \
    CHECK(read(pair[0], bytes, sizeof bytes) == 14);                               \
    CHECK(write(pair[1], "still here", 10) == 10);                                 \
    CHECK(read(pair[0], bytes, sizeof bytes) == 10);                               \
    CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);                             \
  } while (0)

int main(void) {
  forks(fork);
  forks(__fork);
  forks(_Fork);
  for (int i = 0; i < 3; ++i) {
    VFORKS(vfork);
    VFORKS(__vfork);
  }
  return 0;
}
