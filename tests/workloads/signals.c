// SPDX-License-Identifier: Apache-2.0
//
// A storm of signals whose handlers send, also on an alternate stack; handlers that jump out of recv; a thread that is
// cancelled in it; a handler that forks.

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "check.h"

static int main_pair[2];
static int handler_pair[2];
static volatile sig_atomic_t handled;

static void send_from_handler(int number) {
  const int saved = errno;
  const uint32_t message = (uint32_t)handled;
  errno = 4711;
  CHECK(send(handler_pair[0], &message, sizeof message, 0) == sizeof message);
  CHECK(errno == 4711);
  char answer[4];
  CHECK(recv(handler_pair[1], answer, sizeof answer, 0) == sizeof answer);
  ++handled;
  if (number == SIGPROF && handled % 7 == 0) raise(SIGUSR1);  // a handler in a handler
  errno = saved;
}

static void install(int number, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  CHECK(sigaction(number, &action, NULL) == 0);
}

static void storm(void) {
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  CHECK(sigaltstack(&stack, NULL) == 0);
  install(SIGPROF, send_from_handler, SA_RESTART);
  install(SIGALRM, send_from_handler, SA_RESTART | SA_ONSTACK);
  install(SIGUSR1, send_from_handler, SA_RESTART);
  const struct itimerval fast = {{0, 200}, {0, 200}};
  CHECK(setitimer(ITIMER_PROF, &fast, NULL) == 0 && setitimer(ITIMER_REAL, &fast, NULL) == 0);
  for (uint32_t n = 0; n < 5000 || handled < 50; ++n) {
    uint32_t in;
    CHECK(send(main_pair[0], &n, sizeof n, 0) == sizeof n);
    CHECK(recv(main_pair[1], &in, sizeof in, 0) == sizeof in && in == n);
  }
  const struct itimerval off = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_PROF, &off, NULL) == 0 && setitimer(ITIMER_REAL, &off, NULL) == 0);
  const stack_t none = {.ss_flags = SS_DISABLE};
  CHECK(sigaltstack(&none, NULL) == 0);
}

static sigjmp_buf out;
static void jump_out(int number) { siglongjmp(out, number); }

static void jumps(void) {
  install(SIGALRM, jump_out, 0);
  volatile int jumped = 0;
  const struct itimerval soon = {{0, 0}, {0, 2000}};
  for (volatile int i = 0; i < 20; ++i) {
    if (sigsetjmp(out, 1) == 0) {
      CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
      char byte;
      recv(main_pair[1], &byte, 1, 0);
      CHECK(!"nobody sends");
    } else {
      ++jumped;
    }
  }
  CHECK(jumped == 20);
  // Out of the busy middle of many calls, wherever the signal hits.
  for (volatile int i = 0; i < 200; ++i) {
    if (sigsetjmp(out, 1) == 0) {
      const struct itimerval now = {{0, 0}, {0, 50 + i}};
      CHECK(setitimer(ITIMER_REAL, &now, NULL) == 0);
      for (;;) {
        char byte = 'j';
        if (send(main_pair[0], &byte, 1, MSG_DONTWAIT) < 0) recv(main_pair[1], &byte, 1, MSG_DONTWAIT);
      }
    }
  }
  install(SIGALRM, SIG_DFL, 0);
}

static volatile int cleaned;
static void clean(void* argument) {
  (void)argument;
  ++cleaned;
  CHECK(send(handler_pair[0], "bye", 3, 0) == 3);
}
static void* wait_for_ever(void* argument) {
  pthread_cleanup_push(clean, NULL);
  char byte;
  recv(*(int*)argument, &byte, 1, 0);
  CHECK(!"nobody sends");
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancellations(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  for (int i = 0; i < 10; ++i) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_ever, &pair[1]) == 0);
    CHECK(pthread_cancel(thread) == 0);
    void* result;
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
  }
  // (Those cancelled before their cleanup handler was pushed have none to run.)
  char bytes[64];
  const int sent = cleaned;
  CHECK(sent == 0 || recv(handler_pair[1], bytes, sizeof bytes, 0) == 3 * sent);
}

static volatile sig_atomic_t forked;
static void fork_from_handler(int number) {
  (void)number;
  const pid_t child = fork();
  if (child == 0) {
    CHECK(send(handler_pair[0], "kid", 3, 0) == 3);
    _exit(0);
  }
  CHECK(child > 0);
  int status;
  while (waitpid(child, &status, 0) != child) CHECK(errno == EINTR);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  char bytes[3];
  CHECK(recv(handler_pair[1], bytes, 3, 0) == 3);
  ++forked;
}

static void forks(void) {
  install(SIGPROF, fork_from_handler, SA_RESTART);
  const struct itimerval fast = {{0, 1000}, {0, 1000}};
  CHECK(setitimer(ITIMER_PROF, &fast, NULL) == 0);
  char drained[4096];
  while (recv(main_pair[1], drained, sizeof drained, MSG_DONTWAIT) > 0) {
  }
  for (uint32_t n = 0; forked < 20; ++n) {
    uint32_t in;
    CHECK(send(main_pair[0], &n, sizeof n, 0) == sizeof n);
    CHECK(recv(main_pair[1], &in, sizeof in, 0) == sizeof in && in == n);
  }
  const struct itimerval off = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_PROF, &off, NULL) == 0);
}

int main(void) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, main_pair) == 0);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, handler_pair) == 0);
  storm();
  jumps();
  cancellations();
  forks();
  return 0;
}
