// SPDX-License-Identifier: Apache-2.0
//
// Descriptors asked and told about themselves: fcntl in all forms, ioctl, sockatmark, isfdtype, source filters.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "check.h"

static void* bad;  // nothing is mapped here

static void flags(int fd) {
  CHECK(fcntl(fd, F_GETFL) == O_RDWR && fcntl(fd, F_GETFD) == 0);
  int on = 1;
  CHECK(ioctl(fd, FIONBIO, &on) == 0 && fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
  on = 0;
  CHECK(ioctl(fd, FIONBIO, &on) == 0 && fcntl(fd, F_GETFL) == O_RDWR);
  CHECK(ioctl(fd, FIOCLEX) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  CHECK(ioctl(fd, FIONCLEX) == 0 && fcntl(fd, F_GETFD) == 0);
  CHECK(fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_GETOWN) == getpid());
  CHECK(fcntl(fd, F_SETSIG, SIGIO) == 0 && fcntl(fd, F_GETSIG) == SIGIO);
  CHECK_FAILS(ioctl(fd, FIONBIO, bad), EFAULT);
  CHECK_FAILS(ioctl(-1, FIOCLEX), EBADF);
  CHECK_FAILS(fcntl(-1, F_GETFL), EBADF);
}

static void asks(int a, int b) {
  int bytes = -1;
  CHECK(send(a, "four", 4, 0) == 4 && ioctl(b, FIONREAD, &bytes) == 0 && bytes == 4);
  CHECK(ioctl(a, SIOCOUTQ, &bytes) == 0);
  CHECK_FAILS(ioctl(b, FIONREAD, bad), EFAULT);
  CHECK_FAILS(ioctl(b, TCGETS, bad), ENOTTY);
  struct ifreq interface = {.ifr_name = "lo"};
  CHECK(ioctl(a, SIOCGIFINDEX, &interface) == 0 || errno == ENODEV || errno == ENOTTY);
  CHECK(isfdtype(a, S_IFSOCK) == 1 && isfdtype(a, S_IFREG) == 0);
  CHECK(isfdtype(-1, S_IFSOCK) == -1);  // and errno as it was
}

static void others(void) {
  int pipes[2];
  CHECK(pipe(pipes) == 0 && fcntl(pipes[0], F_SETPIPE_SZ, 4096) >= 4096 && fcntl(pipes[0], F_GETPIPE_SZ) >= 4096);
  int bytes = -1;
  CHECK(write(pipes[1], "pi", 2) == 2 && ioctl(pipes[0], FIONREAD, &bytes) == 0 && bytes == 2);
  CHECK(close(pipes[0]) == 0 && close(pipes[1]) == 0);
  const int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
  CHECK(sealed >= 0 && fcntl(sealed, F_ADD_SEALS, F_SEAL_GROW) == 0 && fcntl(sealed, F_GET_SEALS) == F_SEAL_GROW);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  CHECK(fcntl(sealed, F_SETLK, &lock) == 0 && fcntl(sealed, F_OFD_GETLK, &lock) == 0);
  CHECK(close(sealed) == 0);
}

static void internet(void) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  CHECK(bind(listener, (struct sockaddr*)&name, size) == 0 && listen(listener, 1) == 0);
  CHECK(getsockname(listener, (struct sockaddr*)&name, &size) == 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(client, (struct sockaddr*)&name, sizeof name) == 0);
  const int served = accept(listener, NULL, NULL);
  CHECK(served >= 0 && send(client, "!", 1, MSG_OOB) == 1);
  char byte;
  CHECK(recv(served, &byte, OPAQUE(sizeof byte), MSG_OOB) == 1 || errno == EAGAIN || errno == EINVAL);
  CHECK(sockatmark(served) >= 0);
  CHECK_FAILS(sockatmark(-1), EBADF);
  CHECK(close(listener) == 0 && close(client) == 0 && close(served) == 0);
}

static void filters(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in group = {.sin_family = AF_INET};
  CHECK(inet_pton(AF_INET, "232.1.2.3", &group.sin_addr) == 1);
  struct sockaddr_storage source = {.ss_family = AF_INET};
  const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
  struct in_addr sources[1] = {loopback};
  uint32_t mode = 0, count = 1;
  // The group was not joined, so all of them fail; how is the kernel's to say.
  CHECK(setsourcefilter(fd, 1, (struct sockaddr*)&group, sizeof group, MCAST_INCLUDE, 1, &source) == -1);
  CHECK(getsourcefilter(fd, 1, (struct sockaddr*)&group, sizeof group, &mode, &count, &source) == -1);
  CHECK(setipv4sourcefilter(fd, loopback, group.sin_addr, MCAST_INCLUDE, 1, sources) == -1);
  CHECK(getipv4sourcefilter(fd, loopback, group.sin_addr, &mode, &count, sources) == -1);
  struct ip_mreqn join = {.imr_multiaddr = group.sin_addr, .imr_ifindex = (int)if_nametoindex("lo")};
  if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) == 0) {
    count = 0;
    CHECK(getsourcefilter(fd, (uint32_t)join.imr_ifindex, (struct sockaddr*)&group, sizeof group, &mode, &count,
                          &source) == 0);
    CHECK(mode == MCAST_EXCLUDE);
  }
  CHECK(close(fd) == 0);
}

int main(void) {
  bad = OPAQUE((void*)unmapped_after_64());
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  flags(pair[0]);
  asks(pair[0], pair[1]);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  others();
  internet();
  filters();
  return 0;
}
