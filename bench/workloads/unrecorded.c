// SPDX-License-Identifier: Apache-2.0
//
// unrecorded [BLOCKS]: what a write to a descriptor that is not recorded (/dev/null) costs beyond libc's own. In turns,
// a block of calls by the name that every program uses, where the shim is in front, and one by libc's own function.
// Tells the median over the blocks of what a call took longer by name; untraced, that is the error of the method:
//   ADDED ns=N.NN

#include <dlfcn.h>
#include <fcntl.h>

#include "workload.h"

enum { kCallsOfABlock = 500 };

typedef ssize_t (*write_function)(int, const void*, size_t);

static double block_ns(write_function function, int fd, const char* bytes, size_t size) {
  uint64_t start = now_ns();
  for (int i = 0; i < kCallsOfABlock; i++) {
    if (function(fd, bytes, size) != (ssize_t)size) die("write");
  }
  return (double)(now_ns() - start) / kCallsOfABlock;
}

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char** argv) {
  size_t blocks = number(argc, argv, 1, 4000);
  begin();
  int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  write_function own = NULL;
  if (libc != NULL) *(void**)&own = dlsym(libc, "write");
  double* added = calloc(blocks, sizeof *added);
  if (fd < 0 || own == NULL || added == NULL) die("/dev/null, or libc's write");
  char bytes[64];
  fill(bytes, sizeof bytes, 9);
  // Volatile, or the compiler calls it as it likes.
  write_function volatile by_name = write;
  uint64_t start = now_ns();
  for (size_t i = 0; i < blocks; i++) {
    // Each is first in half of the blocks.
    double direct = i % 2 != 0 ? block_ns(own, fd, bytes, sizeof bytes) : 0;
    added[i] = block_ns(by_name, fd, bytes, sizeof bytes);
    if (i % 2 == 0) direct = block_ns(own, fd, bytes, sizeof bytes);
    added[i] -= direct;
  }
  uint64_t end = now_ns();
  qsort(added, blocks, sizeof *added, by_value);
  printf("ADDED ns=%.2f\n", added[blocks / 2]);
  result("unrecorded", end - start, blocks * kCallsOfABlock * 2, 0);
  return 0;
}
