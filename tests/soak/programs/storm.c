// SPDX-License-Identifier: Apache-2.0
//
// storm FILE ROUND: three threads send messages to themselves without end, while timers have signals break in, whose
// handlers do the same, one inside the other. Struct Round number ROUND of FILE says how far each is. To be killed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/soak/programs/soak.h"

static struct Round* shared;
static uint32_t round_number;

// Of one thread. Handlers run on the thread they interrupt, so there is no race but with them.
struct Stream {
  int ends[2];
  uint64_t number;
};
static struct Stream streams[kSoakStreams];
static __thread uint32_t own;
static __thread volatile sig_atomic_t in_handler;

static void fail(const char* what) {
  perror(what);
  abort();
}

// Sends the next message of a stream and receives it.
static void talk(uint32_t stream) {
  struct Stream* const s = &streams[stream];
  unsigned char bytes[kLargestMessage], back[kLargestMessage];
  const uint64_t number = s->number + 1;
  const ssize_t size = (ssize_t)MessageSize(stream, number);
  MakeMessage(bytes, round_number, stream, number);
  if (send(s->ends[0], bytes, (size_t)size, 0) != size) fail("send");
  if (recv(s->ends[1], back, sizeof back, 0) != size || memcmp(bytes, back, (size_t)size) != 0) fail("recv");
  s->number = number;
  shared->done[stream] = number;
}

static void on_signal(int signal) {
  (void)signal;
  if (in_handler != 0) return;  // the stream is in use; that this handler ran inside another is what counts
  in_handler = 1;
  talk(kSoakThreads + own);
  in_handler = 0;
}

static void begin_storm(int signal, long ns) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
  event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
  timer_t timer;
  const struct itimerspec every = {{0, ns}, {0, ns}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &every, NULL) != 0) fail("timer");
}

static void* work(void* number) {
  own = (uint32_t)(uintptr_t)number;
  begin_storm(SIGUSR1, 170000);
  begin_storm(SIGUSR2, 230000);
  for (;;) talk(own);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  round_number = (uint32_t)atoi(argv[2]);
  const int fd = open(argv[1], O_RDWR);
  const size_t size = (round_number + 1) * sizeof(struct Round);
  struct Round* const rounds = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || rounds == MAP_FAILED) fail(argv[1]);
  shared = &rounds[round_number];
  for (int i = 0; i < kSoakStreams; ++i) {
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, streams[i].ends) != 0) fail("socketpair");
  }
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NODEFER};
  if (sigaction(SIGUSR1, &action, NULL) != 0 || sigaction(SIGUSR2, &action, NULL) != 0) fail("sigaction");
  pthread_t thread;
  for (uintptr_t i = 1; i < kSoakThreads; ++i) {
    if (pthread_create(&thread, NULL, work, (void*)i) != 0) fail("pthread_create");
  }
  work(NULL);
}
