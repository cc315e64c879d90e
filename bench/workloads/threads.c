// SPDX-License-Identifier: Apache-2.0
//
// threads [THREADS [ROUNDS [SIZE]]]: two processes with THREADS threads each, one TCP connection for each pair of
// threads, SIZE bytes there and back. Four calls a round.

#include <pthread.h>

#include "workload.h"

static struct sockaddr_in address;
static size_t rounds, size;
static pthread_barrier_t gate;

static void* serve(void* argument) {
  int fd = (int)(intptr_t)argument;
  char* bytes = buffer(size);
  for (size_t i = 0; i < rounds; i++) {
    if (read_all(fd, bytes, size) != size) die("short read");
    write_all(fd, bytes, size);
  }
  free(bytes);
  CALL(close, fd);
  add_counts();
  return NULL;
}

static void* ask(void* argument) {
  int fd = tcp_connect(&address);
  char *out = buffer(size), *in = buffer(size);
  fill(out, size, (uint32_t)(uintptr_t)argument + 11);
  pthread_barrier_wait(&gate);
  for (size_t i = 0; i < rounds; i++) {
    memcpy(out, &i, size < sizeof i ? size : sizeof i);
    write_all(fd, out, size);
    if (read_all(fd, in, size) != size || memcmp(in, out, size) != 0) die("payload differs");
  }
  pthread_barrier_wait(&gate);
  CALL(close, fd);
  free(out);
  free(in);
  add_counts();
  return NULL;
}

int main(int argc, char** argv) {
  size_t threads = number(argc, argv, 1, 8);
  rounds = number(argc, argv, 2, 2500);
  size = number(argc, argv, 3, 64);
  begin();
  pthread_t* thread = calloc(threads, sizeof *thread);
  if (thread == NULL) die("calloc");
  int listener = tcp_listen(&address, 256);
  pid_t child = fork_child();
  if (child == 0) {
    for (size_t i = 0; i < threads; i++) {
      int fd = CALL(accept, listener, NULL, NULL);
      if (fd < 0) die("accept");
      no_delay(fd);
      if (pthread_create(&thread[i], NULL, serve, (void*)(intptr_t)fd) != 0) die("pthread_create");
    }
    for (size_t i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    end_child();
  }
  CALL(close, listener);
  pthread_barrier_init(&gate, NULL, (unsigned)threads + 1);
  for (size_t i = 0; i < threads; i++) {
    if (pthread_create(&thread[i], NULL, ask, (void*)(uintptr_t)i) != 0) die("pthread_create");
  }
  pthread_barrier_wait(&gate);
  uint64_t start = now_ns();
  pthread_barrier_wait(&gate);
  uint64_t end = now_ns();
  for (size_t i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  join_child(child);
  free(thread);
  result("tcp_threads", end - start, threads * rounds, threads * rounds * size * 2);
  return 0;
}
