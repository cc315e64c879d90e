// SPDX-License-Identifier: Apache-2.0
//
// marked_calls send|recv|read CALLS SIZE: makes CALLS calls that return at once (quick_calls.h) between two
// breakpoints, for step_calls to count the instructions of; read is on a descriptor that is not recorded (/dev/null).
// Before them come as many of the same, so that nothing happens for the first time, and after them:
//   CALLS function COUNT

#include <fcntl.h>

#include "quick_calls.h"
#include "workload.h"

enum kind { kSend, kRecv, kRead };

static void call(enum kind kind, int fd, char* bytes, size_t size) {
  ssize_t n = kind == kSend   ? CALL(send, fd, bytes, size, 0)
              : kind == kRecv ? CALL(recv, fd, bytes, size, 0)
                              : read(fd, bytes, size);
  if (n != (ssize_t)size) die("call");
}

static void usage(void) {
  fprintf(stderr, "marked_calls send|recv|read CALLS SIZE\n");
  exit(2);
}

int main(int argc, char** argv) {
  if (argc < 4) usage();
  enum kind kind = strcmp(argv[1], "send") == 0 ? kSend : strcmp(argv[1], "recv") == 0 ? kRecv : kRead;
  if (kind == kRead && strcmp(argv[1], "read") != 0) usage();
  size_t calls = number(argc, argv, 2, 1), size = strtoul(argv[3], NULL, 10);
  int pair[2];
  begin();
  if (CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, pair) < 0) die("socketpair");
  int fd = kind == kRead ? open("/dev/null", O_RDONLY | O_CLOEXEC) : pair[0];
  if (fd < 0) die("/dev/null");
  make_quick(fd);
  char* bytes = buffer(size + 1);
  fill(bytes, size, 3);
  for (size_t i = 0; i < calls; i++) call(kind, fd, bytes, size);
  uint64_t start = now_ns();
  __asm__ volatile("int3" ::: "memory");
  for (size_t i = 0; i < calls; i++) call(kind, fd, bytes, size);
  __asm__ volatile("int3" ::: "memory");
  result("marked_calls", now_ns() - start, calls, calls * size);
  return 0;
}
