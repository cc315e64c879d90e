// SPDX-License-Identifier: Apache-2.0
//
// System calls and the clock as the shim uses them: straight to the kernel, past every hook, errno untouched.

#ifndef SOCKTALE_PRELOAD_RAW_SYSCALL_H_
#define SOCKTALE_PRELOAD_RAW_SYSCALL_H_

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#if !defined(__x86_64__)
#include <unistd.h>
#endif

#include "preload/abi/shared_clock.h"
#include "preload/confinement.h"

namespace socktale {

// A call that the program asked for. Returns what the kernel returned: the result, or -errno (-4095 to -1). errno
// itself stays as it is.
inline long KernelCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
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

// A call of the shim's own: likewise, but -EPERM where the program has confined itself to less (confinement.h).
inline long RawSyscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  if (__builtin_expect(confinement::Active(), 0) && !confinement::Allows(number)) return -EPERM;
  return KernelCall(number, a, b, c, d, e, f);
}

inline long RawPointer(const void* pointer) { return reinterpret_cast<long>(pointer); }

// libc's clock_gettime, once the constructor has found it: a program may have one of its own, of which nothing is known
// (ThreadSanitizer's is not ready when our constructor runs).
extern constinit decltype(&::clock_gettime) libc_clock_gettime;

// The session's clock, once the arena is mapped; before, one that cannot be used.
extern constinit const abi::SharedClock* shared_clock;

// CLOCK_MONOTONIC in ns, as the collector has it, else by the vDSO: no system call, no errno. When the one begins to be
// used, and when it is set right, a later reading may be the smaller one: compare with Since().
inline uint64_t Now() {
  if (const uint64_t ns = abi::SharedNs(*shared_clock); __builtin_expect(ns != 0, 1)) return ns;
  timespec now;
  (libc_clock_gettime != nullptr ? libc_clock_gettime : &::clock_gettime)(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// ns from `then` to `now`, 0 if that is negative.
inline uint64_t Since(uint64_t then, uint64_t now) { return now > then ? now - then : 0; }

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_RAW_SYSCALL_H_
