// SPDX-License-Identifier: Apache-2.0
//
// Calls that begin, replace and end processes.

#define _GNU_SOURCE
#include <spawn.h>
#include <sys/wait.h>

#include "each_call.h"
#include "tests/workloads/check.h"

extern char** environ;

static char* const kTrue[] = {(char*)"true", NULL};

static void expect_exit(pid_t child, int status) {
  int ended;
  CHECK(child > 0);
  CHECK(waitpid(child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == status);
}

static void make_fork(void) {
  const struct Ends ends = stream_ends();
  const pid_t child = fork();
  if (child == 0) _exit(send(ends.a, "child", 5, 0) == 5 ? 7 : 1);
  expect_exit(child, 7);
  char got[5];
  CHECK(recv(ends.b, got, OPAQUE(sizeof got), MSG_WAITALL) == 5);
  close_ends(ends);
}

static void make_vfork(void) {
  const pid_t child = vfork();
  if (child == 0) _exit(8);
  expect_exit(child, 8);
}

static void make_execve(void) {
  const pid_t child = fork();
  if (child == 0) {
    execve("/bin/true", kTrue, environ);
    _exit(1);
  }
  expect_exit(child, 0);
  CHECK_FAILS(execve("/nowhere/at all", kTrue, environ), ENOENT);
}

static void make_posix_spawn(void) {
  const struct Ends ends = datagram_ends();
  pid_t child;
  CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, kTrue, environ) == 0);
  expect_exit(child, 0);
  posix_spawn_file_actions_t actions;
  CHECK(posix_spawn_file_actions_init(&actions) == 0);
  CHECK(posix_spawn_file_actions_adddup2(&actions, ends.a, 0) == 0);
  CHECK(posix_spawn_file_actions_addclose(&actions, ends.b) == 0);
  CHECK(posix_spawnp(&child, "true", &actions, NULL, kTrue, environ) == 0);
  expect_exit(child, 0);
  CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
  close_ends(ends);
}

static void make_exit(void) {
  const pid_t first = fork();
  if (first == 0) _exit(3);
  expect_exit(first, 3);
  const pid_t second = fork();
  if (second == 0) _Exit(4);
  expect_exit(second, 4);
}

const struct EachCall kProcessCalls[] = {{"fork", make_fork},     {"vfork", make_vfork},
                                         {"execve", make_execve}, {"posix_spawn", make_posix_spawn},
                                         {"exit", make_exit},     {NULL, NULL}};
