// SPDX-License-Identifier: Apache-2.0
//
// How often a recording writes its tables in between, so that a file that is cut has recent ones: each time they are
// the whole history again, which must not outweigh the events.

#ifndef SOCKTALE_COLLECTOR_TABLES_PACE_H_
#define SOCKTALE_COLLECTOR_TABLES_PACE_H_

#include <algorithm>
#include <cstdint>

#include "collector/clock.h"

namespace socktale {

class TablesPace {
 public:
  // Whether it is time to look if tables are due. now_ns: since the trace began.
  bool TimeCame(uint64_t now_ns) const { return now_ns >= next_ns_; }

  // Whether the file, of file_bytes by now, can bear tables that are as large as the last ones.
  bool Affordable(uint64_t file_bytes) const {
    const uint64_t with_next = all_bytes_ + last_bytes_;
    return with_next <= kAlwaysBytes || with_next <= (file_bytes - std::min(file_bytes, all_bytes_)) / kBytesShare;
  }

  // Tables of `bytes` were appended.
  void Written(uint64_t bytes) {
    last_bytes_ = bytes;
    all_bytes_ += bytes;
  }

  // What was done since start_ns, when the time had come, ended at end_ns.
  void Next(uint64_t start_ns, uint64_t end_ns) {
    next_ns_ = end_ns + std::max(kIntervalNs, (end_ns - start_ns) * kTimeShare);
  }

  static constexpr uint64_t kIntervalNs = 10 * kSecondNs;

 private:
  static constexpr uint64_t kTimeShare = 50;   // at most one part in so many of the collector's time
  static constexpr uint64_t kBytesShare = 10;  // all tables: one part in so many of what else is in the file …
  static constexpr uint64_t kAlwaysBytes = 1ull << 20;  // … or so many bytes

  uint64_t next_ns_ = kIntervalNs;
  uint64_t last_bytes_ = 0;
  uint64_t all_bytes_ = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_TABLES_PACE_H_
