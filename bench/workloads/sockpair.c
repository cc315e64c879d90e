// SPDX-License-Identifier: Apache-2.0
//
// sockpair [ROUNDS [SIZE]]: one thread writes SIZE bytes into a UNIX stream pair and reads them back. Two calls a
// round.

#include "workload.h"

int main(int argc, char** argv) {
  size_t rounds = number(argc, argv, 1, 200000), size = number(argc, argv, 2, 64);
  int pair[2];
  begin();
  if (CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, pair) < 0) die("socketpair");
  char *out = buffer(size), *in = buffer(size);
  fill(out, size, 5);
  uint64_t start = now_ns();
  for (size_t i = 0; i < rounds; i++) {
    memcpy(out, &i, size < sizeof i ? size : sizeof i);
    if (CALL(write, pair[0], out, size) != (ssize_t)size) die("write");
    if (CALL(read, pair[1], in, size) != (ssize_t)size) die("read");
  }
  uint64_t end = now_ns();
  if (memcmp(in, out, size) != 0) {
    fprintf(stderr, "payload differs\n");
    return 4;
  }
  result("sockpair", end - start, rounds, rounds * size * 2);
  return 0;
}
