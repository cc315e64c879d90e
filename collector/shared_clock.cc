// SPDX-License-Identifier: Apache-2.0
#include "collector/shared_clock.h"

#include <sched.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "collector/clock.h"

namespace socktale {
namespace {

constexpr uint64_t kFirstIntervalNs = 2 * kMillisecondNs;
constexpr uint64_t kLongestIntervalNs = kSecondNs;
// The rate is measured over this much, so that it follows when the kernel adjusts its own.
constexpr uint64_t kRateSpanNs = 16 * kSecondNs;
// The line is off by less than a microsecond at a look, mostly, and by half a millisecond when the kernel begins to
// adjust its own clock. More means that the counter jumped: a virtual machine that was moved, or slept.
constexpr int64_t kTroubleNs = 1'000'000;
constexpr int kMostFailures = 3;
// Counters of different processors agree to within what it takes to look.
constexpr uint64_t kAgreeNs = 2'000;
// The line is bent by a thousandth at most.
constexpr int64_t kMostBend = 1000;

uint64_t MultOf(const ClockSample& from, const ClockSample& to) {
  if (to.ticks <= from.ticks || to.ns <= from.ns) return 0;
  constexpr uint64_t kMostMult = uint64_t{1} << 40;  // slower than any counter that is worth the trouble
  const abi::Wide mult = (static_cast<abi::Wide>(to.ns - from.ns) << 32) / (to.ticks - from.ticks);
  return mult > kMostMult ? 0 : static_cast<uint64_t>(mult);
}

int64_t Difference(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b); }

class System final : public TickSource {
 public:
  bool Usable() override {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kInvariant = 1u << 8;  // leaf 0x80000007, EDX: constant rate, and goes on in deep sleep
    if (__get_cpuid(0x80000007, &a, &b, &c, &d) == 0 || (d & kInvariant) == 0) return false;
    std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    file >> name_;
    // The last two are the counter too, scaled by what the hypervisor says.
    return name_ == "tsc" || name_ == "kvm-clock" || name_ == "hyperv_clocksource_tsc_page";
#else
    return false;
#endif
  }

  ClockSample Sample() override {
    constexpr int kTries = 5;
    ClockSample best;
    uint64_t least = std::numeric_limits<uint64_t>::max();
    for (int i = 0; i < kTries; ++i) {
      const uint64_t before = abi::Ticks();
      const uint64_t ns = MonotonicNs();
      const uint64_t took = abi::Ticks() - before;
      if (took >= least) continue;
      least = took;
      best = {before + took / 2, ns};
    }
    return best;
  }

  bool AllAgree(const abi::ClockLine& line, uint64_t most_ns) override {
    if (name_ == "tsc") return true;  // the kernel sees to it, all the time
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;  // more than a cpu_set_t holds, say
    bool agree = true;
    for (int cpu = 0; cpu < CPU_SETSIZE && agree; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed)) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      if (sched_setaffinity(0, sizeof one, &one) != 0) continue;  // it was switched off meanwhile
      const ClockSample sample = Sample();
      agree = std::abs(Difference(line.At(sample.ticks), sample.ns)) <= static_cast<int64_t>(most_ns);
    }
    sched_setaffinity(0, sizeof allowed, &allowed);
    return agree;
  }

 private:
  std::string name_;  // of the kernel's clock source
};

}  // namespace

TickSource& SystemTicks() {
  static System system;
  return system;
}

void ClockKeeper::Look(uint64_t now_ns) {
  if (now_ns < next_ns_ || state_ == State::kGivenUp) return;
  if (state_ == State::kNew && !source_.Usable()) {
    state_ = State::kGivenUp;
    return;
  }
  const ClockSample sample = source_.Sample();
  if (state_ == State::kNew) {
    Begin(sample);
  } else {
    Adjust(sample);
  }
  next_ns_ = now_ns + interval_ns_;
}

// Measures the rate from `sample` on.
void ClockKeeper::Begin(const ClockSample& sample) {
  reference_ = last_ = sample;
  interval_ns_ = kFirstIntervalNs;
  state_ = State::kMeasuring;
}

void ClockKeeper::Adjust(const ClockSample& sample) {
  const uint64_t rate = MultOf(reference_, sample);
  if (rate == 0) return Fail(sample);
  if (state_ == State::kMeasuring) {
    const abi::ClockLine line = {sample.ticks, sample.ns, rate};
    if (!source_.AllAgree(line, kAgreeNs)) return Fail(sample);
    Publish(line);
    state_ = State::kInUse;
  } else {
    const uint64_t here_ns = line_.At(sample.ticks);
    const int64_t behind_ns = Difference(sample.ns, here_ns);
    if (sample.ticks < line_.base_ticks || std::abs(behind_ns) > kTroubleNs) return Fail(sample);
    interval_ns_ = std::min(interval_ns_ * 4, kLongestIntervalNs);
    // From where the line is now, at the rate measured, and so much faster that it is right at the next look.
    const auto most = static_cast<int64_t>(rate) / kMostBend;
    // (A rate of 2^36 is a counter of 60 MHz.)
    const auto bend = static_cast<int64_t>(rate) * behind_ns / static_cast<int64_t>(interval_ns_);
    Publish({sample.ticks, here_ns, rate + static_cast<uint64_t>(std::clamp(bend, -most, most))});
  }
  if (sample.ns - reference_.ns >= kRateSpanNs) reference_ = last_;
  last_ = sample;
}

// The counter is not what it was: shims ask the kernel until it is measured anew, or for good.
void ClockKeeper::Fail(const ClockSample& sample) {
  Publish({});
  if (++failures_ >= kMostFailures) {
    state_ = State::kGivenUp;
  } else {
    Begin(sample);
  }
}

void ClockKeeper::Publish(const abi::ClockLine& line) {
  line_ = line;
  const uint32_t sequence = clock_.sequence.load(std::memory_order_relaxed) | 1;
  clock_.sequence.store(sequence, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  clock_.base_ticks.store(line.base_ticks, std::memory_order_relaxed);
  clock_.base_ns.store(line.base_ns, std::memory_order_relaxed);
  clock_.mult.store(line.mult, std::memory_order_relaxed);
  clock_.sequence.store(sequence + 1, std::memory_order_release);
}

}  // namespace socktale
