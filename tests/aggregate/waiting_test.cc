// SPDX-License-Identifier: Apache-2.0
//
// How many events wait for their turn.

#include <gtest/gtest.h>

#include "collector/aggregate/aggregator.h"
#include "proto/event.pb.h"
#include "proto/trace.pb.h"

namespace socktale {
namespace {

constexpr uint64_t kEvents = 10'000;

// An encoded Run of kEvents calls, the n-th of which lasts from n·step_ns to n·step_ns + 1.
std::string ManyCalls(uint64_t step_ns) {
  Run run;
  for (uint64_t i = 0; i < kEvents; ++i) {
    Event& event = *run.add_event();
    event.set_call(CALL_SOCKET);
    event.set_result(3);
    event.set_start_ns(i * step_ns);
    event.set_duration_ns(1);
  }
  return run.SerializeAsString();
}

uint64_t AppliedBeforeAnyAdvance(uint64_t step_ns, size_t most_waiting) {
  Aggregator aggregator;
  aggregator.LimitWaiting(most_waiting);
  const std::string events = ManyCalls(step_ns);
  RunView run;
  run.image = run.tid = 1;
  run.events = events;
  EXPECT_TRUE(aggregator.Add(run, 1).ok());
  const uint64_t applied = aggregator.Snapshot(0).event_count();
  aggregator.Advance(UINT64_MAX);
  EXPECT_EQ(aggregator.Snapshot(0).event_count(), kEvents);
  return applied;
}

TEST(WaitingTest, EventsWaitForTheHorizonWhereNoLimitIsSet) { EXPECT_EQ(AppliedBeforeAnyAdvance(10, SIZE_MAX), 0u); }

TEST(WaitingTest, AtMostSoManyEventsWait) {
  EXPECT_GE(AppliedBeforeAnyAdvance(10, 100), kEvents - 100);
  EXPECT_LT(AppliedBeforeAnyAdvance(10, 100), kEvents) << "only half of them is applied at a time";
}

// One thread closes what the other one made, again and again.
TEST(WaitingTest, ThreadsTakeTurnsByTheTimeOfTheirCalls) {
  Aggregator aggregator;
  const std::string sockets = ManyCalls(10);
  socktale::Run run;
  for (uint64_t i = 0; i < kEvents; ++i) {
    Event& event = *run.add_event();
    event.set_call(CALL_CLOSE);
    event.set_fd(3);
    event.set_start_ns(i * 10 + 5);
  }
  const std::string closes = run.SerializeAsString();
  RunView view;
  view.image = view.tid = 1;
  view.events = sockets;
  ASSERT_TRUE(aggregator.Add(view, 1).ok());
  view.tid = 2;
  view.events = closes;
  ASSERT_TRUE(aggregator.Add(view, 1).ok());
  EXPECT_EQ(aggregator.waiting(), 2 * kEvents);
  EXPECT_TRUE(aggregator.Advance(UINT64_MAX, kEvents));
  EXPECT_EQ(aggregator.waiting(), kEvents);
  EXPECT_TRUE(aggregator.Advance(UINT64_MAX, kEvents - 1));
  EXPECT_FALSE(aggregator.Advance(UINT64_MAX, 1));
  EXPECT_EQ(aggregator.waiting(), 0u);
  const Tables tables = aggregator.Snapshot(0);
  EXPECT_EQ(tables.life_size(), kEvents);
  for (const DescriptorLife& life : tables.life()) {
    ASSERT_EQ(life.end(), LIFE_END_CLOSED) << life.generation();
    ASSERT_EQ(life.end_ns() - life.start_ns(), 4u) << life.generation();
  }
}

TEST(WaitingTest, EventsOfOneMomentDoNotWaitForEachOther) {
  EXPECT_GE(AppliedBeforeAnyAdvance(0, 100), kEvents - 100);
  EXPECT_GE(AppliedBeforeAnyAdvance(UINT64_MAX / 2, 100), kEvents - 100) << "times that wrap around";
}

}  // namespace
}  // namespace socktale
