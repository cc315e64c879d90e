// SPDX-License-Identifier: Apache-2.0
//
// churn [CONNECTIONS]: connect, 16 bytes there and back, close; one after another, two processes. Fourteen calls each.

#include "workload.h"

int main(int argc, char** argv) {
  size_t connections = number(argc, argv, 1, 5000);
  struct sockaddr_in address;
  begin();
  int listener = tcp_listen(&address, 128);
  pid_t child = fork_child();
  if (child == 0) {
    char bytes[16];
    for (size_t i = 0; i < connections; i++) {
      int fd = CALL(accept, listener, NULL, NULL);
      if (fd < 0) die("accept");
      if (read_all(fd, bytes, sizeof bytes) != sizeof bytes) die("short read");
      write_all(fd, bytes, sizeof bytes);
      // The client closes first, so that the server's port does not fill up with TIME_WAIT.
      if (read_all(fd, bytes, 1) != 0) die("expected the end of the stream");
      CALL(close, fd);
    }
    end_child();
  }
  CALL(close, listener);
  char out[16], in[16];
  fill(out, sizeof out, 3);
  struct linger linger = {1, 0};
  uint64_t start = now_ns();
  for (size_t i = 0; i < connections; i++) {
    int fd = tcp_connect(&address);
    memcpy(out, &i, sizeof i);
    write_all(fd, out, sizeof out);
    if (read_all(fd, in, sizeof in) != sizeof in || memcmp(in, out, sizeof in) != 0) die("payload differs");
    CALL(shutdown, fd, SHUT_WR);
    if (read_all(fd, in, 1) != 0) die("expected the end of the stream");
    CALL(setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    CALL(close, fd);
  }
  uint64_t end = now_ns();
  join_child(child);
  result("tcp_churn", end - start, connections, connections * 32);
  return 0;
}
