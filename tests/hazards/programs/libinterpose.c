// SPDX-License-Identifier: Apache-2.0
//
// A library that a user preloads: it stands between the program and libc's send and close, and says at the end how
// often it was called.

#define _GNU_SOURCE
#include <dlfcn.h>

#include "say.h"

static int sends, closes;

ssize_t send(int fd, const void* buf, size_t size, int flags) {
  ++sends;
  ssize_t (*next)(int, const void*, size_t, int) = (ssize_t(*)(int, const void*, size_t, int))dlsym(RTLD_NEXT, "send");
  return next(fd, buf, size, flags);
}

int close(int fd) {
  ++closes;
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
  return next(fd);
}

__attribute__((destructor)) static void end(void) { say("%d sends and %d closes went through", sends, closes); }
