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

// What may be asked of the kernel: the number of a row below, and in the bits above it how often that has changed, so
// that a change can be taken back in one step unless another was made since.
inline constexpr uint64_t kRows = 64;
extern constinit std::atomic<uint64_t> in_force;
// Row 0: everything. Row 1: nothing. Others, once written, stay as they are: one bit for each system call.
struct Row {
  uint64_t words[kWords];
  std::atomic<bool> written;
};
extern constinit Row rows[kRows];

// Whether some call of ours is out of bounds. Filters are never taken off, so it stays once the kernel has taken one.
inline bool Active() { return in_force.load(std::memory_order_relaxed) % kRows != 0; }

inline bool Allows(long number) {
  const uint64_t row = in_force.load(std::memory_order_acquire) % kRows;
  if (row == 0) return true;
  return static_cast<unsigned long>(number) < kNumbers && (rows[row].words[number / 64] >> number % 64 & 1) != 0;
}

// Values of `in_force`.
struct Change {
  uint64_t before;
  uint64_t after;
};

// Allows no more than `bits` (kWords words, one bit for each system call) from now on, and of these no more than
// before.
Change Narrow(const uint64_t* bits);

// Back to what was allowed before the change, unless there was another one since (in another thread, which may be under
// its filter by now). Returns the state that is left then; 0: it stays as narrow as it is.
uint64_t TakeBack(const Change& change);

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
