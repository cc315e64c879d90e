// SPDX-License-Identifier: Apache-2.0
//
// numbers_race ROUNDS: two threads make descriptors and close them as fast as they can, and are given each other's
// numbers all the time: one has sockets, over which it writes and reads numbered messages, the other files, which it
// copies onto numbers that are free.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "say.h"

static atomic_int stop;

static void* with_files(void* argument) {
  (void)argument;
  while (!stop) {
    const int file = open("/dev/null", O_RDWR);
    CHECK(file >= 0 && write(file, "x", 1) == 1);
    const int copy = dup(file);
    CHECK(copy >= 0 && write(copy, "y", 1) == 1);
    CHECK(close(file) == 0 && close(copy) == 0);
  }
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int rounds = atoi(argv[1]);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, with_files, NULL) == 0);
  for (int i = 0; i < rounds; ++i) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    char message[16], bytes[16];
    const int size = snprintf(message, sizeof message, "%d", i);
    CHECK(write(pair[0], message, (size_t)size) == size && read(pair[1], bytes, sizeof bytes) == size);
    CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  }
  stop = 1;
  CHECK(pthread_join(thread, NULL) == 0);
  say("%d rounds", rounds);
  return 0;
}
