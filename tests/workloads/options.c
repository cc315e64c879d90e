// SPDX-License-Identifier: Apache-2.0
//
// setsockopt and getsockopt: numbers, strings, values cut short, refused and unreadable ones.

#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "check.h"

int main(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(fd >= 0);
  const int one = 1;
  CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
  int value = 0;
  socklen_t size = sizeof value;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &size) == 0);
  CHECK(value == 1 && size == sizeof value);

  char name[32] = "";
  size = sizeof name;
  CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0 && name[0] != '\0');
  CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, size) == 0);

  struct tcp_info info;
  size = sizeof info;
  CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size > 8);

  // The kernel takes an int of these 4096 bytes, of which 64 are there.
  char* const bad = unmapped_after_64();
  memcpy(bad - 64, &one, sizeof one);
  CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bad - 64, 4096) == 0);

  // A value cut short: the bytes behind it stay.
  unsigned char cut[4] = {0xaa, 0xaa, 0xaa, 0xaa};
  size = 1;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, cut, &size) == 0);
  CHECK(size == 1 && cut[0] == 1 && cut[1] == 0xaa);

  CHECK_FAILS(setsockopt(fd, SOL_SOCKET, 9999, &one, sizeof one), ENOPROTOOPT);
  CHECK_FAILS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, bad, sizeof one), EFAULT);
  CHECK_FAILS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, 1), EINVAL);
  size = sizeof value;
  CHECK_FAILS(getsockopt(fd, SOL_SOCKET, SO_TYPE, bad, &size), EFAULT);
  CHECK_FAILS(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, (socklen_t*)(void*)bad), EFAULT);
  CHECK_FAILS(getsockopt(-1, SOL_SOCKET, SO_TYPE, &value, &size), EBADF);
  CHECK_FAILS(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, (socklen_t*)(void*)bad), errno);  // stdin may be a socket
  CHECK(close(fd) == 0);
  return 0;
}
