// SPDX-License-Identifier: Apache-2.0

#include "quick_calls.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static volatile unsigned char quick[1024];

static int is_quick(int fd) { return (unsigned)fd < sizeof quick && quick[fd]; }

// libc's syscall() would be the shim's, and be recorded a second time.
static ssize_t ask_kernel(long number, long a, long b, long c, long d) {
  register long flags __asm__("r10") = d;
  register long address __asm__("r8") = 0;
  register long address_size __asm__("r9") = 0;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(flags), "r"(address), "r"(address_size)
                   : "rcx", "r11", "memory");
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}

EXPORT void make_quick(int fd) {
  if ((unsigned)fd < sizeof quick) quick[fd] = 1;
}

EXPORT ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  return is_quick(fd) ? (ssize_t)size : ask_kernel(SYS_sendto, fd, (long)bytes, (long)size, flags);
}

EXPORT ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  return is_quick(fd) ? (ssize_t)size : ask_kernel(SYS_recvfrom, fd, (long)bytes, (long)size, flags);
}

EXPORT ssize_t read(int fd, void* bytes, size_t size) {
  return is_quick(fd) ? (ssize_t)size : ask_kernel(SYS_read, fd, (long)bytes, (long)size, 0);
}
