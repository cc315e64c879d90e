// SPDX-License-Identifier: Apache-2.0
//
// How workloads check themselves: a broken expectation says where and ends the program with status 1.

#ifndef SOCKTALE_TESTS_WORKLOADS_CHECK_H_
#define SOCKTALE_TESTS_WORKLOADS_CHECK_H_

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition)                                                                                             \
  do {                                                                                                               \
    if (!(condition)) {                                                                                              \
      fprintf(stderr, "%s:%d: not so: %s (errno %d: %s)\n", __FILE__, __LINE__, #condition, errno, strerror(errno)); \
      exit(1);                                                                                                       \
    }                                                                                                                \
  } while (0)

// The call fails with this errno, and with -1.
#define CHECK_FAILS(call, error)            \
  do {                                      \
    errno = 0;                              \
    const long check_result = (long)(call); \
    CHECK(check_result == -1);              \
    CHECK(errno == (error));                \
  } while (0)

// An address that nothing is mapped at, behind 64 readable and writable bytes.
static inline char* unmapped_after_64(void) {
  const long page = sysconf(_SC_PAGESIZE);
  char* base = mmap(NULL, (size_t)(2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(base != MAP_FAILED);
  CHECK(munmap(base + page, (size_t)page) == 0);
  return base + page;
}

// Hides a value from the compiler, so that it neither warns about what the call is meant to do nor folds it.
#define OPAQUE(value)                         \
  ({                                          \
    __typeof__((value) + 0) opaque = (value); \
    __asm__ volatile("" : "+r"(opaque));      \
    opaque;                                   \
  })

#endif  // SOCKTALE_TESTS_WORKLOADS_CHECK_H_
