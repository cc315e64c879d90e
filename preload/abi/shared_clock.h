// SPDX-License-Identifier: Apache-2.0
//
// Reads the clock that the collector shares with the shims (SharedClock of arena_abi.h): a counter of the processor's
// and three words, a third of what clock_gettime takes.

#ifndef SOCKTALE_PRELOAD_ABI_SHARED_CLOCK_H_
#define SOCKTALE_PRELOAD_ABI_SHARED_CLOCK_H_

#include <cstdint>

#include "preload/abi/arena_abi.h"

namespace socktale::abi {

// The processor's counter; 0 where there is none that we know of.
inline uint64_t Ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

__extension__ typedef unsigned __int128 Wide;

// The clock's three words at one moment.
struct ClockLine {
  uint64_t base_ticks = 0;
  uint64_t base_ns = 0;
  uint64_t mult = 0;

  // ns of CLOCK_MONOTONIC. Ticks before the base count as the base: another processor's reading may be that much older.
  uint64_t At(uint64_t ticks) const {
    const uint64_t since = ticks > base_ticks ? ticks - base_ticks : 0;
    return base_ns + static_cast<uint64_t>(static_cast<Wide>(since) * mult >> 32);
  }
};

// The time now in ns of CLOCK_MONOTONIC; 0 where the kernel must be asked. Never waits: a collector that was killed
// amid a change leaves the sequence odd.
inline uint64_t SharedNs(const SharedClock& clock) {
#if defined(__x86_64__)
  constexpr int kTries = 4;
  for (int i = 0; i < kTries; ++i) {
    const uint32_t sequence = clock.sequence.load(std::memory_order_acquire);
    const ClockLine line = {clock.base_ticks.load(std::memory_order_relaxed),
                            clock.base_ns.load(std::memory_order_relaxed), clock.mult.load(std::memory_order_relaxed)};
    if (line.mult == 0) return 0;
    const uint64_t ns = line.At(Ticks());
    std::atomic_thread_fence(std::memory_order_acquire);
    if (__builtin_expect((sequence & 1) == 0 && clock.sequence.load(std::memory_order_relaxed) == sequence, 1))
      return ns;
  }
#else
  (void)clock;
#endif
  return 0;
}

}  // namespace socktale::abi

#endif  // SOCKTALE_PRELOAD_ABI_SHARED_CLOCK_H_
