// SPDX-License-Identifier: Apache-2.0
//
// storm SECONDS_TENTHS: three threads send and receive numbered messages while signals come in at short intervals,
// whose handlers do the same, also one within another. Each thread and each handler counts what it sent: "m", "t", "h"
// and the number. At last the counts are sent.

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#include "say.h"

enum { kThreads = 3 };

static int pairs[kThreads + 1][2];  // the last: the handlers'
static atomic_uint handled, nested;
static atomic_int stop;

// A message of one kind to `pair` and back.
static void exchange(int* pair, char kind, uint32_t who, uint32_t number) {
  char message[32];
  const int size = snprintf(message, sizeof message, "%c %u %u", kind, who, number);
  CHECK(send(pair[0], message, (size_t)size, 0) == size);
  char bytes[32];
  ssize_t got;
  do {
    got = recv(pair[1], bytes, sizeof bytes, 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got > 0);
}

static void handler(int number) {
  const int saved = errno;
  errno = 4711;
  exchange(pairs[kThreads], 'h', 0, handled++);
  CHECK(errno == 4711);
  if (number == SIGPROF) {
    ++nested;
    raise(SIGUSR1);  // a handler in a handler
  }
  errno = saved;
}

static void* busy(void* argument) {
  const uint32_t who = (uint32_t)(uintptr_t)argument;
  uint32_t n = 0;
  while (!stop) {
    for (int i = 0; i < 20; ++i) {
      errno = 99;
      exchange(pairs[who], 't', who, n++);
      CHECK(errno == 99 || errno == EINTR);
    }
    const struct timespec breath = {0, 300000};
    nanosleep(&breath, NULL);
  }
  exchange(pairs[who], 'e', who, n);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  for (int i = 0; i <= kThreads; ++i) CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pairs[i]) == 0);
  const int signals[] = {SIGPROF, SIGALRM, SIGUSR1};
  for (int i = 0; i < 3; ++i) {
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | (i == 1 ? SA_NODEFER : 0)};
    CHECK(sigaction(signals[i], &action, NULL) == 0);
  }
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) CHECK(pthread_create(&threads[i], NULL, busy, (void*)i) == 0);
  const struct itimerval fast = {{0, 1000}, {0, 1000}}, faster = {{0, 700}, {0, 700}}, off = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_PROF, &fast, NULL) == 0 && setitimer(ITIMER_REAL, &faster, NULL) == 0);
  const time_t tenths = atoi(argv[1]);
  struct timespec left = {tenths / 10, tenths % 10 * 100000000};
  while (nanosleep(&left, &left) != 0) {
  }
  while (handled < 200 || nested < 50) usleep(1000);
  CHECK(setitimer(ITIMER_PROF, &off, NULL) == 0 && setitimer(ITIMER_REAL, &off, NULL) == 0);
  stop = 1;
  for (int i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  exchange(pairs[kThreads], 'e', kThreads, handled);
  say("done");
  return 0;
}
