// SPDX-License-Identifier: Apache-2.0
//
// Addresses of TCP, UDP and UNIX sockets: bind, connect, accept, accept4, getsockname, getpeername; given and left out,
// cut short, refused, unreadable.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

int __connect(int fd, const struct sockaddr* address, socklen_t size);

static int listen_on_loopback(int family, struct sockaddr_storage* name, socklen_t* size) {
  const int fd = socket(family, SOCK_STREAM, 0);
  CHECK(fd >= 0);
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  CHECK(bind(fd, family == AF_INET ? (void*)&in : (void*)&in6, family == AF_INET ? sizeof in : sizeof in6) == 0);
  CHECK(listen(fd, 5) == 0);
  *size = sizeof *name;
  CHECK(getsockname(fd, (struct sockaddr*)name, size) == 0);
  return fd;
}

static void tcp(int family) {
  struct sockaddr_storage server;
  socklen_t server_size;
  const int listener = listen_on_loopback(family, &server, &server_size);

  // A blocking connect; accept with an address.
  const int client = socket(family, SOCK_STREAM, 0);
  CHECK(connect(client, (void*)&server, server_size) == 0);
  struct sockaddr_storage peer;
  socklen_t peer_size = sizeof peer;
  const int served = accept(listener, (void*)&peer, &peer_size);
  CHECK(served >= 0 && peer.ss_family == family && peer_size == server_size);
  struct sockaddr_storage client_name;
  socklen_t client_size = sizeof client_name;
  CHECK(getsockname(client, (void*)&client_name, &client_size) == 0);
  CHECK(client_size == peer_size && memcmp(&client_name, &peer, 8) == 0);  // family, port, IPv4 address
  struct sockaddr_storage far;
  socklen_t far_size = sizeof far;
  CHECK(getpeername(client, (void*)&far, &far_size) == 0);
  CHECK(far_size == server_size && memcmp(&far, &server, 8) == 0);
  CHECK_FAILS(connect(client, (void*)&server, server_size), EISCONN);

  // A connect that is in progress; accept4 without an address.
  const int second = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int connected = connect(second, (void*)&server, server_size);
  CHECK(connected == 0 || errno == EINPROGRESS);
  struct pollfd ready = {second, POLLOUT, 0};
  CHECK(poll(&ready, 1, 5000) == 1);
  const int served_second = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  CHECK(served_second >= 0 && fcntl(served_second, F_GETFD) == FD_CLOEXEC);

  // accept into a buffer that is too short: cut, and the true size told; nothing is written behind it.
  const int third = socket(family, SOCK_STREAM, 0);
  CHECK(__connect(third, (void*)&server, server_size) == 0);
  unsigned char cut[8] = {0};
  memset(cut + 4, 0x5a, 4);
  socklen_t cut_size = 4;
  const int served_third = accept(listener, (void*)OPAQUE(&cut[0]), &cut_size);
  CHECK(served_third >= 0 && cut_size == server_size);
  CHECK(cut[4] == 0x5a && cut[7] == 0x5a);

  CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
  CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
  CHECK_FAILS(accept4(listener, NULL, NULL, 0x12345), EINVAL);

  // Nobody listens any more.
  CHECK(close(listener) == 0);
  const int refused = socket(family, SOCK_STREAM, 0);
  CHECK_FAILS(connect(refused, (void*)&server, server_size), ECONNREFUSED);
  const int fds[] = {client, served, second, served_second, third, served_third, refused};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) CHECK(close(fds[i]) == 0);
}

static void udp(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK(bind(fd, (void*)&any, sizeof any) == 0);
  struct sockaddr_in name;
  socklen_t size = sizeof name;
  CHECK(getsockname(fd, (void*)&name, &size) == 0 && name.sin_port != 0);
  CHECK(sendto(fd, "to itself", 9, 0, (void*)&name, sizeof name) == 9);
  char bytes[16];
  struct sockaddr_in from;
  size = sizeof from;
  CHECK(recvfrom(fd, bytes, OPAQUE(sizeof bytes), 0, (void*)&from, &size) ==
        9);  // fortified: of a size unknown to libc
  CHECK(size == sizeof from && from.sin_port == name.sin_port);
  CHECK(connect(fd, (void*)&name, sizeof name) == 0);  // to itself
  struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  CHECK(connect(fd, &nobody, sizeof nobody) == 0);  // and to nobody again
  CHECK_FAILS(getpeername(fd, (void*)&name, &size), ENOTCONN);
  CHECK(close(fd) == 0);
}

static void unix_sockets(void) {
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  const int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "socktale-addresses-%d", (int)getpid());
  const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
  CHECK(bind(listener, (void*)&name, size) == 0);
  CHECK(listen(listener, 1) == 0);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(connect(client, (void*)&name, size) == 0);
  const int served = accept(listener, NULL, NULL);
  CHECK(served >= 0);
  const int other = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_FAILS(bind(other, (void*)&name, size), EADDRINUSE);
  CHECK(close(other) == 0 && close(client) == 0 && close(served) == 0 && close(listener) == 0);
}

static void bad_arguments(void) {
  char* const bad = unmapped_after_64();
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_FAILS(bind(fd, (void*)bad, sizeof(struct sockaddr_in)), EFAULT);
  CHECK_FAILS(connect(fd, (void*)bad, sizeof(struct sockaddr_in)), EFAULT);
  CHECK_FAILS(connect(fd, (void*)(bad - 8), sizeof(struct sockaddr_in)), EFAULT);
  socklen_t size = sizeof(struct sockaddr_in);
  CHECK_FAILS(getsockname(fd, (void*)bad, &size), EFAULT);
  CHECK_FAILS(getsockname(fd, (void*)(bad - 64), (void*)bad), EFAULT);
  CHECK_FAILS(connect(-1, (void*)bad, 16), EBADF);
  CHECK_FAILS(bind(0x7ffffff, (void*)bad, 16), EBADF);
  CHECK_FAILS(accept(-1, NULL, NULL), EBADF);
  CHECK_FAILS(accept(fd, NULL, NULL), EINVAL);  // not listening
  struct sockaddr_storage server;
  socklen_t server_size;
  const int listener = listen_on_loopback(AF_INET, &server, &server_size);
  CHECK(connect(fd, (void*)&server, server_size) == 0);
  CHECK_FAILS(accept(listener, (void*)(bad - 64), (void*)bad), EFAULT);
  CHECK(close(fd) == 0 && close(listener) == 0);
}

int main(void) {
  tcp(AF_INET);
  const int six = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  const int have_six = six >= 0 && bind(six, (void*)&loopback, sizeof loopback) == 0;
  if (six >= 0) CHECK(close(six) == 0);
  if (have_six) tcp(AF_INET6);
  udp();
  unix_sockets();
  bad_arguments();
  return 0;
}
