// SPDX-License-Identifier: Apache-2.0
//
// What the hooks record of descriptors' lives: made, closed one by one and by the range.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>

#include <climits>
#include <string>
#include <vector>

#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

ShimRun Traced(const std::string& workload) {
  ShimRun run = RunUnderShim({workload});
  EXPECT_EQ(run.exit_status, 0) << run.output;
  return run;
}

template <typename Predicate>
std::vector<Event> Those(std::vector<Event> events, Predicate predicate) {
  std::erase_if(events, [&](const Event& event) { return !predicate(event); });
  return events;
}

MATCHER_P2(IsRange, first, last, "") { return arg.fd() == first && arg.new_fd() == last; }

TEST(RangeHooksTest, TellWhichNumbersWereClosed) {
  const auto closed = Traced("ranges").Of(CALL_CLOSE_RANGE);
  ASSERT_THAT(closed, SizeIs(Ge(13u)));  // one more where the limit of descriptors allows high numbers
  EXPECT_THAT(closed[0], AllOf(IsRange(3, INT_MAX), Returned(0, 0)));  // closefrom(3)
  const int lowest = closed[1].fd() - 1;
  EXPECT_THAT(closed[1], IsRange(lowest + 1, lowest + 1));
  EXPECT_THAT(closed[2], IsRange(lowest, lowest + 2));
  EXPECT_THAT(closed[3], AllOf(IsRange(lowest + 2, lowest), Returned(-1, EINVAL)));
  EXPECT_THAT(closed[4], AllOf(IsRange(lowest, INT_MAX), Returned(-1, EINVAL)));
  EXPECT_THAT(closed[5], AllOf(IsRange(INT_MAX, INT_MAX), Returned(0, 0)));
  EXPECT_EQ(closed[6].flags(), static_cast<uint32_t>(CLOSE_RANGE_CLOEXEC));
  EXPECT_THAT(closed[7], AllOf(IsRange(lowest + 1, INT_MAX), Returned(0, 0)));
}

// What a range closed is unknown to the shim afterwards, and what it only marked or was refused is known still: a call
// on a number that it does not know looks at it first.
TEST(RangeHooksTest, EndWhatTheyCloseAndNothingElse) {
  const ShimRun run = Traced("ranges");
  int refused = 0;
  for (size_t i = 0; i < run.events.size(); ++i) {
    const Event& event = run.events[i].event;
    if (event.call() != CALL_SENDTO) continue;  // the workload's only one, after the refusals and the marking
    ++refused;
    EXPECT_THAT(event, FailedWith(ENOTCONN));
    EXPECT_NE(run.events.at(i - 1).event.call(), CALL_FOUND);
  }
  EXPECT_EQ(refused, 1);
}

TEST(RangeHooksTest, SummarizeTheConnectionsThatTheyEnd) {
  const ShimRun run = Traced("ranges");
  const auto summaries = run.Of(CALL_SOCKET_SUMMARY);
  ASSERT_THAT(summaries, SizeIs(2));  // both ends are in the range
  const auto closed = Those(run.Of(CALL_CLOSE_RANGE), [&](const Event& e) {
    return e.fd() < summaries[0].fd() && e.new_fd() == summaries[1].fd();
  });
  ASSERT_THAT(closed, Not(IsEmpty()));
  EXPECT_LE(summaries[1].start_ns(), closed.back().start_ns() + closed.back().duration_ns());
}

// The last range is closed by the parent, in which the three sockets live on.
TEST(RangeHooksTest, LeaveTheParentsDescriptorsWhenAVforkChildClosesItsOwn) {
  const ShimRun run = Traced("ranges");
  const auto by_child = Those(run.Of(CALL_CLOSE_RANGE), [](const Event& e) { return e.pid() != 0; });
  ASSERT_THAT(by_child, SizeIs(1));
  EXPECT_THAT(Those(run.Of(CALL_FOUND), [](const Event& e) { return e.kind() == DESCRIPTOR_KIND_SOCKET; }), IsEmpty());
}

}  // namespace
}  // namespace socktale
