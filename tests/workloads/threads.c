// SPDX-License-Identifier: Apache-2.0
//
// threads [THREADS [CONNECTIONS [CALLS]]]: each thread numbers its messages and sends them round over its own
// socketpairs, 16 bytes at a time: thread, pair, message. By default 4 threads, 8 pairs, 200 calls a pair.

#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

#include "check.h"

static int pairs = 8;
static int calls = 200;

static void* talk(void* argument) {
  const uint32_t thread = (uint32_t)(uintptr_t)argument;
  int(*const fds)[2] = calloc((size_t)pairs, sizeof *fds);
  for (int i = 0; i < pairs; ++i) CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]) == 0);
  for (int n = 0; n < calls / 2; ++n) {
    for (int i = 0; i < pairs; ++i) {
      const uint32_t out[4] = {thread, (uint32_t)i, (uint32_t)n, 0x74656c61};
      uint32_t in[4];
      CHECK(send(fds[i][0], out, sizeof out, 0) == sizeof out);
      CHECK(recv(fds[i][1], in, sizeof in, 0) == sizeof in && memcmp(in, out, sizeof in) == 0);
    }
  }
  for (int i = 0; i < pairs; ++i) CHECK(close(fds[i][0]) == 0 && close(fds[i][1]) == 0);
  free(fds);
  return NULL;
}

int main(int argc, char** argv) {
  int threads = 4;
  if (argc > 1) threads = atoi(argv[1]);
  if (argc > 2) pairs = atoi(argv[2]);
  if (argc > 3) calls = atoi(argv[3]);
  CHECK(threads > 0 && threads <= 256 && pairs > 0 && calls > 0);
  pthread_t ids[256];
  for (int i = 0; i < threads; ++i) CHECK(pthread_create(&ids[i], NULL, talk, (void*)(uintptr_t)i) == 0);
  for (int i = 0; i < threads; ++i) CHECK(pthread_join(ids[i], NULL) == 0);
  return 0;
}
