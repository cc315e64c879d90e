// SPDX-License-Identifier: Apache-2.0
//
// Programs that confine themselves by seccomp(2). A filter may kill the process for a system call that is ours and not
// the program's: what the shim asks the kernel for when a chunk is full, a thread new, a descriptor unknown. So the
// hook that sees a filter coming reads it, finds out which of our calls it would answer with less than death, and has
// the shim live without the others from then on (confining.h): RawSyscall gives -EPERM for them and asks nobody.

#ifndef SOCKTALE_PRELOAD_CONFINEMENT_H_
#define SOCKTALE_PRELOAD_CONFINEMENT_H_

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>

namespace socktale::confinement {

inline constexpr long kNumbers = 512;  // of system calls; those beyond are never ours
inline constexpr long kWords = kNumbers / 64;

// Whether some call of ours is out of bounds. Filters are never taken off, so it stays once it is true.
extern constinit std::atomic<bool> active;
// One bit for each system call that may be made while `active`.
extern constinit std::atomic<uint64_t> allowed[kWords];

inline bool Active() { return active.load(std::memory_order_relaxed); }

inline bool Allows(long number) {
  return static_cast<unsigned long>(number) < kNumbers &&
         (allowed[number / 64].load(std::memory_order_relaxed) >> number % 64 & 1) != 0;
}

// Whether a filter lets the caller of system call `number` of this machine live whatever its arguments are: by
// SECCOMP_RET_ALLOW, LOG or ERRNO. program: `length` instructions; states: room for as many. What the filter makes of
// arguments is not followed: where it looks at one, both ways must be harmless.
struct FilterState {
  uint32_t accumulator;
  bool reached;
  bool known;  // what the accumulator holds
};
bool LetsLive(const sock_filter* program, size_t length, uint32_t number, FilterState* states);

}  // namespace socktale::confinement

#endif  // SOCKTALE_PRELOAD_CONFINEMENT_H_
