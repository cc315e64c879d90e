// SPDX-License-Identifier: Apache-2.0
//
// Children of vfork, which share their parent's memory, close and replace descriptors before they execute: of the
// parent's descriptors nothing must be believed to have changed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/wait.h>

#include "say.h"

static int pair[2];

static void exchange(const char* word) {
  const size_t size = strlen(word);
  char bytes[32];
  CHECK(write(pair[0], word, size) == (ssize_t)size);
  CHECK(read(pair[1], bytes, sizeof bytes) == (ssize_t)size && memcmp(bytes, word, size) == 0);
}

static void expect_0(pid_t pid) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  exchange("before");
  char* argv[] = {(char*)"true", NULL};
  char* envp[] = {NULL};
  for (int i = 0; i < 3; ++i) {
    const pid_t pid = vfork();
    if (pid == 0) {
      close(pair[0]);
      close(pair[1]);
      for (int fd = 3; fd < 40; ++fd) close(fd);
      const int null = open("/dev/null", O_RDWR);
      if (null != 3 || dup2(null, pair[1]) != pair[1] || dup2(null, 9) != 9) _exit(1);
      if (i == 0) _exit(0);
      if (i == 1) execve("/bin/true", argv, envp);
      if (i == 2 && close_range(3, ~0u, 0) == 0) execve("/bin/true", argv, envp);
      _exit(2);
    }
    expect_0(pid);
    exchange("after");
  }
  const int fd = dup(pair[0]);
  say("next descriptor %d", fd);
  CHECK(close(fd) == 0);
  exchange("at the end");
  return 0;
}
