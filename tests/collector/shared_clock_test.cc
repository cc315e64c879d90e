// SPDX-License-Identifier: Apache-2.0
#include "collector/shared_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "collector/clock.h"

namespace socktale {
namespace {

constexpr double kTicksPerNs = 2.7;

// A counter and a clock that the test moves.
class FakeTicks final : public TickSource {
 public:
  bool Usable() override { return usable; }
  ClockSample Sample() override { return {Ticks(), ns + jitter_ns}; }
  bool AllAgree(const abi::ClockLine&, uint64_t) override { return agree; }

  uint64_t Ticks() const { return static_cast<uint64_t>(static_cast<double>(ns) * kTicksPerNs * speed) + ahead_ticks; }

  uint64_t ns = 5'000'000'000;
  uint64_t jitter_ns = 0;
  double speed = 1;
  uint64_t ahead_ticks = 1'000'000'000;
  bool usable = true;
  bool agree = true;
};

class ClockKeeperTest : public testing::Test {
 protected:
  // Lets time go by, in steps of the collector's.
  void GoOn(uint64_t for_ns, uint64_t step_ns = kMillisecondNs) {
    for (const uint64_t end = source_.ns + for_ns; source_.ns < end; source_.ns += step_ns) keeper_.Look(source_.ns);
  }

  abi::ClockLine Line() const { return {clock_.base_ticks.load(), clock_.base_ns.load(), clock_.mult.load()}; }
  // How much the shared clock is ahead of the true one.
  int64_t Error() const { return static_cast<int64_t>(Line().At(source_.Ticks()) - source_.ns); }

  FakeTicks source_;
  abi::SharedClock clock_ = {};
  ClockKeeper keeper_{&clock_, &source_};
};

TEST_F(ClockKeeperTest, IsInUseAfterAFewMilliseconds) {
  keeper_.Look(source_.ns);
  EXPECT_FALSE(keeper_.in_use());
  EXPECT_EQ(clock_.mult.load(), 0u);
  GoOn(5 * kMillisecondNs);
  EXPECT_TRUE(keeper_.in_use());
  EXPECT_EQ(clock_.sequence.load() % 2, 0u);
  EXPECT_LE(std::abs(Error()), 2);
}

TEST_F(ClockKeeperTest, IsNotUsedWhereTheCounterIsNotToBeBelieved) {
  source_.usable = false;
  GoOn(kSecondNs);
  EXPECT_FALSE(keeper_.in_use());
}

TEST_F(ClockKeeperTest, IsNotUsedWhereProcessorsDisagree) {
  source_.agree = false;
  GoOn(kSecondNs);
  EXPECT_FALSE(keeper_.in_use());
  source_.agree = true;  // too late: it was tried three times
  GoOn(kSecondNs);
  EXPECT_FALSE(keeper_.in_use());
}

// The first rate is measured over 2 ms, and a look may come 100 ns late.
TEST_F(ClockKeeperTest, MeetsTheTrueClockAgainAfterABadMeasurement) {
  keeper_.Look(source_.ns);
  source_.ns += 3 * kMillisecondNs;
  source_.jitter_ns = 100;  // 33 in a million
  keeper_.Look(source_.ns);
  source_.jitter_ns = 0;
  GoOn(5 * kSecondNs);
  EXPECT_LE(std::abs(Error()), 20);
}

TEST_F(ClockKeeperTest, FollowsAKernelThatAdjustsItsClock) {
  GoOn(3 * kSecondNs);
  const uint64_t before = source_.Ticks();
  source_.speed = 1.0001;  // what the counter does while the kernel's clock goes slower
  source_.ahead_ticks -= source_.Ticks() - before;
  GoOn(40 * kSecondNs);
  EXPECT_TRUE(keeper_.in_use());
  EXPECT_LE(std::abs(Error()), 1000);
}

TEST_F(ClockKeeperTest, NeverGoesBackWhenItIsAdjusted) {
  uint64_t last = 0;
  for (int i = 0; i < 20'000; ++i) {
    source_.ns += 250'000;
    source_.jitter_ns = static_cast<uint64_t>(i) * 7919 % 100;
    if (keeper_.in_use()) {
      const uint64_t before = Line().At(source_.Ticks());
      EXPECT_GE(before, last);
      keeper_.Look(source_.ns);
      const uint64_t after = Line().At(source_.Ticks());
      EXPECT_LE(after - before + 1, 2u) << "a jump of " << static_cast<int64_t>(after - before);
      last = after;
    } else {
      keeper_.Look(source_.ns);
    }
  }
  EXPECT_GT(last, 0u);
}

TEST_F(ClockKeeperTest, ACounterThatJumpedIsMeasuredAnewAndGivenUpTheThirdTime) {
  GoOn(kSecondNs);
  for (int jump = 1; jump <= 3; ++jump) {
    ASSERT_TRUE(keeper_.in_use()) << jump;
    source_.ahead_ticks += 100'000'000;
    GoOn(1100 * kMillisecondNs);  // until the next look
    GoOn(10 * kMillisecondNs);
    EXPECT_EQ(keeper_.in_use(), jump < 3) << jump;
    if (jump < 3) {
      EXPECT_LE(std::abs(Error()), 100);
    }
  }
}

TEST_F(ClockKeeperTest, ACounterThatWentBackIsMeasuredAnew) {
  GoOn(kSecondNs);
  source_.ahead_ticks -= 1'000'000'000;
  GoOn(1200 * kMillisecondNs);
  EXPECT_TRUE(keeper_.in_use());
  EXPECT_LE(std::abs(Error()), 100);
}

TEST(SharedNsTest, DoesNotWaitForACollectorThatDiedAmidAChange) {
  abi::SharedClock clock = {};
  clock.mult.store(1ull << 32);
  clock.sequence.store(7);
  EXPECT_EQ(abi::SharedNs(clock), 0u);
}

// The real counter, read by several threads, while the clock is adjusted.
TEST(SharedNsTest, AgreesWithTheKernelOnAllProcessors) {
  abi::SharedClock clock = {};
  ClockKeeper keeper(&clock);
  std::atomic<bool> over{false};
  std::atomic<uint64_t> reads{0}, worst_ns{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!over.load()) {
        const uint64_t before = MonotonicNs();
        const uint64_t ns = abi::SharedNs(clock);
        const uint64_t after = MonotonicNs();
        if (ns == 0) continue;
        reads.fetch_add(1);
        const uint64_t off = ns < before ? before - ns : ns > after ? ns - after : 0;
        for (uint64_t known = worst_ns.load(); off > known && !worst_ns.compare_exchange_weak(known, off);) {
        }
      }
    });
  }
  const uint64_t end_ns = MonotonicNs() + 500 * kMillisecondNs;
  for (uint64_t now = 0; (now = MonotonicNs()) < end_ns;) keeper.Look(now);
  over.store(true);
  for (std::thread& thread : threads) thread.join();
  if (!keeper.in_use()) GTEST_SKIP() << "the kernel does not tell the time by an invariant counter here";
  EXPECT_GT(reads.load(), 1000u);
  EXPECT_LT(worst_ns.load(), 100'000u);
}

}  // namespace
}  // namespace socktale
