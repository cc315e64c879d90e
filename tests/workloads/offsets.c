// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved at an offset: by every form of pread and pwrite, at an offset and, with -1, where the descriptor stands;
// on files, and on sockets, which take the latter alone.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "check.h"

ssize_t __pread64(int fd, void* buf, size_t size, off64_t offset);
ssize_t __pwrite64(int fd, const void* buf, size_t size, off64_t offset);

static void* bad;  // nothing is mapped here

static void files(int file) {
  char bytes[4];
  CHECK(pwrite(file, "0123", 4, 0) == 4 && pwrite64(file, "4567", 4, 4) == 4 && __pwrite64(file, "89", 2, 8) == 2);
  CHECK(lseek(file, 0, SEEK_CUR) == 0);
  CHECK(pread(file, bytes, OPAQUE(sizeof bytes), 1) == 4 && memcmp(bytes, "1234", 4) == 0);
  CHECK(pread64(file, bytes, OPAQUE(sizeof bytes), 2) == 4 && memcmp(bytes, "2345", 4) == 0);
  CHECK(__pread64(file, bytes, 4, 8) == 2 && memcmp(bytes, "89", 2) == 0);
  CHECK(pread(file, bytes, OPAQUE(sizeof bytes), 100) == 0);
  CHECK_FAILS(pread(file, OPAQUE(bad), OPAQUE((size_t)4), 0), EFAULT);
  CHECK_FAILS(pread(file, bytes, OPAQUE(sizeof bytes), -2), EINVAL);
  CHECK_FAILS(pwrite(-1, "x", 1, 0), EBADF);

  struct iovec out[2] = {{"ab", 2}, {"cd", 2}};
  CHECK(pwritev(file, out, 2, 10) == 4 && pwritev64(file, out, 1, 14) == 2);
  CHECK(pwritev2(file, out, 2, 16, RWF_DSYNC) == 4 && pwritev64v2(file, out, 2, -1, RWF_APPEND) == 4);
  char* const edge = unmapped_after_64() - 2;
  struct iovec in[2] = {{bytes, 2}, {edge, 2}};
  CHECK(preadv(file, in, 2, 10) == 4 && memcmp(edge, "cd", 2) == 0);
  CHECK(preadv64(file, in, 2, 14) == 4 && memcmp(edge, "ab", 2) == 0);
  CHECK(lseek(file, 3, SEEK_SET) == 3);
  CHECK(preadv2(file, in, 2, -1, 0) == 4 && memcmp(edge, "56", 2) == 0 && lseek(file, 0, SEEK_CUR) == 7);
  CHECK(preadv64v2(file, in, 1, 20, RWF_NOWAIT) == 2 || errno == EAGAIN || errno == EOPNOTSUPP);
  CHECK_FAILS(preadv(file, bad, 2, 0), EFAULT);
  CHECK_FAILS(pwritev2(file, out, 2, 0, 0x4000), EOPNOTSUPP);
}

static void sockets(int a, int b) {
  char bytes[4];
  CHECK_FAILS(pwrite(a, "x", 1, 0), ESPIPE);
  CHECK_FAILS(pread(b, bytes, OPAQUE(sizeof bytes), 0), ESPIPE);
  struct iovec part = {"here", 4};
  CHECK_FAILS(pwritev2(a, &part, 1, 0, 0), ESPIPE);
  CHECK(pwritev2(a, &part, 1, -1, 0) == 4 && pwritev64v2(a, &part, 1, -1, RWF_DSYNC) == 4);
  struct iovec into = {bytes, 4};
  CHECK(preadv2(b, &into, 1, -1, 0) == 4 && memcmp(bytes, "here", 4) == 0);
  CHECK(preadv64v2(b, &into, 1, -1, 0) == 4);
  CHECK_FAILS(preadv2(b, &into, 1, 0, 0), ESPIPE);
}

int main(void) {
  bad = unmapped_after_64();
  const int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  CHECK(file >= 0);
  files(file);
  CHECK(close(file) == 0);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  sockets(pair[0], pair[1]);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  return 0;
}
