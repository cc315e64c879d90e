// SPDX-License-Identifier: Apache-2.0
//
// Talks over a pair of sockets and ends with 5. Built by the test for another libc too, hence without our headers.

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  int pair[2];
  char got[8];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || send(pair[0], "words", 5, 0) != 5) return 1;
  if (recv(pair[1], got, sizeof got, 0) != 5 || memcmp(got, "words", 5) != 0) return 1;
  printf("talked on %d %d\n", pair[0], pair[1]);
  return close(pair[0]) == 0 && close(pair[1]) == 0 ? 5 : 1;
}
