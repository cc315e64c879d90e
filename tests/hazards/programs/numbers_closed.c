// SPDX-License-Identifier: Apache-2.0
//
// Descriptors the way daemons treat them: every number closed one by one, by closefrom, by close_range; /dev/null put
// onto every number. The program's own sockets are then whatever it finds, and the next number is what it is untraced.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "say.h"

static void next(const char* when) {
  const int fd = open("/dev/null", O_RDWR);
  say("%s: next descriptor %d", when, fd);
  CHECK(close(fd) == 0);
  talk(when);
}

int main(void) {
  struct rlimit limit = {4096, 4096};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  next("at first");

  for (int fd = 3; fd < 4096; ++fd) close(fd);
  next("each closed");

  CHECK(socket(AF_UNIX, SOCK_STREAM, 0) == 3);
  closefrom(3);
  next("closefrom");

  CHECK(socket(AF_UNIX, SOCK_STREAM, 0) == 3);
  CHECK(close_range(3, ~0u, 0) == 0);
  next("close_range");

  CHECK(socket(AF_UNIX, SOCK_STREAM, 0) == 3);
  CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
  next("close_range by number");

  const int null = open("/dev/null", O_RDWR);
  for (int fd = 3; fd < 4096; ++fd) CHECK(dup2(null, fd) == fd);
  CHECK_FAILS(dup2(null, 4096), EBADF);
  CHECK_FAILS(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);  // the program has all of them
  CHECK_FAILS(open("/dev/null", O_RDONLY), EMFILE);
  CHECK(close(100) == 0 && close(4000) == 0);
  talk("two are free");
  closefrom(3);
  next("all replaced");

  // Standard descriptors too: what is written to number 1 now is the pipe's.
  const int out = fcntl(1, F_DUPFD, 1000);
  int pipes[2];
  CHECK(out == 1000 && close(0) == 0 && close(1) == 0 && pipe(pipes) == 0 && pipes[0] == 0 && pipes[1] == 1);
  CHECK(write(1, "in a pipe", 9) == 9);
  char bytes[16];
  CHECK(read(0, bytes, sizeof bytes) == 9 && close(0) == 0 && dup2(out, 1) == 1 && close(out) == 0);
  CHECK(close(2) == 0);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] == 0 && pair[1] == 2);
  CHECK(send(0, "on standard numbers", 19, 0) == 19 && recv(2, bytes, sizeof bytes, 0) == 16);
  say("done on %d %d", pair[0], pair[1]);
  return 0;
}
