// SPDX-License-Identifier: Apache-2.0
//
// changed_meanwhile FIFO: while system() waits for its shell in one thread, another reads the environment, takes an
// entry out, replaces one, and adds some. What it did is there when system() is back, also when the thread in system()
// is cancelled.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>

#include "environment.h"

static const char* fifo;

static void* in_system(void* argument) {
  char command[300];
  snprintf(command, sizeof command, "read line < %s; exit 3", fifo);
  const int status = system(command);
  say("system: %d", status >> 8);
  *(int*)argument = status;
  return NULL;
}

static pthread_t begin(int* status) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, in_system, status) == 0);
  return thread;
}

// Opens the fifo once the shell has: it reads now.
static int shell_reads(void) {
  const int fd = open(fifo, O_WRONLY);
  CHECK(fd >= 0);
  return fd;
}

static void end(pthread_t thread, int fd, const char* when) {
  CHECK(write(fd, "now\n", 4) == 4 && close(fd) == 0 && pthread_join(thread, NULL) == 0);
  say("%s:", when);
  say_environment();
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  fifo = argv[1];
  int status;
  char* own[] = {(char*)"A=1", (char*)"B=2", (char*)"C=3", NULL};
  environ = own;

  pthread_t thread = begin(&status);
  int fd = shell_reads();
  say("A is %s", getenv("A"));
  end(thread, fd, "read");

  thread = begin(&status);
  fd = shell_reads();
  CHECK(unsetenv("A") == 0);
  end(thread, fd, "one taken out");

  thread = begin(&status);
  fd = shell_reads();
  CHECK(setenv("B", "two", 1) == 0);
  end(thread, fd, "one replaced");

  thread = begin(&status);
  fd = shell_reads();
  CHECK(setenv("D", "4", 1) == 0 && setenv("E", "5", 1) == 0);
  end(thread, fd, "two added");

  CHECK(clearenv() == 0);
  thread = begin(&status);
  fd = shell_reads();
  CHECK(clearenv() == 0);
  end(thread, fd, "cleared");

  thread = begin(&status);
  fd = shell_reads();
  CHECK(pthread_cancel(thread) == 0);
  void* result;
  CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && close(fd) == 0);
  say("cancelled:");
  say_environment();
  thread = begin(&status);
  end(thread, shell_reads(), "once more");
  return 0;
}
