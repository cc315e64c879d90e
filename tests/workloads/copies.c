// SPDX-License-Identifier: Apache-2.0
//
// Bytes that the kernel moves from one descriptor to another: splice, tee, vmsplice, copy_file_range; from files, pipes
// and sockets; and refused.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "check.h"

static void* bad;  // nothing is mapped here

static int file_of(const char* text) {
  const int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && lseek(file, 0, SEEK_SET) == 0);
  return file;
}

static void expect(int fd, const char* text) {
  char bytes[64];
  CHECK(read(fd, bytes, OPAQUE(sizeof bytes)) == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0);
}

static void splices(void) {
  int pipes[2];
  int ends[2];
  CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const int file = file_of("0123456789");
  // File to pipe to socket, as servers send files.
  CHECK(splice(file, NULL, pipes[1], NULL, 4, 0) == 4);
  CHECK(splice(pipes[0], NULL, ends[0], NULL, 100, SPLICE_F_MOVE) == 4);
  expect(ends[1], "0123");
  off64_t from = 7;
  CHECK(splice(file, &from, pipes[1], NULL, 100, 0) == 3 && from == 10);
  CHECK(splice(pipes[0], NULL, ends[0], NULL, 3, 0) == 3);
  expect(ends[1], "789");
  // Socket to pipe to file.
  CHECK(send(ends[1], "abc", 3, 0) == 3);
  CHECK(splice(ends[0], NULL, pipes[1], NULL, 100, 0) == 3);
  off64_t to = 1;
  CHECK(splice(pipes[0], NULL, file, &to, 3, 0) == 3 && to == 4);
  char bytes[10];
  CHECK(pread(file, bytes, 10, 0) == 10 && memcmp(bytes, "0abc456789", 10) == 0);
  CHECK_FAILS(splice(ends[0], NULL, ends[1], NULL, 1, 0), EINVAL);  // neither is a pipe
  CHECK_FAILS(splice(ends[0], NULL, pipes[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
  CHECK_FAILS(splice(file, bad, pipes[1], NULL, 1, 0), EFAULT);
  CHECK_FAILS(splice(-1, NULL, ends[0], NULL, 1, 0), EBADF);
  CHECK_FAILS(splice(pipes[0], NULL, -1, NULL, 1, 0), EBADF);
  const int fds[] = {pipes[0], pipes[1], ends[0], ends[1], file};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) CHECK(close(fds[i]) == 0);
}

// sendfile from a socket: into a pipe, since Linux 5.12.
static void taken_from_a_socket(void) {
  int pipes[2];
  int ends[2];
  CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  CHECK(send(ends[1], "taken", 5, 0) == 5);
  errno = 0;
  const ssize_t moved = sendfile(pipes[1], ends[0], NULL, 100);
  CHECK(moved == 5 || (moved == -1 && errno == EINVAL));
  const int fds[] = {pipes[0], pipes[1], ends[0], ends[1]};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) CHECK(close(fds[i]) == 0);
}

static void pipes_only(void) {
  int from[2], to[2];
  CHECK(pipe(from) == 0 && pipe(to) == 0);
  CHECK(write(from[1], "twice", 5) == 5);
  CHECK(tee(from[0], to[1], 100, 0) == 5);
  expect(from[0], "twice");
  expect(to[0], "twice");
  CHECK_FAILS(tee(from[0], to[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
  CHECK_FAILS(tee(from[0], -1, 1, 0), EBADF);

  char* const edge = unmapped_after_64() - 3;
  memcpy(edge, "cde", 3);
  struct iovec parts[2] = {{(void*)"ab", 2}, {edge, 3}};
  CHECK(vmsplice(to[1], parts, 2, 0) == 5);
  char taken[5];
  struct iovec into = {taken, sizeof taken};
  CHECK(vmsplice(to[0], &into, 1, 0) == 5 && memcmp(taken, "abcde", 5) == 0);
  CHECK_FAILS(vmsplice(to[1], bad, 2, 0), EFAULT);
  CHECK_FAILS(vmsplice(-1, parts, 2, 0), EBADF);
  for (int i = 0; i < 2; ++i) CHECK(close(from[i]) == 0 && close(to[i]) == 0);
}

static void file_to_file(void) {
  const int from = file_of("0123456789");
  const int to = file_of("");
  CHECK(copy_file_range(from, NULL, to, NULL, 4, 0) == 4);
  off64_t at = 8;
  CHECK(copy_file_range(from, &at, to, NULL, 100, 0) == 2 && at == 10);
  char bytes[6];
  CHECK(pread(to, bytes, 6, 0) == 6 && memcmp(bytes, "012389", 6) == 0);
  CHECK_FAILS(copy_file_range(from, NULL, to, NULL, 1, 99), EINVAL);
  CHECK_FAILS(copy_file_range(from, bad, to, NULL, 1, 0), EFAULT);
  CHECK_FAILS(copy_file_range(-1, NULL, to, NULL, 1, 0), EBADF);
  CHECK(close(from) == 0 && close(to) == 0);
}

int main(void) {
  bad = unmapped_after_64();
  splices();
  taken_from_a_socket();
  pipes_only();
  file_to_file();
  return 0;
}
