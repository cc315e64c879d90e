// SPDX-License-Identifier: Apache-2.0
//
// stepped high|low|same: makes calls with the processor's trap flag set, so that a signal comes in behind every single
// instruction of theirs, and handlers that send and receive a number each, every other by syscall(2). They run on an
// alternate stack above or below the caller's own, or on that. At last says how many there were.

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "say.h"
#include "step.h"

enum { kStackBytes = 1 << 20, kLarge = 20000 };

static int pair[2], handlers[2];
static char* stacks;  // the lower one, the higher one
static const char* where;
static uint32_t steps;
static volatile sig_atomic_t waited_for;
static char large[kLarge];

static void handle_step(int number) {
  (void)number;
  const int saved = errno;
  uint32_t got = 0;
  struct winsize size;
  (void)ioctl(handlers[0], TIOCGWINSZ, &size);  // refused: it is no terminal
  const long sent = steps % 2 == 0 ? send(handlers[0], &steps, sizeof steps, 0)
                                   : syscall(SYS_sendto, handlers[0], &steps, sizeof steps, 0, NULL, 0);
  CHECK(sent == sizeof steps);
  CHECK(recv(handlers[1], &got, sizeof got, 0) == sizeof got && got == steps);
  ++steps;
  errno = saved;
}

static void handle_wait(int number) {
  (void)number;
  waited_for = 1;
}

// Waits by number, with the mask that lets a signal in that is pending. Without the mask nothing comes in.
static void wait_with_a_mask(void) {
  sigset_t none, usr1;
  sigemptyset(&none);
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  const struct {
    const sigset_t* mask;
    size_t size;
  } given = {&none, 8};
  CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0 && pthread_kill(pthread_self(), SIGUSR1) == 0);
  const struct timespec soon = {0, 1000};
  waited_for = 0;
  CHECK(STEPPED(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, &given)) == -1 && errno == EINTR);
  CHECK(waited_for == 1 && pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
}

static void* run(void* unused) {
  (void)unused;
  if (strcmp(where, "same") != 0) {
    const int high = strcmp(where, "high") == 0;
    const stack_t alternate = {.ss_sp = stacks + (high ? kStackBytes : 0), .ss_size = kStackBytes};
    CHECK(sigaltstack(&alternate, NULL) == 0);
  }
  char bytes[16];
  static char got[kLarge];
  wait_with_a_mask();
  CHECK(STEPPED(send(pair[0], "one", 3, 0)) == 3);
  CHECK(STEPPED(recv(pair[1], bytes, OPAQUE(sizeof bytes), 0)) == 3);
  struct iovec parts[] = {{(char*)"tw", 2}, {(char*)"o", 1}};
  CHECK(STEPPED(syscall(SYS_writev, pair[0], parts, 2)) == 3);
  struct pollfd polled = {.fd = pair[1], .events = POLLIN};
  CHECK(STEPPED(poll(&polled, 1, 0)) == 1);
  CHECK(STEPPED(syscall(SYS_recvfrom, pair[1], bytes, sizeof bytes, 0, NULL, NULL)) == 3);
  const int copy = (int)STEPPED(dup(pair[0]));
  CHECK(copy >= 0 && STEPPED(close(copy)) == 0);
  CHECK(STEPPED(send(pair[0], large, kLarge, 0)) == kLarge);
  CHECK(STEPPED(recv(pair[1], got, kLarge, MSG_WAITALL)) == kLarge && memcmp(got, large, kLarge) == 0);
  CHECK(STEPPED(close(OPAQUE(-1))) == -1 && errno == EBADF);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  where = argv[1];
  memset(large, 'x', sizeof large);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, handlers) == 0);
  struct sigaction action = {.sa_handler = handle_step, .sa_flags = SA_ONSTACK};
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  action.sa_handler = handle_wait;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  // Three stacks one above the other: the thread's in the middle or, when its handlers' is the lower one, at the top.
  stacks = mmap(NULL, 3 * kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(stacks != MAP_FAILED);
  const int high = strcmp(where, "high") == 0;
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstack(&attributes, stacks + (high ? 0 : 2 * kStackBytes), kStackBytes) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, run, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(steps > 100);
  char word[32];
  const int size = snprintf(word, sizeof word, "steps %u", steps);
  CHECK(send(pair[0], word, (size_t)size, 0) == size);
  say("done");
  return 3;
}
