// SPDX-License-Identifier: Apache-2.0
//
// high_numbers LIMIT: with RLIMIT_NOFILE at LIMIT, sockets at high numbers, the last of all among them, that talk, are
// copied and closed; and the errors at the edge.

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "say.h"

static void talk_at(int a, int b) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(dup2(pair[0], a) == a && dup2(pair[1], b) == b && close(pair[0]) == 0 && close(pair[1]) == 0);
  char word[32], bytes[32];
  const int size = snprintf(word, sizeof word, "from %d to %d", a, b);
  CHECK(send(a, word, (size_t)size, 0) == size);
  struct pollfd ready = {b, POLLIN, 0};
  CHECK(poll(&ready, 1, 0) == 1 && ready.revents == POLLIN);
  CHECK(recv(b, bytes, sizeof bytes, 0) == size && memcmp(bytes, word, (size_t)size) == 0);
  say("%s", word);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int limit = atoi(argv[1]);
  const struct rlimit wanted = {(rlim_t)limit, (rlim_t)limit};
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    say("the limit cannot be raised");
    return 77;
  }
  talk_at(limit / 2, limit / 2 + 1);
  talk_at(limit - 2, limit - 1);
  if (limit > 1000001) talk_at(1000000, 1000001);
  CHECK_FAILS(dup2(0, limit), EBADF);
  CHECK_FAILS(fcntl(0, F_DUPFD, limit), EINVAL);
  CHECK_FAILS(send(limit, "x", 1, 0), EBADF);
  CHECK_FAILS(close(limit), EBADF);
  CHECK_FAILS(close(0x7fffffff), EBADF);
  CHECK_FAILS(recv(-1, NULL, 0, 0), EBADF);
  CHECK_FAILS(dup2(0, -1), EBADF);
  const pid_t pid = fork();
  if (pid == 0) _exit(send(limit - 2, "from a child", 12, 0) == 12 ? 0 : 1);
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  char bytes[16];
  CHECK(recv(limit - 1, bytes, sizeof bytes, 0) == 12);
  CHECK(close_range(3, ~0u, 0) == 0);
  const int next = dup(0);
  say("next descriptor %d", next);
  return 0;
}
