// SPDX-License-Identifier: Apache-2.0
//
// forking_threads FORKS: forks that often while four other threads send all the time. Each thread's messages are "t",
// the thread's number and its message's; each child sends three, "c", its number and the message's. At its end each
// thread sends "e" and how many it sent.

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "say.h"

enum { kThreads = 4, kOfEachChild = 3 };

static int pair[2];
static atomic_int stop;

static void send_numbers(char kind, int who, int number) {
  char message[32];
  const int size = snprintf(message, sizeof message, "%c %d %d", kind, who, number);
  CHECK(send(pair[0], message, (size_t)size, 0) == size);
  char bytes[32];  // somebody's: what matters is that the queue stays short
  CHECK(recv(pair[1], bytes, sizeof bytes, 0) > 0);
}

static void* busy(void* argument) {
  const int who = (int)(long)argument;
  int sent = 0;
  while (!stop) {
    send_numbers('t', who, sent++);
    usleep(200);  // leaves a loaded machine to the others
  }
  send_numbers('e', who, sent);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const int forks = atoi(argv[1]);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) CHECK(pthread_create(&threads[i], NULL, busy, (void*)i) == 0);
  for (int i = 0; i < forks; ++i) {
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      for (int n = 0; n < kOfEachChild; ++n) send_numbers('c', i, n);
      _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  stop = 1;
  for (int i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  say("forked %d", forks);
  return 0;
}
