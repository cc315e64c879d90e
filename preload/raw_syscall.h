// SPDX-License-Identifier: Apache-2.0
//
// System calls and the clock as the shim uses them: straight to the kernel, past every hook, errno untouched.

#ifndef SOCKTALE_PRELOAD_RAW_SYSCALL_H_
#define SOCKTALE_PRELOAD_RAW_SYSCALL_H_

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#if !defined(__x86_64__)
#include <errno.h>
#include <unistd.h>
#endif

namespace socktale {

// Returns what the kernel returned: the result, or -errno (-4095 to -1). errno itself stays as it is.
inline long RawSyscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  const int saved = errno;
  long result = ::syscall(number, a, b, c, d, e, f);
  if (result == -1) result = -errno;
  errno = saved;
  return result;
#endif
}

inline long RawPointer(const void* pointer) { return reinterpret_cast<long>(pointer); }

// CLOCK_MONOTONIC in ns, by the vDSO: no system call, no errno.
inline uint64_t Now() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_RAW_SYSCALL_H_
