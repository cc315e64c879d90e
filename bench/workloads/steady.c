// SPDX-License-Identifier: Apache-2.0
//
// steady quick|kernel [RATE [MILLISECONDS [SIZE [THREADS]]]]: THREADS threads together make RATE calls a second, each a
// send or a recv of SIZE bytes on its own socketpair, for so long. "quick": calls that never reach the kernel
// (quick_calls.h). A thread that is late hurries, so the rate that came out is in the result: that asked for, or what
// was possible. Last, with all threads still there, tells the memory of the process:
//   MEMORY rss_kib=N pss_kib=N

#include <pthread.h>

#include "quick_calls.h"
#include "workload.h"

static int is_quick;
static size_t size;
static double calls_per_ns;  // of one thread
static uint64_t begin_ns, end_ns;
static pthread_barrier_t started, done, measured;

static void sleep_until(uint64_t ns) {
  struct timespec at = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
  }
}

// Sends and receives all of `bytes` once, over a pair that has room for it: two calls.
static void exchange(const int* pair, char* bytes) {
  if (CALL(send, pair[0], bytes, size, 0) != (ssize_t)size) die("send");
  if (CALL(recv, pair[1], bytes, size, 0) != (ssize_t)size) die("recv");
}

static void* work(void* argument) {
  uint64_t* calls = argument;
  int pair[2], room = (int)(2 * size);
  if (CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, pair) < 0) die("socketpair");
  CALL(setsockopt, pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (is_quick) {
    make_quick(pair[0]);
    make_quick(pair[1]);
  }
  char* bytes = buffer(size);
  fill(bytes, size, 3);
  pthread_barrier_wait(&started);
  for (uint64_t now = now_ns(); now < end_ns; now = now_ns()) {
    uint64_t due = (uint64_t)((double)(now - begin_ns) * calls_per_ns);
    if (*calls >= due) {
      sleep_until(now + 1000000);
      continue;
    }
    // In short runs, so that the clock is read seldom and the end is not missed by much.
    for (int i = 0; i < 64 && *calls < due; i++, *calls += 2) exchange(pair, bytes);
  }
  pthread_barrier_wait(&done);
  pthread_barrier_wait(&measured);
  add_counts();
  return NULL;
}

static void tell_memory(void) {
  FILE* file = fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  unsigned long rss = 0, pss = 0;
  if (file == NULL) die("/proc/self/smaps_rollup");
  while (fgets(line, sizeof line, file) != NULL) {
    sscanf(line, "Rss: %lu", &rss);
    sscanf(line, "Pss: %lu", &pss);
  }
  fclose(file);
  printf("MEMORY rss_kib=%lu pss_kib=%lu\n", rss, pss);
}

int main(int argc, char** argv) {
  is_quick = argc > 1 && strcmp(argv[1], "quick") == 0;
  double rate = (double)number(argc, argv, 2, 1000000);
  uint64_t milliseconds = number(argc, argv, 3, 1000);
  size = number(argc, argv, 4, 64);
  size_t threads = number(argc, argv, 5, 2);
  begin();
  calls_per_ns = rate / 1e9 / (double)threads;
  pthread_t* thread = calloc(threads, sizeof *thread);
  uint64_t* calls = calloc(threads, 64);  // a cache line each
  if (thread == NULL || calls == NULL) die("calloc");
  pthread_barrier_init(&started, NULL, (unsigned)threads + 1);
  pthread_barrier_init(&done, NULL, (unsigned)threads + 1);
  pthread_barrier_init(&measured, NULL, (unsigned)threads + 1);
  for (size_t i = 0; i < threads; i++) {
    if (pthread_create(&thread[i], NULL, work, &calls[i * 8]) != 0) die("pthread_create");
  }
  begin_ns = now_ns();
  end_ns = begin_ns + milliseconds * 1000000;
  pthread_barrier_wait(&started);
  pthread_barrier_wait(&done);
  uint64_t end = now_ns();
  tell_memory();
  pthread_barrier_wait(&measured);
  uint64_t total = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(thread[i], NULL);
    total += calls[i * 8];
  }
  result("steady", end - begin_ns, total, total * size);
  return 0;
}
