// SPDX-License-Identifier: Apache-2.0
//
// left_above: a signal handler on an alternate stack above its thread's own waits in recv, and a second one jumps out
// of it. No call was in progress before. The thread goes on with calls on its own stack.

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "say.h"

enum { kStackBytes = 1 << 20 };

static int pair[2];
static char* stacks;  // the thread's, its handlers'
static sigjmp_buf out;
static volatile sig_atomic_t signals;

static void handle(int number) {
  (void)number;
  if (++signals == 2) siglongjmp(out, 1);
  const struct itimerval soon = {{0, 0}, {0, 20000}};
  CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
  char byte;
  recv(pair[1], &byte, 1, 0);
  CHECK(!"it waits for what does not come");
}

static void* run(void* unused) {
  (void)unused;
  const stack_t alternate = {.ss_sp = stacks + kStackBytes, .ss_size = kStackBytes};
  CHECK(sigaltstack(&alternate, NULL) == 0);
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL) == 0);
  if (sigsetjmp(out, 1) == 0) {
    CHECK(pthread_kill(pthread_self(), SIGALRM) == 0);
    CHECK(!"the handler does not return");
  }
  for (int i = 0; i < 3; ++i) {
    char byte;
    CHECK(send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
  }
  return NULL;
}

int main(void) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK | SA_NODEFER};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  // The timer's signals are for the thread below alone.
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  CHECK(pthread_sigmask(SIG_BLOCK, &alarms, NULL) == 0);
  stacks = mmap(NULL, 2 * kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(stacks != MAP_FAILED);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stacks, kStackBytes) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, run, NULL) == 0 && pthread_join(thread, NULL) == 0);
  say("done");
  return 0;
}
