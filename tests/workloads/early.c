// SPDX-License-Identifier: Apache-2.0
//
// Sockets used before main: in .preinit_array, which runs before any library's constructor, and in the program's own
// constructors; and after it, in a destructor.

#include <sys/socket.h>

#include "check.h"

static void talk(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  char bytes[5];
  CHECK(send(pair[0], "early", 5, 0) == 5 && recv(pair[1], bytes, 5, 0) == 5);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void before_constructors(void) { talk(); }
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_constructors;
__attribute__((constructor)) static void in_constructor(void) { talk(); }
__attribute__((destructor)) static void in_destructor(void) { talk(); }

int main(void) {
  talk();
  return 0;
}
