// SPDX-License-Identifier: Apache-2.0
//
// Streams of stdio made and ended in every way: their descriptors are the lowest free ones and are free again.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio_ext.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"

FILE* _IO_fopen(const char* path, const char* mode);
FILE* _IO_fdopen(int fd, const char* mode);
int _IO_fclose(FILE* stream);
FILE* _IO_popen(const char* command, const char* mode);

static int lowest;  // the lowest free number

static void expect_lowest(FILE* stream) {
  CHECK(stream != NULL && fileno(stream) == lowest);
  CHECK(fclose(stream) == 0 && fcntl(lowest, F_GETFD) == -1);
}

static void files(void) {
  expect_lowest(fopen("/dev/null", "r"));
  expect_lowest(fopen64("/dev/null", "w+e"));
  expect_lowest(_IO_fopen("/dev/null", "a"));
  expect_lowest(tmpfile());
  expect_lowest(tmpfile64());
  CHECK(fopen("/no/such/file", "r") == NULL && errno == ENOENT);
  CHECK(fopen("/dev/null", OPAQUE((const char*)"z")) == NULL && errno == EINVAL);
  CHECK(fopen(OPAQUE((const char*)unmapped_after_64()), "r") == NULL && errno == EFAULT);

  // What is buffered when the stream ends is written by then, and a failure is told though the number is free.
  FILE* const full = fopen("/dev/full", "w");
  if (full != NULL) {
    CHECK(fputs("x", full) >= 0 && fclose(full) == EOF && errno == ENOSPC && fcntl(lowest, F_GETFD) == -1);
  }
  char memory[4];
  FILE* const in_memory = fmemopen(memory, sizeof memory, "w");  // has no descriptor
  CHECK(in_memory != NULL && fclose(in_memory) == 0);
}

// What a stream opened is not always a file.
static void fifo(void) {
  char folder[] = "/tmp/streams-XXXXXX";
  char path[64];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/fifo", folder);
  CHECK(mkfifo(path, 0600) == 0);
  FILE* const stream = fopen(path, "r+");
  CHECK(stream != NULL && write(fileno(stream), "by number", 9) == 9);
  char bytes[9];
  CHECK(read(fileno(stream), bytes, OPAQUE(sizeof bytes)) == 9);
  expect_lowest(stream);
  CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

static void descriptors(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  FILE* const stream = fdopen(pair[0], "r+");
  CHECK(stream != NULL && fileno(stream) == pair[0]);
  FILE* const other = _IO_fdopen(pair[1], "w");
  CHECK(other != NULL && _IO_fclose(other) == 0 && fclose(stream) == 0);
  CHECK(fcntl(pair[0], F_GETFD) == -1 && fcntl(pair[1], F_GETFD) == -1);
  CHECK(fdopen(-1, "r") == NULL && errno == EBADF);
  // A stream whose descriptor was closed behind its back.
  FILE* const robbed = fopen("/dev/null", "r");
  CHECK(robbed != NULL && close(fileno(robbed)) == 0);
  CHECK(fclose(robbed) == EOF && errno == EBADF);
}

static void again(void) {
  FILE* stream = fopen("/dev/null", "r");
  CHECK((stream = freopen("/dev/zero", "r", stream)) != NULL && fileno(stream) == lowest && fgetc(stream) == 0);
  CHECK((stream = freopen64("/dev/null", "re", stream)) != NULL && fcntl(lowest, F_GETFD) == FD_CLOEXEC);
  CHECK(freopen("/no/such/file", "r", stream) == NULL && errno == ENOENT);
  CHECK(fcntl(lowest, F_GETFD) == -1);  // closed all the same
}

static void commands(void) {
  char text[16] = "";
  FILE* stream = popen("echo word", "r");
  CHECK(stream != NULL && fileno(stream) == lowest && fgets(text, sizeof text, stream) != NULL);
  CHECK(strcmp(text, "word\n") == 0 && pclose(stream) == 0);
  stream = _IO_popen("exit 3", "we");
  CHECK(stream != NULL && fcntl(fileno(stream), F_GETFD) == FD_CLOEXEC);
  const int status = pclose(stream);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3 && fcntl(lowest, F_GETFD) == -1);
  CHECK(popen("true", OPAQUE((const char*)"z")) == NULL && errno == EINVAL);
}

int main(void) {
  lowest = dup(0);
  CHECK(lowest >= 0 && close(lowest) == 0);
  files();
  fifo();
  descriptors();
  again();
  commands();
  return 0;
}
