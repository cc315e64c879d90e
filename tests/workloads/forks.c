// SPDX-License-Identifier: Apache-2.0
//
// Forks, from a program whose other threads record all the time: by fork, by a bare clone that no hook sees, of
// children that fork again. Every child sends one message.

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

static atomic_int stop;

static void* busy(void* argument) {
  (void)argument;
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  while (!stop) {
    char byte = 'b';
    CHECK(send(pair[0], &byte, 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
    usleep(50);  // leaves a loaded machine to the others
  }
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  return NULL;
}

static void expect_exit(pid_t child) {
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) CHECK(pthread_create(&threads[i], NULL, busy, NULL) == 0);
  for (int i = 0; i < 30; ++i) {
    const pid_t child = i % 3 == 2 ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    CHECK(child >= 0);
    if (child == 0) {
      if (i % 5 == 0) {
        const pid_t grandchild = fork();
        CHECK(grandchild >= 0);
        if (grandchild != 0) expect_exit(grandchild);
      }
      CHECK(send(pair[0], "child", 5, 0) == 5);
      _exit(0);
    }
    expect_exit(child);
    char bytes[5];
    CHECK(recv(pair[1], bytes, sizeof bytes, 0) == 5);
    if (i % 5 == 0) CHECK(recv(pair[1], bytes, sizeof bytes, 0) == 5);
  }
  stop = 1;
  for (int i = 0; i < 3; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  return 0;
}
