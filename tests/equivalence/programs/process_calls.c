// SPDX-License-Identifier: Apache-2.0
//
// Calls that begin, replace and end processes.

#define _GNU_SOURCE
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utmp.h>

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

static char stack[64 << 10] __attribute__((aligned(16)));
static int knock(void* end) { return send(*(const int*)end, "child", 5, 0) == 5 ? 9 : 1; }

// With memory of its own, and in its parent's while that waits.
static void make_clone(void) {
  struct Ends ends = stream_ends();
  const int flags[] = {SIGCHLD, SIGCHLD | CLONE_VM | CLONE_VFORK};
  for (int i = 0; i < 2; ++i) {
    expect_exit(clone(knock, stack + sizeof stack, flags[i], &ends.a), 9);
    char got[5];
    CHECK(recv(ends.b, got, OPAQUE(sizeof got), MSG_WAITALL) == 5);
  }
  CHECK_FAILS(clone(knock, stack + sizeof stack, SIGCHLD | CLONE_SIGHAND, &ends.a), EINVAL);
  close_ends(ends);
}

// From here on the process is given no descriptor.
static bool refuse_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  limit.rlim_cur = 0;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// The daemon tells who it is; as its nearest ancestor that adopts, we wait for it too. Without /dev/null, which takes a
// descriptor, the call fails in the daemon.
static void make_daemon(void) {
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  for (int fails = 0; fails < 2; ++fails) {
    const struct Ends ends = stream_ends();
    const pid_t child = fork();
    if (child == 0) {
      if (fails && !refuse_descriptors()) _exit(1);
      if (daemon(0, 0) != (fails ? -1 : 0)) _exit(1);
      const pid_t self = getpid();
      _exit(send(ends.a, &self, sizeof self, 0) == sizeof self ? 6 : 1);
    }
    pid_t demon;
    CHECK(close(ends.a) == 0);  // what ends without a word is heard of
    expect_exit(child, 0);
    CHECK(recv(ends.b, &demon, OPAQUE(sizeof demon), MSG_WAITALL) == sizeof demon && demon != child);
    expect_exit(demon, 6);
    CHECK(close(ends.b) == 0);
  }
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

static void make_forkpty(void) {
  int master;
  const pid_t child = forkpty(&master, NULL, NULL, NULL);
  if (child == 0) _exit(write(STDOUT_FILENO, "child", 5) == 5 ? 5 : 1);
  if (child > 0) {  // there may be no terminals here
    char got[5];
    CHECK(read(master, got, OPAQUE(sizeof got)) == 5 && memcmp(got, "child", 5) == 0);
    expect_exit(child, 5);
    CHECK(close(master) == 0);
  }
  const pid_t refused = fork();
  if (refused == 0) _exit(refuse_descriptors() && forkpty(&master, NULL, NULL, NULL) == -1 ? 6 : 1);
  expect_exit(refused, 6);
}

static void make_login_tty(void) {
  struct Ends ends;
  if (openpty(&ends.a, &ends.b, NULL, NULL, NULL) == 0) {
    const pid_t child = fork();
    if (child == 0) {
      close(ends.a);
      if (login_tty(ends.b) != 0) _exit(1);
      _exit(isatty(STDIN_FILENO) && write(STDERR_FILENO, "child", 5) == 5 ? 5 : 2);
    }
    expect_exit(child, 5);
    char got[5];
    CHECK(read(ends.a, got, OPAQUE(sizeof got)) == 5);
    close_ends(ends);
  }
  const pid_t refused = fork();
  if (refused == 0) {
    const int file = memfd_create("no terminal", 0);
    _exit(login_tty(file) == -1 && login_tty(kNoDescriptor) == -1 && errno == EBADF ? 6 : 1);
  }
  expect_exit(refused, 6);
}

const struct EachCall kProcessCalls[] = {
    {"fork", make_fork},           {"vfork", make_vfork}, {"execve", make_execve}, {"posix_spawn", make_posix_spawn},
    {"exit", make_exit},           {"clone", make_clone}, {"daemon", make_daemon}, {"forkpty", make_forkpty},
    {"login_tty", make_login_tty}, {NULL, NULL}};
