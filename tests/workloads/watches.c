// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that tell of files, processes, timers and counters: made, told and asked; waited for by epoll_pwait2.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "check.h"

static void* bad;  // nothing is mapped here

static void files(void) {
  const int old = inotify_init();
  CHECK(old >= 0 && close(old) == 0);
  const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  const int watch = inotify_add_watch(fd, "/tmp", IN_CREATE | IN_DELETE);
  CHECK(watch > 0 && inotify_rm_watch(fd, watch) == 0);
  CHECK_FAILS(inotify_rm_watch(fd, watch), EINVAL);
  CHECK_FAILS(inotify_add_watch(fd, "/no/such/file", IN_CREATE), ENOENT);
  CHECK_FAILS(inotify_add_watch(fd, bad, IN_CREATE), EFAULT);
  CHECK_FAILS(inotify_init1(0x40), EINVAL);
  CHECK(close(fd) == 0);

  const int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
  if (fan >= 0) {
    CHECK(fanotify_mark(fan, FAN_MARK_ADD, FAN_CLOSE_WRITE, AT_FDCWD, "/tmp") == 0 || errno == ENODEV ||
          errno == EINVAL);
    CHECK(close(fan) == 0);
  } else {
    CHECK(errno == EPERM || errno == ENOSYS);
  }
  CHECK_FAILS(fanotify_mark(-1, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/tmp"), errno == ENOSYS ? ENOSYS : EBADF);
}

static void processes(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    close(pair[0]);
    _exit(read(pair[1], &byte, OPAQUE(sizeof byte)) == 0 ? 0 : 1);  // until it is killed
  }
  const int fd = pidfd_open(child, 0);
  CHECK(child > 0 && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  const int taken = pidfd_getfd(fd, pair[1], 0);
  if (taken >= 0) {
    CHECK(send(taken, "x", 1, MSG_DONTWAIT) == 1);  // the child's end: what is sent on it comes to ours
    char byte = 0;
    CHECK(recv(pair[0], &byte, OPAQUE(sizeof byte), 0) == 1 && byte == 'x' && close(taken) == 0);
  } else {
    CHECK(errno == EPERM || errno == ENOSYS);
  }
  CHECK_FAILS(pidfd_getfd(-1, 0, 0), EBADF);
  CHECK_FAILS(pidfd_open(-1, 0), EINVAL);
  CHECK(pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0);
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  CHECK_FAILS(pidfd_send_signal(fd, SIGKILL, NULL, 0), ESRCH);
  CHECK(close(fd) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void timers(void) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const struct itimerspec time = {.it_interval = {5, 0}, .it_value = {100, 7}};
  struct itimerspec got;
  CHECK(timerfd_settime(fd, 0, &time, NULL) == 0 && timerfd_gettime(fd, &got) == 0);
  CHECK(got.it_interval.tv_sec == 5 && got.it_value.tv_sec <= 100 && got.it_value.tv_sec > 0);
  CHECK_FAILS(timerfd_settime(fd, 0, bad, NULL), EFAULT);
  CHECK_FAILS(timerfd_gettime(-1, &got), EBADF);
  CHECK(close(fd) == 0);
}

static void counters(void) {
  const int fd = eventfd(0, EFD_NONBLOCK);
  eventfd_t value = 0;
  CHECK(eventfd_write(fd, 7) == 0 && eventfd_read(fd, &value) == 0 && value == 7);
  CHECK_FAILS(eventfd_read(fd, &value), EAGAIN);
  CHECK_FAILS(eventfd_write(-1, 1), EBADF);

  const int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
  const struct timespec soon = {0, 1000};
  CHECK(epoll_pwait2(epoll, &event, 1, &soon, NULL) == 0);
  CHECK(eventfd_write(fd, 1) == 0 && epoll_pwait2(epoll, &event, 1, NULL, NULL) == 1 && event.events == EPOLLIN);
  CHECK_FAILS(epoll_pwait2(epoll, bad, 1, NULL, NULL), EFAULT);
  CHECK(close(epoll) == 0 && close(fd) == 0);
}

int main(void) {
  bad = OPAQUE((void*)unmapped_after_64());
  files();
  processes();
  timers();
  counters();
  return 0;
}
