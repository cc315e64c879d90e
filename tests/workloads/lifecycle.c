// SPDX-License-Identifier: Apache-2.0
//
// Descriptors made, copied and closed in every way there is; their numbers are the lowest free ones, as if nobody held
// any; the failures are the kernel's.

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "check.h"

int __close(int fd);
int __dup2(int fd, int target);
int __fcntl(int fd, int command, ...);
int __open(const char* path, int flags, ...);
int __open64(const char* path, int flags, ...);
int __pipe(int fds[2]);

static int lowest;  // the lowest free number

static void expect_lowest(int fd) {
  CHECK(fd == lowest);
  CHECK(close(fd) == 0);
}

static void sockets(void) {
  expect_lowest(socket(AF_INET, SOCK_STREAM, 0));
  expect_lowest(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  expect_lowest(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
  CHECK_FAILS(socket(AF_UNIX, 99, 0), EINVAL);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(pair[0] == lowest && pair[1] == lowest + 1);
  CHECK(shutdown(pair[0], SHUT_WR) == 0);
  CHECK_FAILS(shutdown(-1, SHUT_WR), EBADF);
  CHECK_FAILS(listen(0, 5), ENOTSOCK);
  CHECK_FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, (int*)OPAQUE(unmapped_after_64())), EFAULT);
  CHECK(close(pair[0]) == 0 && __close(pair[1]) == 0);
  CHECK_FAILS(close(pair[0]), EBADF);
}

static void files(const char* path) {
  const char* bad = OPAQUE((const char*)unmapped_after_64());
  CHECK(creat(path, 0640) == lowest);
  struct stat status;
  CHECK(fstat(lowest, &status) == 0 && (status.st_mode & 0777) == 0640);
  expect_lowest(lowest);
  expect_lowest(open(path, OPAQUE(O_RDONLY)));
  expect_lowest(openat(AT_FDCWD, path, OPAQUE(O_RDONLY)));
  expect_lowest(__open(path, O_RDONLY));
  expect_lowest(open64(path, OPAQUE(O_RDONLY)));
  expect_lowest(__open64(path, O_RDONLY));
  expect_lowest(openat64(AT_FDCWD, path, OPAQUE(O_RDONLY)));
  expect_lowest(creat64(path, 0600));
  CHECK(unlink(path) == 0);
  CHECK_FAILS(open(path, OPAQUE(O_RDONLY)), ENOENT);
  CHECK_FAILS(open(bad, OPAQUE(O_RDONLY)), EFAULT);
  CHECK_FAILS(openat(-7, "relative", OPAQUE(O_RDONLY)), EBADF);
  char* const endless = malloc(2 * PATH_MAX);
  memset(endless, 'a', 2 * PATH_MAX - 1);
  endless[2 * PATH_MAX - 1] = '\0';
  CHECK_FAILS(open(endless, OPAQUE(O_RDONLY)), ENAMETOOLONG);
  free(endless);
  // The mode is the third argument: it must come through, and only with O_CREAT.
  const mode_t old_mask = umask(0);
  const int made = open(path, O_CREAT | O_EXCL | O_RDWR, 0751);
  CHECK(made == lowest && fstat(made, &status) == 0 && (status.st_mode & 0777) == 0751);
  umask(old_mask);
  CHECK(unlink(path) == 0);
  expect_lowest(made);
  // The name ends right before memory that cannot be read.
  char* const edge = unmapped_after_64() - 10;
  memcpy(edge, "/dev/null", 10);
  expect_lowest(open(edge, OPAQUE(O_RDONLY)));
  expect_lowest(memfd_create(edge, MFD_CLOEXEC));
  CHECK_FAILS(memfd_create(bad, 0), EFAULT);
}

static void others(void) {
  int pair[2];
  CHECK(pipe(pair) == 0 && pair[0] == lowest && pair[1] == lowest + 1);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  CHECK(__pipe(pair) == 0 && pair[0] == lowest && close(pair[0]) == 0 && close(pair[1]) == 0);
  CHECK(pipe2(pair, O_CLOEXEC) == 0 && fcntl(pair[1], F_GETFD) == FD_CLOEXEC);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  CHECK_FAILS(pipe((int*)OPAQUE(unmapped_after_64())), EFAULT);
  expect_lowest(epoll_create(1));
  expect_lowest(epoll_create1(EPOLL_CLOEXEC));
  expect_lowest(eventfd(3, EFD_NONBLOCK));
  expect_lowest(timerfd_create(CLOCK_MONOTONIC, 0));
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  const int signals = signalfd(-1, &mask, 0);
  CHECK(signals == lowest && signalfd(signals, &mask, SFD_NONBLOCK) == signals);
  expect_lowest(signals);
}

static void copies(void) {
  const int fd = open("/dev/null", O_RDWR);
  CHECK(fd == lowest);
  CHECK(dup(fd) == fd + 1);
  CHECK(dup2(fd, fd + 5) == fd + 5);
  CHECK(dup2(fd, fd) == fd);
  CHECK(__dup2(fd, fd + 5) == fd + 5);
  CHECK(dup3(fd, fd + 6, O_CLOEXEC) == fd + 6 && fcntl(fd + 6, F_GETFD) == FD_CLOEXEC);
  CHECK_FAILS(dup3(fd, fd, 0), EINVAL);
  CHECK_FAILS(dup(-1), EBADF);
  CHECK_FAILS(dup2(999, fd + 5), EBADF);
  CHECK(fcntl(fd + 5, F_GETFD) == 0);  // and so it is still there
  CHECK(fcntl(fd, F_DUPFD, 20) == 20);
  CHECK(fcntl64(fd, F_DUPFD_CLOEXEC, 20) == 21);
  CHECK(__fcntl(21, F_SETFD, 0) == 0 && fcntl(21, F_GETFD) == 0);
  CHECK(fcntl(20, F_SETFL, O_NONBLOCK) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  // Commands with a structure as their argument come through as they are.
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  const int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  CHECK(file >= 0 && fcntl(file, F_SETLK, &lock) == 0 && fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
  CHECK_FAILS(fcntl(file, F_SETLK, OPAQUE((void*)unmapped_after_64())), EFAULT);
  CHECK_FAILS(fcntl(file, 9999, 0), EINVAL);
  CHECK(close(file) == 0);
  const int made[] = {fd, fd + 1, fd + 5, fd + 6, 20, 21};
  for (size_t i = 0; i < sizeof made / sizeof *made; ++i) CHECK(close(made[i]) == 0);
}

// As daemons do: everything from `lowest` on is closed, whatever it is; the next number is the lowest again.
static void close_everything(void) {
  for (int fd = lowest; fd < 1024; ++fd) close(fd);
  expect_lowest(socket(AF_UNIX, SOCK_DGRAM, 0));
  closefrom(lowest);
  expect_lowest(socket(AF_UNIX, SOCK_DGRAM, 0));
  const int fd = open("/dev/null", O_RDWR);
  CHECK(fd == lowest);
  for (int target = lowest + 1; target < 256; ++target) CHECK(dup2(fd, target) == target);
  CHECK(close_range((unsigned)lowest, ~0u, 0) == 0);
  expect_lowest(eventfd(0, 0));
}

int main(void) {
  lowest = dup(0);
  CHECK(lowest >= 0 && close(lowest) == 0);
  char path[64];
  snprintf(path, sizeof path, "/tmp/socktale-lifecycle-%d", (int)getpid());
  sockets();
  files(path);
  others();
  copies();
  close_everything();
  return 0;
}
