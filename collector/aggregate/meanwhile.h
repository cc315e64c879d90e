// SPDX-License-Identifier: Apache-2.0
//
// What must not wait while long loops run: a collector's heart beats, and its writers get room.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_MEANWHILE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_MEANWHILE_H_

#include <cstdint>
#include <functional>
#include <utility>

namespace socktale {

class Meanwhile {
 public:
  void Set(std::function<void()> work) { work_ = std::move(work); }

  // In every turn of a loop over what a trace holds; does the work at each 1024th, a few milliseconds apart.
  void Step() {
    if (++steps_ % 1024 == 0) Work();
  }

  // Between two stages.
  void Work() {
    if (work_) work_();
  }

 private:
  std::function<void()> work_;
  uint32_t steps_ = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_MEANWHILE_H_
