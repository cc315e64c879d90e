// SPDX-License-Identifier: Apache-2.0
//
// Calls that move bytes. Each is made over TCP and UDP, on a number that is no descriptor, with a bad address, and, for
// those that receive, when nothing is there.

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "each_call.h"
#include "tests/workloads/check.h"

enum { kSize = 700 };  // more than fits into one line of anybody's output, less than a datagram's limit

static char letter[kSize];

// Ends for one call, and a letter that has every byte in it.
static struct Ends begin(struct Ends ends) {
  for (int i = 0; i < kSize; ++i) letter[i] = (char)(i * 7);
  return ends;
}

// What was sent has arrived whole.
static void receive_letter(int fd) {
  char got[kSize];
  CHECK(recv(fd, got, sizeof got, MSG_WAITALL) == kSize && memcmp(got, letter, kSize) == 0);
}

static void send_letter(int fd) { CHECK(send(fd, letter, kSize, 0) == kSize); }

// Waits until a datagram or the stream's bytes can be received.
static void await(int fd) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  CHECK(poll(&ready, 1, -1) == 1);
}

// SEND_CALL(name, good, none, bad): a case that makes `good` over both ends, then the two that fail.
#define SEND_CALL(name, good, none, bad)                                           \
  static void make_##name(void) {                                                  \
    for (int datagrams = 0; datagrams < 2; ++datagrams) {                          \
      const struct Ends ends = begin(datagrams ? datagram_ends() : stream_ends()); \
      struct iovec parts[2] = {{letter, 300}, {letter + 300, kSize - 300}};        \
      struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};                 \
      struct mmsghdr batch[2] = {{.msg_hdr = message}, {.msg_hdr = message}};      \
      int fd = ends.a;                                                             \
      (void)batch;                                                                 \
      good;                                                                        \
      receive_letter(ends.b);                                                      \
      fd = kNoDescriptor;                                                          \
      CHECK_FAILS(none, EBADF);                                                    \
      fd = ends.a;                                                                 \
      CHECK_FAILS(bad, EFAULT);                                                    \
      close_ends(ends);                                                            \
    }                                                                              \
  }

SEND_CALL(write, CHECK(write(fd, letter, kSize) == kSize), write(fd, letter, 1), write(fd, OPAQUE(nowhere()), 9))
SEND_CALL(writev, CHECK(writev(fd, parts, 2) == kSize), writev(fd, parts, 2), writev(fd, OPAQUE(nowhere()), 1))
SEND_CALL(send, CHECK(send(fd, letter, kSize, MSG_NOSIGNAL) == kSize), send(fd, letter, 1, 0),
          send(fd, OPAQUE(nowhere()), 9, 0))
SEND_CALL(sendto, CHECK(sendto(fd, letter, kSize, 0, NULL, 0) == kSize), sendto(fd, letter, 1, 0, NULL, 0),
          sendto(fd, letter, 1, 0, OPAQUE(nowhere()), 16))
SEND_CALL(sendmsg, CHECK(sendmsg(fd, &message, 0) == kSize), sendmsg(fd, &message, 0),
          sendmsg(fd, OPAQUE(nowhere()), 0))
SEND_CALL(sendmmsg, CHECK(sendmmsg(fd, batch, 2, 0) == 2 && batch[0].msg_len == kSize);
          receive_letter(ends.b), sendmmsg(fd, batch, 2, 0), sendmmsg(fd, OPAQUE(nowhere()), 1, 0))

#define RECEIVE_CALL(name, good, none, bad, empty)                                                                \
  static void make_##name(void) {                                                                                 \
    for (int datagrams = 0; datagrams < 2; ++datagrams) {                                                         \
      const struct Ends ends = begin(datagrams ? datagram_ends() : stream_ends());                                \
      char got[kSize] = "";                                                                                       \
      struct iovec parts[2] = {{got, 300}, {got + 300, kSize - 300}};                                             \
      struct sockaddr_in from;                                                                                    \
      socklen_t from_size = sizeof from;                                                                          \
      struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from}; \
      struct mmsghdr batch[2] = {{.msg_hdr = message}, {.msg_hdr = message}};                                     \
      (void)batch;                                                                                                \
      (void)from_size;                                                                                            \
      int fd = ends.b;                                                                                            \
      send_letter(ends.a);                                                                                        \
      await(fd);                                                                                                  \
      good;                                                                                                       \
      CHECK(memcmp(got, letter, kSize) == 0);                                                                     \
      CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);                                                                 \
      CHECK_FAILS(empty, EAGAIN);                                                                                 \
      send_letter(ends.a);                                                                                        \
      await(fd);                                                                                                  \
      CHECK_FAILS(bad, EFAULT);                                                                                   \
      fd = kNoDescriptor;                                                                                         \
      CHECK_FAILS(none, EBADF);                                                                                   \
      close_ends(ends);                                                                                           \
    }                                                                                                             \
  }

RECEIVE_CALL(read, CHECK(read(fd, got, OPAQUE(sizeof got)) == kSize), read(fd, got, OPAQUE((size_t)1)),
             read(fd, OPAQUE(nowhere()), OPAQUE((size_t)9)), read(fd, got, OPAQUE((size_t)9)))
RECEIVE_CALL(readv, CHECK(readv(fd, parts, 2) == kSize), readv(fd, parts, 2), readv(fd, OPAQUE(nowhere()), 1),
             readv(fd, parts, 2))
RECEIVE_CALL(recv,
             CHECK(recv(fd, got, OPAQUE(sizeof got), MSG_PEEK) == kSize &&
                   recv(fd, got, OPAQUE(sizeof got), 0) == kSize),
             recv(fd, got, OPAQUE((size_t)1), 0), recv(fd, OPAQUE(nowhere()), OPAQUE((size_t)9), 0),
             recv(fd, got, OPAQUE((size_t)9), 0))
RECEIVE_CALL(recvfrom, CHECK(recvfrom(fd, got, OPAQUE(sizeof got), 0, (struct sockaddr*)&from, &from_size) == kSize),
             recvfrom(fd, got, OPAQUE((size_t)1), 0, NULL, NULL),
             recvfrom(fd, OPAQUE(nowhere()), OPAQUE((size_t)9), 0, NULL, NULL),
             recvfrom(fd, got, OPAQUE((size_t)9), 0, NULL, NULL))
RECEIVE_CALL(recvmsg, CHECK(recvmsg(fd, &message, 0) == kSize), recvmsg(fd, &message, 0),
             recvmsg(fd, OPAQUE(nowhere()), 0), recvmsg(fd, &message, 0))
RECEIVE_CALL(recvmmsg, CHECK(recvmmsg(fd, batch, 2, MSG_DONTWAIT, NULL) == 1 && batch[0].msg_len == kSize),
             recvmmsg(fd, batch, 2, 0, NULL), recvmmsg(fd, OPAQUE(nowhere()), 1, 0, NULL),
             recvmmsg(fd, batch, 2, 0, NULL))

static void make_sendfile(void) {
  const int file = open("/proc/self/exe", O_RDONLY);
  CHECK(file >= 0);
  for (int datagrams = 0; datagrams < 2; ++datagrams) {
    const struct Ends ends = datagrams ? datagram_ends() : stream_ends();
    char got[kSize];
    off_t from = 100;
    CHECK(sendfile(ends.a, file, &from, kSize) == kSize && from == 100 + kSize);
    CHECK(recv(ends.b, got, sizeof got, MSG_WAITALL) == kSize);
    CHECK_FAILS(sendfile(kNoDescriptor, file, NULL, 9), EBADF);
    CHECK_FAILS(sendfile(ends.a, kNoDescriptor, NULL, 9), EBADF);
    close_ends(ends);
  }
  CHECK(close(file) == 0);
}

// A system call instruction of the program's own: no exported name, so no hook.
static void make_direct(void) {
#ifdef __x86_64__
  const struct Ends ends = begin(stream_ends());
  long result = SYS_write;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"((long)ends.a), "S"(letter), "d"((long)kSize)
                   : "rcx", "r11", "memory");
  CHECK(result == kSize);
  receive_letter(ends.b);
  close_ends(ends);
#endif
}

const struct EachCall kMovingCalls[] = {
    {"read", make_read},         {"readv", make_readv},     {"recv", make_recv},
    {"recvfrom", make_recvfrom}, {"recvmsg", make_recvmsg}, {"recvmmsg", make_recvmmsg},
    {"write", make_write},       {"writev", make_writev},   {"send", make_send},
    {"sendto", make_sendto},     {"sendmsg", make_sendmsg}, {"sendmmsg", make_sendmmsg},
    {"sendfile", make_sendfile}, {"direct", make_direct},   {NULL, NULL}};
