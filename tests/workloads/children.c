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

static int run_true(void* argument) {
  char* const arguments[] = {(char*)"true", NULL};
  execve("/bin/true", arguments, argument);
  return 1;
}

static long lines_of(const char* path) {
  FILE* const file = fopen(path, "r");
  CHECK(file != NULL);
  long lines = 0;
  for (int c = getc(file); c != EOF; c = getc(file)) lines += c == '\n';
  CHECK(fclose(file) == 0);
  return lines;
}

// Spawned like this again and again, nothing is left in the parent's memory.
static void spawns(void) {
  char* no_environment[] = {NULL};
  long mapped = 0;
  for (int i = 0; i < 24; ++i) {
    if (i == 4) mapped = lines_of("/proc/self/maps");
    expect_status(clone(run_true, stack + sizeof stack, SIGCHLD | CLONE_VM | CLONE_VFORK, no_environment), 0);
  }
  CHECK(lines_of("/proc/self/maps") <= mapped + 2);
}

static int many_calls(void* argument) {
  int* const pair = argument;
  char bytes[100];
  for (int i = 0; i < 3000; ++i) {
    if (write(pair[0], bytes, 1 + i % 100) <= 0 || read(pair[1], bytes, sizeof bytes) <= 0) return 1;
  }
  return 0;
}

// A child that runs beside its parent, on the parent's memory and thread-local variables, both with calls of their own;
// then the parent alone.
static void beside(void) {
  int own[2], childs[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, own) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, childs) == 0);
  const pid_t pid = clone(many_calls, stack + sizeof stack, SIGCHLD | CLONE_VM, childs);
  CHECK(pid > 0 && many_calls(own) == 0);
  expect_status(pid, 0);
  CHECK(write(own[0], "alone again", 11) == 11);
  const int fds[] = {own[0], own[1], childs[0], childs[1]};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) CHECK(close(fds[i]) == 0);
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
  spawns();
  beside();
  commands();
  demon();
  return 0;
}
