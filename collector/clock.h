// SPDX-License-Identifier: Apache-2.0
//
// The clock that shim and collector share.

#ifndef SOCKTALE_COLLECTOR_CLOCK_H_
#define SOCKTALE_COLLECTOR_CLOCK_H_

#include <cstdint>
#include <ctime>

namespace socktale {

inline constexpr uint64_t kMillisecondNs = 1'000'000;
inline constexpr uint64_t kSecondNs = 1'000'000'000;

inline uint64_t ClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

// CLOCK_MONOTONIC, ns.
inline uint64_t MonotonicNs() { return ClockNs(CLOCK_MONOTONIC); }

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_CLOCK_H_
