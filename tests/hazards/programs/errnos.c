// SPDX-License-Identifier: Apache-2.0
//
// errno as the program finds it: untouched by calls that succeed, with the kernel's value by those that fail, whatever
// a tracer does in between; also for calls that are new to a thread, a forked child, or a signal handler.

#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "say.h"

// A call that succeeds leaves errno alone; says its result.
#define KEEPS(call)                                      \
  do {                                                   \
    errno = 4711;                                        \
    const long kept_result = (long)(call);               \
    const int kept_errno = errno;                        \
    say("%s = %ld, %d", #call, kept_result, kept_errno); \
    CHECK(kept_result != -1);                            \
  } while (0)

#define FAILS(call)                                   \
  do {                                                \
    errno = 0;                                        \
    const long failed_result = (long)(call);          \
    say("%s = %ld, %d", #call, failed_result, errno); \
    CHECK(failed_result == -1);                       \
  } while (0)

static int pair[2];

static void successes(void) {
  char bytes[8];
  struct pollfd one = {0, POLLIN, 0};
  KEEPS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  KEEPS(send(pair[0], "abcdef", 6, 0));
  KEEPS(recv(pair[1], bytes, 3, 0));
  KEEPS(read(pair[1], bytes, 3));
  KEEPS(poll(&one, 1, 0) * 0);
  const int fd = dup(pair[0]);
  KEEPS(fcntl(fd, F_GETFL));
  KEEPS(dup2(pair[0], fd) - fd);
  KEEPS(close(fd));
  KEEPS(epoll_create1(0));
  KEEPS(open("/dev/null", O_RDONLY));
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  KEEPS(getsockname(pair[0], (void*)&name, &size));
  KEEPS(shutdown(pair[0], SHUT_WR));
  KEEPS(recv(pair[1], bytes, 1, 0));
}

static void interrupted(int number) { (void)number; }

static void failures(void) {
  char byte;
  FAILS(recv(19999, &byte, 1, 0));
  FAILS(send(-1, "x", 1, 0));
  FAILS(read(999999999, &byte, 1));
  FAILS(recv(pair[0], &byte, 1, MSG_DONTWAIT));
  FAILS(send(pair[0], "x", 1, MSG_NOSIGNAL));
  FAILS(recv(0, &byte, 1, 0));
  FAILS(listen(pair[0], 1));
  FAILS(accept(pair[0], NULL, NULL));
  FAILS(socket(999, SOCK_STREAM, 0));
  FAILS(dup2(0, 2000000000));
  FAILS(close(19999));
  FAILS(epoll_wait(pair[0], &(struct epoll_event){0}, 1, 0));
  FAILS(open("/no/such/file", O_RDONLY));
  FAILS(openat(pair[0], "file", O_RDONLY));
  FAILS(fcntl(pair[0], 9999));
  FAILS(fcntl(19999, F_GETFD));
  struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(1)};
  const int tcp = socket(AF_INET, SOCK_STREAM, 0);
  FAILS(connect(tcp, (void*)&nobody, sizeof nobody));
  FAILS(connect(tcp, (void*)&nobody, 3));
  FAILS(send(tcp, "x", 1, MSG_NOSIGNAL));
  FAILS(getpeername(tcp, (void*)&nobody, &(socklen_t){sizeof nobody}));
  FAILS(setsockopt(tcp, SOL_SOCKET, 9999, &byte, 1));
  // A signal that comes while the call waits.
  const struct sigaction action = {.sa_handler = interrupted};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  const struct itimerval soon = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
  int quiet[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
  struct pollfd one = {quiet[0], POLLIN, 0};
  FAILS(recv(quiet[0], &byte, 1, 0));
  FAILS(poll(&one, 1, -1));
  FAILS(epoll_wait(epoll_create1(0), &(struct epoll_event){0}, 1, -1));
  CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

static void* in_thread(void* argument) {
  (void)argument;
  char byte;
  KEEPS(send(pair[1], "t", 1, 0));
  FAILS(recv(pair[1], &byte, 1, MSG_DONTWAIT | MSG_OOB));
  return NULL;
}

static void none_left(void) {
  const struct rlimit few = {30, 30};
  CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
  while (dup(0) >= 0) {
  }
  FAILS(dup(0));
  FAILS(socket(AF_INET, SOCK_STREAM, 0));
  FAILS(accept(pair[0], NULL, NULL));
  FAILS(eventfd(0, 0));
  int more[2];
  FAILS(pipe(more));
  FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, more));
}

int main(void) {
  successes();
  failures();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  errno = 4712;
  const pid_t pid = fork();
  if (pid == 0) {
    say("child finds errno %d", errno);
    KEEPS(send(pair[1], "c", 1, 0));
    _exit(0);
  }
  const int found = errno;
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  say("parent finds errno %d", found);
  none_left();
  return 0;
}
