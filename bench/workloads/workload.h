// SPDX-License-Identifier: Apache-2.0
//
// What the workloads share. Each times its own loop, so that the start and the end of a recorder are not in the figure,
// checks what it receives, and counts its calls, which a complete trace has to match. bench/overhead reads two kinds of
// line from them:
//   RESULT name ns=TIME ops=OPERATIONS bytes=BYTES
//   CALLS function COUNT

#ifndef SOCKTALE_BENCH_WORKLOADS_WORKLOAD_H_
#define SOCKTALE_BENCH_WORKLOADS_WORKLOAD_H_

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The functions that are counted; every call of one goes through CALL.
#define COUNTED_FUNCTIONS(X)                                                                                        \
  X(read)                                                                                                           \
  X(write) X(send) X(recv) X(socket) X(socketpair) X(bind) X(listen) X(accept) X(connect) X(shutdown) X(setsockopt) \
      X(getsockname) X(close) X(fork)

#define COUNTER(name) uint64_t name;
struct counts {
  COUNTED_FUNCTIONS(COUNTER)
};
#undef COUNTER

static __thread struct counts counts_of_thread;
static struct counts* counts_of_all;  // shared between the processes

#define CALL(name, ...) (counts_of_thread.name++, name(__VA_ARGS__))

static inline void die(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

// First of all in main, before any process or thread is made.
static inline void begin(void) {
  counts_of_all = mmap(NULL, sizeof *counts_of_all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counts_of_all == MAP_FAILED) die("mmap");
}

// Last in every thread that made calls.
static inline void add_counts(void) {
#define ADD(name)                                                                    \
  __atomic_fetch_add(&counts_of_all->name, counts_of_thread.name, __ATOMIC_RELAXED); \
  counts_of_thread.name = 0;
  COUNTED_FUNCTIONS(ADD)
#undef ADD
}

static inline uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void write_all(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    ssize_t n = CALL(write, fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) die("write");
    bytes += n;
    size -= (size_t)n;
  }
}

// Returns the bytes read: size, or fewer at the end of the stream.
static inline size_t read_all(int fd, char* bytes, size_t size) {
  size_t got = 0;
  while (got < size) {
    ssize_t n = CALL(read, fd, bytes + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) die("read");
    if (n == 0) break;
    got += (size_t)n;
  }
  return got;
}

// Listens on a free port of the loopback interface; *at: its address.
static inline int tcp_listen(struct sockaddr_in* at, int backlog) {
  int fd = CALL(socket, AF_INET, SOCK_STREAM, 0), one = 1;
  socklen_t size = sizeof *at;
  if (fd < 0) die("socket");
  memset(at, 0, sizeof *at);
  at->sin_family = AF_INET;
  at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (CALL(bind, fd, (struct sockaddr*)at, sizeof *at) < 0) die("bind");
  if (CALL(listen, fd, backlog) < 0) die("listen");
  if (CALL(getsockname, fd, (struct sockaddr*)at, &size) < 0) die("getsockname");
  return fd;
}

static inline void no_delay(int fd) {
  int one = 1;
  if (CALL(setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("setsockopt");
}

static inline int tcp_connect(const struct sockaddr_in* at) {
  int fd = CALL(socket, AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  if (CALL(connect, fd, (const struct sockaddr*)at, sizeof *at) < 0) die("connect");
  no_delay(fd);
  return fd;
}

static inline char* buffer(size_t size) {
  char* bytes = malloc(size);
  if (bytes == NULL) die("malloc");
  return bytes;
}

// The same bytes in every run, lower-case letters.
static inline void fill(char* bytes, size_t size, uint32_t seed) {
  for (size_t i = 0; i < size; i++) {
    seed = seed * 1664525u + 1013904223u;
    bytes[i] = (char)('a' + (seed >> 24) % 26);
  }
}

static inline pid_t fork_child(void) {
  pid_t pid = CALL(fork);
  if (pid < 0) die("fork");
  if (pid == 0) memset(&counts_of_thread, 0, sizeof counts_of_thread);  // the parent's own
  return pid;
}

static inline void end_child(void) {
  add_counts();
  exit(0);
}

static inline void join_child(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "child failed: %x\n", (unsigned)status);
    exit(3);
  }
}

// The last of main, when children and threads are gone. bytes: payload that crossed.
static inline void result(const char* name, uint64_t ns, uint64_t ops, uint64_t bytes) {
  add_counts();
#define PRINT(name_of_call)            \
  if (counts_of_all->name_of_call > 0) \
    printf("CALLS %s %llu\n", #name_of_call, (unsigned long long)counts_of_all->name_of_call);
  COUNTED_FUNCTIONS(PRINT)
#undef PRINT
  printf("RESULT %s ns=%llu ops=%llu bytes=%llu\n", name, (unsigned long long)ns, (unsigned long long)ops,
         (unsigned long long)bytes);
  fflush(stdout);
}

// The N-th argument as a number of at least 1.
static inline size_t number(int argc, char** argv, int n, size_t otherwise) {
  if (argc <= n) return otherwise;
  char* end;
  unsigned long value = strtoul(argv[n], &end, 10);
  if (value == 0 || *end != '\0') {
    fprintf(stderr, "not a number: %s\n", argv[n]);
    exit(2);
  }
  return value;
}

#endif  // SOCKTALE_BENCH_WORKLOADS_WORKLOAD_H_
