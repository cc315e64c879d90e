// SPDX-License-Identifier: Apache-2.0
//
// borrowed_memory vfork|clone: a child that runs on its parent's memory, which waits for it, is killed amid a call
// (vfork), or makes calls on a stack above its parent's (clone). The parent then makes the same calls.

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "say.h"

enum { kStackBytes = 1 << 20 };

static int pair[2];
static char* stacks;  // the parent's, the child's

static int wait_for_nothing(void* unused) {
  (void)unused;
  char byte;
  alarm(1);
  recv(pair[0], &byte, 1, 0);
  _exit(1);
}

static int call_and_end(void* unused) {
  (void)unused;
  _exit(close(-1) == -1 ? 0 : 1);
}

static void* run(void* how) {
  pid_t child;
  if (strcmp(how, "vfork") == 0) {
    child = vfork();
    if (child == 0) wait_for_nothing(NULL);
  } else {
    child = clone(call_and_end, stacks + 2 * kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
  }
  CHECK(child > 0);
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  say("%s", WIFSIGNALED(status) ? "killed" : "ended");
  char word[8];
  CHECK(send(pair[1], "late", 4, 0) == 4 && recv(pair[0], word, sizeof word, 0) == 4);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  stacks = mmap(NULL, 2 * kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(stacks != MAP_FAILED);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stacks, kStackBytes) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, run, argv[1]) == 0 && pthread_join(thread, NULL) == 0);
  return 0;
}
