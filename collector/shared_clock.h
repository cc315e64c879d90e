// SPDX-License-Identifier: Apache-2.0
//
// Keeps the clock that shims read (SharedClock of preload/abi/arena_abi.h) in step with CLOCK_MONOTONIC.
//
// The processor's time stamp counter is used where it is invariant and the kernel itself tells the time by it. Its rate
// is measured, first over two milliseconds and then over ever longer spans, and the line from ticks to ns is bent a
// little at each look so that it meets CLOCK_MONOTONIC at the next: times never jump, and follow the kernel's own
// adjustments.

#ifndef SOCKTALE_COLLECTOR_SHARED_CLOCK_H_
#define SOCKTALE_COLLECTOR_SHARED_CLOCK_H_

#include <cstdint>

#include "preload/abi/arena_abi.h"
#include "preload/abi/shared_clock.h"

namespace socktale {

// Counter and clock at the same moment.
struct ClockSample {
  uint64_t ticks = 0;
  uint64_t ns = 0;  // CLOCK_MONOTONIC
};

// Where samples come from; tests have their own.
class TickSource {
 public:
  virtual ~TickSource() = default;
  // Whether the counter may be believed at all. Asked once.
  virtual bool Usable() = 0;
  virtual ClockSample Sample() = 0;
  // Whether the counters of all processors agree with `line` to within `most_ns`.
  virtual bool AllAgree(const abi::ClockLine& line, uint64_t most_ns) = 0;
};

// This machine's. Lives as long as the program.
TickSource& SystemTicks();

class ClockKeeper {
 public:
  // clock: in the arena's header, all zeros; outlives the keeper, as does the source.
  explicit ClockKeeper(abi::SharedClock* clock, TickSource* source = &SystemTicks())
      : clock_(*clock), source_(*source) {}

  // Looks whether it is time to adjust the clock, and does it. now_ns: CLOCK_MONOTONIC. To be called every few ms.
  void Look(uint64_t now_ns);

  // Whether shims can use the clock now.
  bool in_use() const { return line_.mult != 0; }

 private:
  enum class State { kNew, kMeasuring, kInUse, kGivenUp };

  void Begin(const ClockSample& sample);
  void Publish(const abi::ClockLine& line);
  void Adjust(const ClockSample& sample);
  void Fail(const ClockSample& sample);

  abi::SharedClock& clock_;
  TickSource& source_;
  State state_ = State::kNew;
  ClockSample reference_;  // the rate is measured from here on
  ClockSample last_;       // the last look
  abi::ClockLine line_;    // as published; mult 0: none
  uint64_t interval_ns_ = 0;
  uint64_t next_ns_ = 0;
  int failures_ = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_SHARED_CLOCK_H_
