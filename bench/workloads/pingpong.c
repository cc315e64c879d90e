// SPDX-License-Identifier: Apache-2.0
//
// pingpong tcp|unix [ROUNDS [SIZE]]: two processes, one connection, SIZE bytes there and back. Four calls a round.

#include "workload.h"

static void echo(int fd, size_t rounds, size_t size) {
  char* bytes = buffer(size);
  for (size_t i = 0; i < rounds; i++) {
    if (read_all(fd, bytes, size) != size) die("short read");
    write_all(fd, bytes, size);
  }
  free(bytes);
}

int main(int argc, char** argv) {
  int is_unix = argc > 1 && strcmp(argv[1], "unix") == 0;
  size_t rounds = number(argc, argv, 2, 20000), size = number(argc, argv, 3, 64);
  struct sockaddr_in tcp_address;
  struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
  int listener;
  begin();
  if (is_unix) {
    // Abstract: nothing is left behind, however this ends.
    snprintf(unix_address.sun_path + 1, sizeof unix_address.sun_path - 1, "socktale-pingpong-%d", (int)getpid());
    listener = CALL(socket, AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0) die("socket");
    if (CALL(bind, listener, (struct sockaddr*)&unix_address, sizeof unix_address) < 0) die("bind");
    if (CALL(listen, listener, 4) < 0) die("listen");
  } else {
    listener = tcp_listen(&tcp_address, 4);
  }
  pid_t child = fork_child();
  if (child == 0) {
    int fd = CALL(accept, listener, NULL, NULL);
    if (fd < 0) die("accept");
    if (!is_unix) no_delay(fd);
    echo(fd, rounds, size);
    CALL(close, fd);
    end_child();
  }
  CALL(close, listener);
  int fd;
  if (is_unix) {
    fd = CALL(socket, AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    if (CALL(connect, fd, (struct sockaddr*)&unix_address, sizeof unix_address) < 0) die("connect");
  } else {
    fd = tcp_connect(&tcp_address);
  }
  char *out = buffer(size), *in = buffer(size);
  fill(out, size, 1);
  uint64_t start = now_ns();
  for (size_t i = 0; i < rounds; i++) {
    memcpy(out, &i, size < sizeof i ? size : sizeof i);
    write_all(fd, out, size);
    if (read_all(fd, in, size) != size || memcmp(out, in, size) != 0) die("payload differs");
  }
  uint64_t end = now_ns();
  CALL(close, fd);
  join_child(child);
  result(is_unix ? "unix_pingpong" : "tcp_pingpong", end - start, rounds, rounds * size * 2);
  return 0;
}
