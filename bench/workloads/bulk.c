// SPDX-License-Identifier: Apache-2.0
//
// bulk [WRITES [SIZE]]: one TCP connection; one process writes blocks of SIZE bytes, the other reads them. How many
// reads that takes is the kernel's choice.

#include "workload.h"

int main(int argc, char** argv) {
  size_t writes = number(argc, argv, 1, 4000), size = number(argc, argv, 2, 65536);
  struct sockaddr_in address;
  begin();
  int listener = tcp_listen(&address, 4);
  pid_t child = fork_child();
  if (child == 0) {
    CALL(close, listener);
    int fd = tcp_connect(&address);
    char *bytes = buffer(size), acknowledgement;
    fill(bytes, size, 7);
    for (size_t i = 0; i < writes; i++) write_all(fd, bytes, size);
    CALL(shutdown, fd, SHUT_WR);
    if (read_all(fd, &acknowledgement, 1) != 1) die("no acknowledgement");
    CALL(close, fd);
    end_child();
  }
  int fd = CALL(accept, listener, NULL, NULL);
  if (fd < 0) die("accept");
  char* bytes = buffer(size);
  uint64_t total = 0;
  uint64_t start = now_ns();
  for (;;) {
    ssize_t n = CALL(read, fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) die("read");
    if (n == 0) break;
    total += (uint64_t)n;
  }
  uint64_t end = now_ns();
  write_all(fd, "k", 1);
  CALL(close, fd);
  join_child(child);
  if (total != (uint64_t)writes * size) {
    fprintf(stderr, "%llu bytes of %llu came\n", (unsigned long long)total, (unsigned long long)writes * size);
    return 4;
  }
  result("tcp_bulk", end - start, writes, total);
  return 0;
}
