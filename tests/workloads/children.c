// SPDX-License-Identifier: Apache-2.0
//
// Children by other means than fork: clone with memory of its own and without, daemon, system.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

static char stack[64 << 10] __attribute__((aligned(16)));
static int shared;  // written by children that share our memory

static int child(void* argument) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  shared = *(int*)argument;
  return fd >= 0 && close(fd) == 0 ? *(int*)argument : 99;
}

static void expect_status(pid_t pid, int expected) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static void clones(void) {
  int number = 7;
  expect_status(clone(child, stack + sizeof stack, SIGCHLD, &number), 7);
  expect_status(__clone(child, stack + sizeof stack, SIGCHLD, &number), 7);
  CHECK(shared == 0);
  pid_t tid = 0;
  const pid_t pid = clone(child, stack + sizeof stack, SIGCHLD | CLONE_PARENT_SETTID, &number, &tid);
  CHECK(pid == tid);
  expect_status(pid, 7);
  number = 8;  // shares memory and stops us, as vfork does
  expect_status(clone(child, stack + sizeof stack, SIGCHLD | CLONE_VM | CLONE_VFORK, &number), 8);
  CHECK(shared == 8);
  CHECK_FAILS(clone(OPAQUE((int (*)(void*))NULL), stack + sizeof stack, SIGCHLD, &number), EINVAL);
  CHECK_FAILS(clone(child, stack + sizeof stack, SIGCHLD | CLONE_SIGHAND, &number), EINVAL);
}

static void commands(void) {
  int status = system("exit 4");
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
  CHECK(system(NULL) != 0);
}

// The daemon tells through a pipe what it finds.
static void demon(void) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    if (daemon(0, 0) != 0) _exit(1);
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const char found = getsid(0) == getpid() - (getppid() == getsid(0) ? 1 : 0) || fd >= 0 ? 'd' : 'x';
    _exit(write(pipes[1], &found, 1) == 1 ? 0 : 1);
  }
  CHECK(close(pipes[1]) == 0);
  char found = 0;
  CHECK(read(pipes[0], &found, OPAQUE(sizeof found)) == 1 && found == 'd' && close(pipes[0]) == 0);
  expect_status(pid, 0);
}

int main(void) {
  clones();
  commands();
  demon();
  return 0;
}
