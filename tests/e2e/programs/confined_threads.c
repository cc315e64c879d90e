// SPDX-License-Identifier: Apache-2.0
//
// confined_threads COUNT: forbids itself on pain of death (seccomp) to map memory anew, as a sandbox does; COUNT
// threads that were there before then send a message each, to themselves, and stay until all have.

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/hazards/programs/filter.h"

static pthread_barrier_t begin, end;
static int pair[2];

static void* talk(void* unused) {
  (void)unused;
  pthread_barrier_wait(&begin);
  char bytes[8];
  CHECK(send(pair[0], "message", 8, 0) == 8);
  CHECK(recv(pair[1], bytes, sizeof bytes, 0) == 8);
  pthread_barrier_wait(&end);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int count = atoi(argv[1]);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  CHECK(pthread_barrier_init(&begin, NULL, (unsigned)count + 1) == 0);
  CHECK(pthread_barrier_init(&end, NULL, (unsigned)count + 1) == 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  for (int i = 0; i < count; ++i) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, talk, NULL) == 0);
  }
  static struct Filter filter;
  const long forbidden[] = {SYS_mremap, SYS_mmap};
  make_filter(&filter, forbidden, COUNT_OF(forbidden), SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter.program) == 0);
  pthread_barrier_wait(&begin);
  pthread_barrier_wait(&end);
  _exit(0);
}
