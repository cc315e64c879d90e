// SPDX-License-Identifier: Apache-2.0
//
// Calls that make, copy, change and end descriptors.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "each_call.h"
#include "tests/workloads/check.h"

// A descriptor was made: ends it.
static void made(int fd) {
  CHECK(fd >= 0);
  CHECK(close(fd) == 0);
}

static void make_socket(void) {
  made(socket(AF_INET, SOCK_STREAM, 0));
  made(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP));
  made(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  CHECK_FAILS(socket(AF_INET, 4711, 0), EINVAL);
  CHECK_FAILS(socket(4711, SOCK_STREAM, 0), EAFNOSUPPORT);
}

static void make_socketpair(void) {
  static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int i = 0; i < 3; ++i) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, kTypes[i], 0, pair) == 0);
    close_ends((struct Ends){pair[0], pair[1]});
  }
  CHECK_FAILS(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}), EOPNOTSUPP);
  CHECK_FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, OPAQUE((int*)nowhere())), EFAULT);
}

static void make_bind(void) {
  struct sockaddr_in name = loopback();
  static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM};
  for (int i = 0; i < 2; ++i) {
    const int fd = socket(AF_INET, kTypes[i], 0);
    CHECK(bind(fd, (struct sockaddr*)&name, sizeof name) == 0);
    CHECK_FAILS(bind(fd, (struct sockaddr*)&name, sizeof name), EINVAL);
    CHECK(close(fd) == 0);
  }
  CHECK_FAILS(bind(kNoDescriptor, (struct sockaddr*)&name, sizeof name), EBADF);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_FAILS(bind(fd, OPAQUE((struct sockaddr*)nowhere()), sizeof name), EFAULT);
  CHECK(close(fd) == 0);
}

static void make_listen(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(listen(fd, 7) == 0);
  CHECK_FAILS(listen(datagrams, 7), EOPNOTSUPP);
  CHECK_FAILS(listen(kNoDescriptor, 7), EBADF);
  close_ends((struct Ends){fd, datagrams});
}

// A listening socket and its name.
static int listener(struct sockaddr_in* name) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  *name = loopback();
  socklen_t size = sizeof *name;
  CHECK(bind(fd, (struct sockaddr*)name, size) == 0 && listen(fd, 3) == 0);
  CHECK(getsockname(fd, (struct sockaddr*)name, &size) == 0);
  return fd;
}

static void accept_by(int (*accept_one)(int, struct sockaddr*, socklen_t*)) {
  struct sockaddr_in name, peer;
  const int fd = listener(&name);
  for (int with_name = 0; with_name < 2; ++with_name) {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr*)&name, sizeof name) == 0);
    socklen_t size = sizeof peer;
    made(accept_one(fd, with_name ? (struct sockaddr*)&peer : NULL, with_name ? &size : NULL));
    CHECK(close(client) == 0);
  }
  CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
  CHECK_FAILS(accept_one(fd, NULL, NULL), EAGAIN);
  CHECK_FAILS(accept_one(kNoDescriptor, NULL, NULL), EBADF);
  CHECK(close(fd) == 0);
}
static int accept4_one(int fd, struct sockaddr* peer, socklen_t* size) { return accept4(fd, peer, size, SOCK_CLOEXEC); }
static void make_accept(void) { accept_by(accept); }
static void make_accept4(void) { accept_by(accept4_one); }

static void make_connect(void) {
  close_ends(stream_ends());
  close_ends(datagram_ends());
  struct sockaddr_in name;
  CHECK(close(listener(&name)) == 0);  // nobody listens there now
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_FAILS(connect(fd, (struct sockaddr*)&name, sizeof name), ECONNREFUSED);
  CHECK_FAILS(connect(fd, OPAQUE((struct sockaddr*)nowhere()), sizeof name), EFAULT);
  CHECK_FAILS(connect(kNoDescriptor, (struct sockaddr*)&name, sizeof name), EBADF);
  CHECK(close(fd) == 0);
}

static void make_shutdown(void) {
  const struct Ends ends = stream_ends(), datagrams = datagram_ends();
  CHECK(shutdown(ends.a, SHUT_WR) == 0 && shutdown(ends.a, SHUT_RD) == 0 && shutdown(datagrams.a, SHUT_RDWR) == 0);
  CHECK_FAILS(shutdown(ends.a, 4711), EINVAL);
  CHECK_FAILS(shutdown(kNoDescriptor, SHUT_WR), EBADF);
  close_ends(ends);
  close_ends(datagrams);
}

static void make_close(void) {
  close_ends(stream_ends());
  close_ends(datagram_ends());
  CHECK_FAILS(close(kNoDescriptor), EBADF);
  CHECK_FAILS(close(OPAQUE(-1)), EBADF);
}

static void make_dup(void) {
  const struct Ends ends = stream_ends();
  made(dup(ends.a));
  CHECK_FAILS(dup(kNoDescriptor), EBADF);
  close_ends(ends);
}

static void make_dup2(void) {
  const struct Ends ends = stream_ends(), datagrams = datagram_ends();
  CHECK(dup2(ends.a, datagrams.a) == datagrams.a && dup2(ends.a, ends.a) == ends.a);
  CHECK_FAILS(dup2(kNoDescriptor, ends.a), EBADF);
  CHECK_FAILS(dup2(ends.a, OPAQUE(-1)), EBADF);
  close_ends(ends);
  close_ends(datagrams);
}

static void make_dup3(void) {
  const struct Ends ends = stream_ends(), datagrams = datagram_ends();
  CHECK(dup3(ends.a, datagrams.a, O_CLOEXEC) == datagrams.a);
  CHECK_FAILS(dup3(ends.a, ends.a, 0), EINVAL);
  CHECK_FAILS(dup3(kNoDescriptor, ends.a, 0), EBADF);
  close_ends(ends);
  close_ends(datagrams);
}

static void make_fcntl(void) {
  const struct Ends ends = stream_ends();
  made(fcntl(ends.a, F_DUPFD, 50));
  made(fcntl(ends.a, F_DUPFD_CLOEXEC, 50));
  CHECK(fcntl(ends.a, F_SETFL, O_NONBLOCK) == 0 && (fcntl(ends.a, F_GETFL) & O_NONBLOCK) != 0);
  CHECK(fcntl(ends.a, F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends.a, F_GETFD) == FD_CLOEXEC);
  CHECK_FAILS(fcntl(kNoDescriptor, F_SETFD, 0), EBADF);
  CHECK_FAILS(fcntl(ends.a, F_DUPFD, OPAQUE(-1)), EINVAL);
  close_ends(ends);
}

static void make_open(void) {
  made(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_FAILS(open("/nowhere/at all", O_RDONLY), ENOENT);
  CHECK_FAILS(open(OPAQUE((const char*)nowhere()), O_RDONLY), EFAULT);
}

static void make_openat(void) {
  const int root = open("/", O_RDONLY | O_DIRECTORY);
  made(openat(root, "dev/null", O_WRONLY));
  made(openat(AT_FDCWD, "/dev/null", O_RDONLY));
  CHECK_FAILS(openat(root, "nowhere", O_RDONLY), ENOENT);
  CHECK_FAILS(openat(kNoDescriptor, "dev", O_RDONLY), EBADF);
  CHECK(close(root) == 0);
}

static void make_creat(void) {
  char path[] = "each_call_XXXXXX";
  CHECK(mkdtemp(path) != NULL);
  CHECK_FAILS(creat(path, 0600), EISDIR);
  CHECK(rmdir(path) == 0);
  made(creat("/dev/null", 0600));
}

static void make_pipe(void) {
  int pair[2];
  CHECK(pipe(pair) == 0);
  close_ends((struct Ends){pair[0], pair[1]});
  CHECK_FAILS(pipe(OPAQUE((int*)nowhere())), EFAULT);
}

static void make_pipe2(void) {
  int pair[2];
  CHECK(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
  close_ends((struct Ends){pair[0], pair[1]});
  CHECK_FAILS(pipe2(pair, 4711), EINVAL);
}

static void make_epoll_create(void) {
  made(epoll_create(3));
  CHECK_FAILS(epoll_create(0), EINVAL);
}
static void make_epoll_create1(void) {
  made(epoll_create1(EPOLL_CLOEXEC));
  CHECK_FAILS(epoll_create1(4711), EINVAL);
}
static void make_eventfd(void) {
  made(eventfd(3, EFD_NONBLOCK));
  CHECK_FAILS(eventfd(3, 4711), EINVAL);
}
static void make_timerfd_create(void) {
  made(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  CHECK_FAILS(timerfd_create(4711, 0), EINVAL);
}
static void make_signalfd(void) {
  sigset_t signals;
  CHECK(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGUSR2) == 0);
  made(signalfd(-1, &signals, SFD_CLOEXEC));
  CHECK_FAILS(signalfd(kNoDescriptor, &signals, 0), EBADF);
}
static void make_memfd_create(void) {
  made(memfd_create("each call", MFD_CLOEXEC));
  CHECK_FAILS(memfd_create("each call", 0x4711), EINVAL);
}

const struct EachCall kMakingCalls[] = {{"socket", make_socket},
                                        {"socketpair", make_socketpair},
                                        {"bind", make_bind},
                                        {"listen", make_listen},
                                        {"accept", make_accept},
                                        {"accept4", make_accept4},
                                        {"connect", make_connect},
                                        {"shutdown", make_shutdown},
                                        {"close", make_close},
                                        {"dup", make_dup},
                                        {"dup2", make_dup2},
                                        {"dup3", make_dup3},
                                        {"fcntl", make_fcntl},
                                        {"open", make_open},
                                        {"openat", make_openat},
                                        {"creat", make_creat},
                                        {"pipe", make_pipe},
                                        {"pipe2", make_pipe2},
                                        {"epoll_create", make_epoll_create},
                                        {"epoll_create1", make_epoll_create1},
                                        {"eventfd", make_eventfd},
                                        {"timerfd_create", make_timerfd_create},
                                        {"signalfd", make_signalfd},
                                        {"memfd_create", make_memfd_create},
                                        {NULL, NULL}};
