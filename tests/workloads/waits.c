// SPDX-License-Identifier: Apache-2.0
//
// poll, select and epoll in all their forms: ready, timed out, interrupted, many descriptors, unreadable arguments.

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

#include "check.h"

int __poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int __select(int count, fd_set* read, fd_set* write, fd_set* except, struct timeval* timeout);

static int pair[2];

static void polls(void) {
  struct pollfd fds[3] = {{pair[0], POLLIN, 0}, {pair[1], POLLIN | POLLOUT, 0}, {-1, POLLIN, 0}};
  const nfds_t count = OPAQUE((nfds_t)3);
  CHECK(poll(fds, count, 1000) == 2);  // three entries: fortified, libc checks the size
  CHECK(fds[0].revents == POLLIN && fds[1].revents == POLLOUT && fds[2].revents == 0);
  CHECK(__poll(fds, count, -1) == 2);
  const struct timespec nothing = {0, 0};
  CHECK(ppoll(fds, count, &nothing, NULL) == 2);
  CHECK(ppoll(fds, OPAQUE((nfds_t)1), NULL, NULL) == 1);
  struct pollfd writer = {pair[1], POLLIN, 0};
  CHECK(poll(&writer, 1, 0) == 0);
  CHECK(poll(NULL, 0, 1) == 0);

  struct pollfd many[1000];
  for (int i = 0; i < 1000; ++i) many[i] = (struct pollfd){i == 900 ? pair[0] : pair[1], POLLIN, 0};
  CHECK(poll(many, OPAQUE((nfds_t)1000), 1000) == 1 && many[900].revents == POLLIN);

  char* const bad = unmapped_after_64();
  CHECK_FAILS(poll((struct pollfd*)(void*)OPAQUE(bad), 1, 0), EFAULT);
  CHECK_FAILS(poll((struct pollfd*)(void*)OPAQUE(bad - 64), OPAQUE((nfds_t)9), 0), EFAULT);
  CHECK_FAILS(poll((struct pollfd*)(void*)OPAQUE(bad), OPAQUE((nfds_t)-1), 0), EINVAL);
}

static void selects(void) {
  fd_set readable, writable;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  FD_SET(pair[0], &readable);
  FD_SET(pair[1], &readable);
  FD_SET(pair[1], &writable);
  const int count = (pair[0] > pair[1] ? pair[0] : pair[1]) + 1;
  struct timeval timeout = {1, 0};
  CHECK(select(count, &readable, &writable, NULL, &timeout) == 2);
  CHECK(FD_ISSET(pair[0], &readable) && !FD_ISSET(pair[1], &readable) && FD_ISSET(pair[1], &writable));
  CHECK(__select(count, &readable, NULL, NULL, NULL) == 1);
  const struct timespec nothing = {0, 0};
  FD_ZERO(&readable);
  FD_SET(pair[1], &readable);
  CHECK(pselect(count, &readable, NULL, NULL, &nothing, NULL) == 0);
  CHECK(!FD_ISSET(pair[1], &readable));
  timeout = (struct timeval){0, 1000};
  CHECK(select(0, NULL, NULL, NULL, &timeout) == 0);

  // Sets of just the bytes that the kernel reads for this count, at the end of mapped memory.
  char* const bad = unmapped_after_64();
  fd_set* const tight = (fd_set*)(void*)(bad - 8);
  memset(bad - 8, 0, 8);
  timeout = (struct timeval){0, 0};
  CHECK(select(OPAQUE(3), OPAQUE(tight), NULL, NULL, &timeout) == 0);
  CHECK_FAILS(select(OPAQUE(3), (fd_set*)(void*)OPAQUE(bad), NULL, NULL, &timeout), EFAULT);
  CHECK_FAILS(select(OPAQUE(3), NULL, NULL, (fd_set*)(void*)OPAQUE(bad), &timeout), EFAULT);
  CHECK_FAILS(select(-1, NULL, NULL, NULL, &timeout), EINVAL);
}

static void epolls(void) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  CHECK(epoll >= 0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = pair[0]};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) == 0);
  CHECK_FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), EEXIST);
  event.events = EPOLLIN | EPOLLOUT;
  CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event) == 0);
  struct epoll_event ready[4];
  CHECK(epoll_wait(epoll, ready, 4, 1000) == 1);
  CHECK(ready[0].data.fd == pair[0] && ready[0].events == (EPOLLIN | EPOLLOUT));
  CHECK(epoll_pwait(epoll, ready, 4, 1000, NULL) == 1);
  CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL) == 0);
  CHECK(epoll_wait(epoll, ready, 4, 1) == 0);
  char* const bad = unmapped_after_64();
  CHECK_FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], (struct epoll_event*)(void*)OPAQUE(bad)), EFAULT);
  CHECK_FAILS(epoll_wait(epoll, ready, 0, 0), EINVAL);
  CHECK_FAILS(epoll_wait(-1, ready, 4, 0), EBADF);
  CHECK(close(epoll) == 0);
}

static void nothing_to_do(int signal) { (void)signal; }

static void interrupted(void) {
  struct sigaction action = {.sa_handler = nothing_to_do};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  timer_t timer;
  CHECK(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
  const struct itimerspec often = {{0, 5000000}, {0, 5000000}};  // again and again: one may come before the wait
  CHECK(timer_settime(timer, 0, &often, NULL) == 0);
  struct pollfd fd = {pair[1], POLLIN, 0};
  CHECK_FAILS(poll(&fd, 1, -1), EINTR);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[1], &set);
  CHECK_FAILS(select(pair[1] + 1, &set, NULL, NULL, NULL), EINTR);
  CHECK(FD_ISSET(pair[1], &set));
  CHECK(timer_delete(timer) == 0);
}

int main(void) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(write(pair[1], "x", 1) == 1);  // pair[0] is readable from here on, pair[1] is not
  polls();
  selects();
  epolls();
  interrupted();
  return 0;
}
