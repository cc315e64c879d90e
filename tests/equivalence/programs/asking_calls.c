// SPDX-License-Identifier: Apache-2.0
//
// Calls that ask about descriptors and wait for them.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "each_call.h"
#include "tests/workloads/check.h"

static void ask_name(int (*ask)(int, struct sockaddr*, socklen_t*), int unconnected_error) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  struct sockaddr_in name;
  for (int i = 0; i < 2; ++i) {
    socklen_t size = sizeof name;
    CHECK(ask(kinds[i].a, (struct sockaddr*)&name, &size) == 0 && size == sizeof name);
    CHECK_FAILS(ask(kinds[i].a, (struct sockaddr*)&name, OPAQUE((socklen_t*)nowhere())), EFAULT);
    close_ends(kinds[i]);
  }
  socklen_t size = sizeof name;
  CHECK_FAILS(ask(kNoDescriptor, (struct sockaddr*)&name, &size), EBADF);
  if (unconnected_error != 0) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(ask(fd, (struct sockaddr*)&name, &size), unconnected_error);
    CHECK(close(fd) == 0);
  }
}
static void make_getsockname(void) { ask_name(getsockname, 0); }
static void make_getpeername(void) { ask_name(getpeername, ENOTCONN); }

static void make_setsockopt(void) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  const int on = 1;
  for (int i = 0; i < 2; ++i) {
    CHECK(setsockopt(kinds[i].a, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
    CHECK_FAILS(setsockopt(kinds[i].a, SOL_SOCKET, SO_KEEPALIVE, OPAQUE((const int*)nowhere()), sizeof on), EFAULT);
    CHECK_FAILS(setsockopt(kinds[i].a, 4711, 1, &on, sizeof on), ENOPROTOOPT);
    close_ends(kinds[i]);
  }
  CHECK_FAILS(setsockopt(kNoDescriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), EBADF);
}

static void make_getsockopt(void) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  int value = 0;
  socklen_t size = sizeof value;
  for (int i = 0; i < 2; ++i) {
    CHECK(getsockopt(kinds[i].a, SOL_SOCKET, SO_TYPE, &value, &size) == 0);
    CHECK(value == (i == 0 ? SOCK_STREAM : SOCK_DGRAM));
    CHECK_FAILS(getsockopt(kinds[i].a, SOL_SOCKET, SO_TYPE, &value, OPAQUE((socklen_t*)nowhere())), EFAULT);
    close_ends(kinds[i]);
  }
  CHECK_FAILS(getsockopt(kNoDescriptor, SOL_SOCKET, SO_TYPE, &value, &size), EBADF);
}

// Calls wait(fd) when nothing is there (0 comes back) and when something is (1).
static void wait_by(long (*wait)(int)) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  for (int i = 0; i < 2; ++i) {
    CHECK(wait(kinds[i].b) == 0);
    CHECK(send(kinds[i].a, "knock", 5, 0) == 5);
    while (wait(kinds[i].b) == 0) continue;
    close_ends(kinds[i]);
  }
}

static long wait_poll(int fd) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1); }
static void make_poll(void) {
  wait_by(wait_poll);
  CHECK(poll(&(struct pollfd){.fd = kNoDescriptor, .events = POLLIN}, 1, 0) == 1);  // POLLNVAL
  CHECK_FAILS(poll(OPAQUE((struct pollfd*)nowhere()), 1, 0), EFAULT);
}

static const struct timespec kSoon = {.tv_nsec = 1000000};
static long wait_ppoll(int fd) {
  sigset_t none;
  CHECK(sigemptyset(&none) == 0);
  return ppoll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, &kSoon, &none);
}
static void make_ppoll(void) {
  wait_by(wait_ppoll);
  CHECK_FAILS(ppoll(OPAQUE((struct pollfd*)nowhere()), 1, &kSoon, NULL), EFAULT);
}

static fd_set set_of(int fd) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  return set;
}
// A set of one number that is no descriptor, among those of the process's table: the kernel looks at no others.
static fd_set closed_set(int* number) {
  *number = dup(STDIN_FILENO);
  CHECK(*number >= 0 && close(*number) == 0);
  return set_of(*number);
}
static long wait_select(int fd) {
  fd_set readable = set_of(fd), writable = set_of(fd);
  FD_CLR(fd, &writable);
  struct timeval soon = {.tv_usec = 1000};
  return select(fd + 1, &readable, &writable, NULL, &soon);
}
static void make_select(void) {
  wait_by(wait_select);
  int number;
  fd_set closed = closed_set(&number);
  struct timeval soon = {.tv_usec = 1000};
  CHECK_FAILS(select(number + 1, &closed, NULL, NULL, &soon), EBADF);
}

static long wait_pselect(int fd) {
  fd_set readable = set_of(fd);
  return pselect(fd + 1, &readable, NULL, NULL, &kSoon, NULL);
}
static void make_pselect(void) {
  wait_by(wait_pselect);
  int number;
  fd_set closed = closed_set(&number);
  CHECK_FAILS(pselect(number + 1, &closed, NULL, NULL, &kSoon, NULL), EBADF);
}

static long wait_epoll(int fd, int (*wait)(int, struct epoll_event*)) {
  const int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
  const long ready = wait(set, &event);
  CHECK(close(set) == 0);
  return ready;
}
static int by_wait(int set, struct epoll_event* events) { return epoll_wait(set, events, 1, 1); }
static int by_pwait(int set, struct epoll_event* events) { return epoll_pwait(set, events, 1, 1, NULL); }
static long wait_epoll_wait(int fd) { return wait_epoll(fd, by_wait); }
static long wait_epoll_pwait(int fd) { return wait_epoll(fd, by_pwait); }
static void make_epoll_wait(void) {
  wait_by(wait_epoll_wait);
  CHECK_FAILS(by_wait(kNoDescriptor, &(struct epoll_event){0}), EBADF);
}
static void make_epoll_pwait(void) {
  wait_by(wait_epoll_pwait);
  CHECK_FAILS(by_pwait(kNoDescriptor, &(struct epoll_event){0}), EBADF);
}

static void make_epoll_ctl(void) {
  const int set = epoll_create1(0);
  const struct Ends ends = stream_ends();
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = ends.a};
  CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends.a, &event) == 0 && epoll_ctl(set, EPOLL_CTL_MOD, ends.a, &event) == 0);
  CHECK_FAILS(epoll_ctl(set, EPOLL_CTL_ADD, ends.a, &event), EEXIST);
  CHECK(epoll_ctl(set, EPOLL_CTL_DEL, ends.a, NULL) == 0);
  CHECK_FAILS(epoll_ctl(set, EPOLL_CTL_ADD, kNoDescriptor, &event), EBADF);
  CHECK_FAILS(epoll_ctl(set, EPOLL_CTL_ADD, ends.b, OPAQUE((struct epoll_event*)nowhere())), EFAULT);
  close_ends(ends);
  CHECK(close(set) == 0);
}

static void make_getaddrinfo(void) {
  struct addrinfo* found = NULL;
  CHECK(getaddrinfo("127.0.0.1", "80", NULL, &found) == 0);
  freeaddrinfo(found);
  CHECK(getaddrinfo("localhost", NULL, NULL, &found) == 0);
  freeaddrinfo(found);
  CHECK(getaddrinfo(NULL, NULL, NULL, &found) == EAI_NONAME);
}

// The mark stands behind what was sent before the urgent byte.
static void make_sockatmark(void) {
  const struct Ends ends = stream_ends();
  char got[2];
  CHECK(sockatmark(ends.b) == 0);
  CHECK(send(ends.a, "ab", 2, 0) == 2 && send(ends.a, "!", 1, MSG_OOB) == 1);
  CHECK(poll(&(struct pollfd){.fd = ends.b, .events = POLLPRI}, 1, -1) == 1);
  CHECK(recv(ends.b, got, OPAQUE(sizeof got), MSG_WAITALL) == 2 && sockatmark(ends.b) == 1);
  close_ends(ends);
  const int file = memfd_create("no socket", 0);
  CHECK_FAILS(sockatmark(file), ENOTTY);
  CHECK_FAILS(sockatmark(kNoDescriptor), EBADF);
  CHECK(close(file) == 0);
}

static void make_isfdtype(void) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  for (int i = 0; i < 2; ++i) {
    CHECK(isfdtype(kinds[i].a, S_IFSOCK) == 1 && isfdtype(kinds[i].a, S_IFREG) == 0);
    close_ends(kinds[i]);
  }
  CHECK(isfdtype(kNoDescriptor, S_IFSOCK) == -1);  // and errno as it was
}

// Filters of a group that was joined on the loopback, where that can be joined; by both functions that ask and tell.
static void make_source_filters(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0), file = memfd_create("no socket", 0);
  struct sockaddr_in group = {.sin_family = AF_INET}, source = loopback();
  CHECK(inet_pton(AF_INET, "232.1.2.3", &group.sin_addr) == 1);
  const struct sockaddr* const name = (const struct sockaddr*)&group;
  const struct in_addr interface = source.sin_addr;
  struct sockaddr_storage sources[1] = {{.ss_family = AF_INET}};
  memcpy(sources, &source, sizeof source);
  struct in_addr addresses[1] = {source.sin_addr};
  uint32_t mode = 0, count = 1;
  const uint32_t index = 1;  // of the loopback
  // The group is not joined yet; how that fails is the kernel's to say.
  CHECK(setsourcefilter(fd, index, name, sizeof group, MCAST_EXCLUDE, 1, sources) == -1);
  CHECK(getsourcefilter(fd, index, name, sizeof group, &mode, &count, sources) == -1);
  const struct ip_mreqn join = {.imr_multiaddr = group.sin_addr, .imr_address = interface, .imr_ifindex = (int)index};
  if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) == 0) {
    CHECK(setsourcefilter(fd, index, name, sizeof group, MCAST_EXCLUDE, 1, sources) == 0);
    count = 1;
    CHECK(getsourcefilter(fd, index, name, sizeof group, &mode, &count, sources) == 0);
    CHECK(mode == MCAST_EXCLUDE && count == 1);
    CHECK(setipv4sourcefilter(fd, interface, group.sin_addr, MCAST_EXCLUDE, 1, addresses) == 0);
    CHECK(getipv4sourcefilter(fd, interface, group.sin_addr, &mode, &count, addresses) == 0);
    CHECK(mode == MCAST_EXCLUDE && count == 1);
  }
  count = 1;
  CHECK_FAILS(setsourcefilter(file, index, name, sizeof group, MCAST_EXCLUDE, 1, sources), ENOTSOCK);
  CHECK_FAILS(getsourcefilter(file, index, name, sizeof group, &mode, &count, sources), ENOTSOCK);
  CHECK_FAILS(setsourcefilter(kNoDescriptor, index, name, sizeof group, MCAST_EXCLUDE, 1, sources), EBADF);
  CHECK_FAILS(getsourcefilter(kNoDescriptor, index, name, sizeof group, &mode, &count, sources), EBADF);
  CHECK_FAILS(setipv4sourcefilter(kNoDescriptor, interface, group.sin_addr, MCAST_EXCLUDE, 1, addresses), EBADF);
  CHECK_FAILS(getipv4sourcefilter(kNoDescriptor, interface, group.sin_addr, &mode, &count, addresses), EBADF);
  close_ends((struct Ends){fd, file});
}

// A signal ends the wait with EINTR; where the handler asks for it, the kernel makes the call again, and nobody sees
// that.
static int answering;  // what the handler sends on; -1: nothing
static void answer(int number) {
  (void)number;
  if (answering >= 0) CHECK(send(answering, "!", 1, 0) == 1);
}
static void make_interrupted(void) {
  const struct sigaction plain = {.sa_handler = answer}, again = {.sa_handler = answer, .sa_flags = SA_RESTART};
  const struct itimerval once = {.it_value = {.tv_usec = 100000}};
  const struct Ends ends = stream_ends();
  char byte;
  answering = -1;
  CHECK(sigaction(SIGALRM, &plain, NULL) == 0);
  CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
  CHECK_FAILS(recv(ends.b, &byte, OPAQUE((size_t)1), 0), EINTR);
  CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
  CHECK_FAILS(poll(&(struct pollfd){.fd = ends.b, .events = POLLIN}, 1, -1), EINTR);
  answering = ends.a;
  CHECK(sigaction(SIGALRM, &again, NULL) == 0);
  CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
  CHECK(recv(ends.b, &byte, OPAQUE((size_t)1), 0) == 1 && byte == '!');
  close_ends(ends);
}

const struct EachCall kAskingCalls[] = {{"getsockname", make_getsockname},
                                        {"getpeername", make_getpeername},
                                        {"setsockopt", make_setsockopt},
                                        {"getsockopt", make_getsockopt},
                                        {"poll", make_poll},
                                        {"ppoll", make_ppoll},
                                        {"select", make_select},
                                        {"pselect", make_pselect},
                                        {"epoll_ctl", make_epoll_ctl},
                                        {"epoll_wait", make_epoll_wait},
                                        {"epoll_pwait", make_epoll_pwait},
                                        {"getaddrinfo", make_getaddrinfo},
                                        {"sockatmark", make_sockatmark},
                                        {"isfdtype", make_isfdtype},
                                        {"getsourcefilter", make_source_filters},
                                        {"setsourcefilter", make_source_filters},
                                        {"interrupted", make_interrupted},
                                        {NULL, NULL}};
