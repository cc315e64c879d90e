// SPDX-License-Identifier: Apache-2.0
//
// Connects to one UNIX listener, as its queue held them: joins.cc looks for the one that an accept took.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_CLIENT_QUEUE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_CLIENT_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "collector/aggregate/state.h"

namespace socktale {

// Clients of one sort in order of their start, and which of them have no partner yet.
class ClientQueue {
 public:
  void Add(uint32_t flow) { flows_.push_back(flow); }

  template <typename Earlier>
  void Sort(const Earlier& earlier) {
    std::sort(flows_.begin(), flows_.end(), earlier);
    skip_.resize(flows_.size());
    std::iota(skip_.begin(), skip_.end(), size_t{0});
  }

  // Position of the first that began at or after start_ns.
  size_t From(const World& world, uint64_t start_ns) const {
    const auto first = std::lower_bound(flows_.begin(), flows_.end(), start_ns,
                                        [&](uint32_t flow, uint64_t ns) { return world.flows[flow].start_ns < ns; });
    return static_cast<size_t>(first - flows_.begin());
  }

  // Position of the first at or behind `at` that has no partner; size() at the end. What was skipped once is skipped
  // at one go: who has a partner keeps it.
  size_t Free(size_t at, const std::vector<uint32_t>& partner) {
    size_t end = at;
    while (end < flows_.size() && (skip_[end] != end || partner[flows_[end]] != 0)) {
      end = skip_[end] != end ? skip_[end] : end + 1;
    }
    while (at < end) {
      const size_t next = skip_[at] != at ? skip_[at] : at + 1;
      skip_[at] = end;
      at = next;
    }
    return end;
  }

  size_t size() const { return flows_.size(); }
  uint32_t operator[](size_t at) const { return flows_[at]; }

 private:
  std::vector<uint32_t> flows_;
  std::vector<size_t> skip_;  // by position: itself, or one further on with only partnered ones in between
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_CLIENT_QUEUE_H_
