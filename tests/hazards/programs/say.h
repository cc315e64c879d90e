// SPDX-License-Identifier: Apache-2.0
//
// How hazards say what must be the same in a traced run: at once and past stdio, whose buffers forks would copy and
// early constructors would not find ready.

#ifndef SOCKTALE_TESTS_HAZARDS_PROGRAMS_SAY_H_
#define SOCKTALE_TESTS_HAZARDS_PROGRAMS_SAY_H_

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/workloads/check.h"

// Prints a line of at most 255 bytes to stdout. errno stays.
__attribute__((format(printf, 1, 2), unused)) static void say(const char* format, ...) {
  const int saved = errno;
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (size > (int)sizeof line - 2) size = sizeof line - 2;
  line[size++] = '\n';
  CHECK(write(1, line, (size_t)size) == size);
  errno = saved;
}

// Sends a word over a new pair of sockets and receives it, closes both; says which numbers the pair had.
__attribute__((unused)) static void talk(const char* word) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  char bytes[64];
  const ssize_t size = (ssize_t)strlen(word);
  CHECK(send(pair[0], word, (size_t)size, 0) == size && recv(pair[1], bytes, sizeof bytes, 0) == size);
  CHECK(memcmp(bytes, word, (size_t)size) == 0);
  say("%s on %d %d", word, pair[0], pair[1]);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
}

#endif  // SOCKTALE_TESTS_HAZARDS_PROGRAMS_SAY_H_
