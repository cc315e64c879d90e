// SPDX-License-Identifier: Apache-2.0
//
// shells_beside THREADS SHELLS: an environment of a thousand entries of the program's own, and THREADS threads that
// each call system() SHELLS times, half of them in step with one another, while another reads the environment all the
// time. Every shell runs, ends as it should, and nobody finds anything but the program's entries, also not where
// `environ` pointed to amid another thread's system().

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "environment.h"

enum { kEntries = 1000, kAlone = 100 };

static int shells;
static atomic_bool done;
static pthread_barrier_t together;

static void* call_system(void* number) {
  for (int i = 0; i < shells; ++i) {
    if (i % 2 == 0) pthread_barrier_wait(&together);
    const int status = system(":");
    if (status != 0) say("thread %ld: a shell ended with %d", (long)number, status);
  }
  return NULL;
}

static void* read_environment(void* unused) {
  while (!atomic_load(&done)) {
    const char* const value = getenv("N999");
    if (value == NULL || strcmp(value, "value") != 0) say("N999 is %s", value == NULL ? "gone" : value);
  }
  return unused;
}

// In system() until a word is read from descriptor 9; says on 8 that the shell runs.
static void* wait_in_system(void* unused) {
  CHECK(system("echo >&8; read line <&9") == 0);
  return unused;
}

static char* volatile* seen;  // `environ` as it was then

static void* watch(void* first) {
  while (!atomic_load(&done)) {
    if (seen[0] == first) continue;
    say("another first entry");
    break;
  }
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 3);
  const int threads = atoi(argv[1]);
  shells = atoi(argv[2]);
  CHECK(threads > 0 && threads < 64 && pthread_barrier_init(&together, NULL, (unsigned)threads) == 0);
  static char* own[kEntries + 1];
  for (int i = 0; i < kEntries; ++i) CHECK(asprintf(&own[i], "N%d=value", i) > 0);
  environ = own;

  int said[2];
  int go_on[2];
  pthread_t waiting;
  char byte = 0;
  CHECK(pipe(said) == 0 && pipe(go_on) == 0 && go_on[1] < 8 && dup2(said[1], 8) == 8 && dup2(go_on[0], 9) == 9);
  CHECK(pthread_create(&waiting, NULL, wait_in_system, NULL) == 0 && read(said[0], &byte, 1) == 1);
  seen = (char* volatile*)environ;
  char* const first = seen[0];
  CHECK(write(go_on[1], "\n", 1) == 1 && pthread_join(waiting, NULL) == 0);

  pthread_t reader;
  pthread_t watcher;
  pthread_t callers[64];
  CHECK(pthread_create(&reader, NULL, read_environment, NULL) == 0);
  CHECK(pthread_create(&watcher, NULL, watch, first) == 0);
  for (int i = 0; i < kAlone; ++i) CHECK(system(":") == 0);
  for (long i = 0; i < threads; ++i) CHECK(pthread_create(&callers[i], NULL, call_system, (void*)i) == 0);
  for (int i = 0; i < threads; ++i) CHECK(pthread_join(callers[i], NULL) == 0);
  atomic_store(&done, true);
  CHECK(pthread_join(reader, NULL) == 0 && pthread_join(watcher, NULL) == 0);
  CHECK(environ == own);

  // Environments that change from shell to shell.
  for (int i = 0; i < 30; ++i) {
    CHECK(asprintf(&own[i % 3], "CHANGED%d=%0*d", i, i * 200, i) > 0);
    char command[80];
    snprintf(command, sizeof command, "test ${#CHANGED%d} -eq %d", i, i < 1 ? 1 : i * 200);
    if (system(command) != 0) say("not so: %s", command);
  }
  CHECK(environ == own);
  say("done");
  return 3;
}
