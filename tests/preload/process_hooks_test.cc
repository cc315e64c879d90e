// SPDX-License-Identifier: Apache-2.0
//
// What the hooks record of children begun in other ways than fork, and of calls by number.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// The pids that attached after a fork of whatever kind.
std::set<uint32_t> Forked(const ShimRun& run) {
  std::set<uint32_t> pids;
  for (const Event& event : run.Of(CALL_ATTACHED)) {
    if (event.reason() == ATTACH_REASON_FORK) pids.insert(event.pid());
  }
  return pids;
}

TEST(CloneHooksTest, TellChildrenWithMemoryOfTheirOwnByBothSides) {
  const ShimRun run = Traced("children");
  const auto clones = run.Of(CALL_CLONE);
  ASSERT_THAT(clones, SizeIs(5 + 25));  // three such, two refusals; those that share memory and stop their parent
  const std::set<uint32_t> attached = Forked(run);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(clones[i].pid(), static_cast<uint32_t>(clones[i].result()));
    EXPECT_EQ(attached.count(clones[i].pid()), 1u);
    EXPECT_EQ(clones[i].flags() & 0xff, static_cast<uint32_t>(SIGCHLD));
  }
  EXPECT_THAT(clones[4], Returned(-1, EINVAL));
  EXPECT_THAT(clones[5], Returned(-1, EINVAL));
}

TEST(CloneHooksTest, BookAChildThatSharesMemoryAndStopsItsParentAsVforksIs) {
  const ShimRun run = Traced("children");
  const auto in_child = Those(run.Of(CALL_SOCKET), [](const Event& e) { return e.pid() != 0; });
  ASSERT_THAT(in_child, SizeIs(1));
  EXPECT_TRUE(in_child[0].notes() & EVENT_NOTE_VFORK_CHILD);
  const auto clones = run.Of(CALL_CLONE);
  EXPECT_EQ(clones.at(3).flags(), static_cast<uint32_t>(SIGCHLD | CLONE_VM | CLONE_VFORK));
  EXPECT_EQ(clones[3].pid(), in_child[0].pid());
}

// Both run on one set of thread-local variables, ours among them: their calls are counted, and the next one after the
// child's end is recorded again.
TEST(CloneHooksTest, CountTheCallsOfAChildBesideItsParentAndGoOnAfterIt) {
  const ShimRun run = Traced("children");
  const auto alone = Those(run.Of(CALL_WRITE), [](const Event& e) { return e.payload() == "alone again"; });
  EXPECT_THAT(alone, SizeIs(1));
  EXPECT_EQ(run.drops, 2 * 6000 + 1u);  // each one's 3000 writes and reads, and the clone itself
}

TEST(SystemHooksTest, TellTheCommandAndItsStatus) {
  const auto commands = Traced("children").Of(CALL_SYSTEM);
  ASSERT_THAT(commands, SizeIs(2));
  EXPECT_EQ(commands[0].path(), "exit 4");
  EXPECT_EQ(commands[0].result(), 4 << 8);
  EXPECT_EQ(commands[1].path(), "");
}

TEST(DaemonHooksTest, GoOnInTheChild) {
  const ShimRun run = Traced("children");
  const auto daemons = run.Of(CALL_DAEMON);
  ASSERT_THAT(daemons, SizeIs(1));
  EXPECT_THAT(daemons[0], Returned(0, 0));
  uint32_t image = 0;
  for (const RecordedEvent& recorded : run.events) {
    if (recorded.event.call() == CALL_DAEMON) image = recorded.image;
  }
  const auto first = std::find_if(run.events.begin(), run.events.end(),
                                  [&](const RecordedEvent& recorded) { return recorded.image == image; });
  ASSERT_NE(first, run.events.end());
  EXPECT_EQ(first->event.call(), CALL_ATTACHED);
  EXPECT_EQ(first->event.start_ns(), daemons[0].start_ns());
}

TEST(NumberHooksTest, RecordACallByNumberAsTheCallItIs) {
  const ShimRun run = Traced("numbers");
  EXPECT_THAT(run.Of(CALL_SOCKETPAIR), SizeIs(2));
  EXPECT_THAT(run.Of(CALL_WRITE).at(0), AllOf(Returned(3, 0), HasPayload("abc")));
  EXPECT_THAT(run.Of(CALL_READ).at(0), AllOf(Returned(3, 0), HasPayload("abc")));
  EXPECT_THAT(run.Of(CALL_SENDTO).at(0), AllOf(Returned(4, 0), HasPayload("defg")));
  EXPECT_THAT(run.Of(CALL_RECVFROM), ElementsAre(AllOf(Returned(4, 0), HasPayload("defg")), Returned(-1, EAGAIN)));
  EXPECT_THAT(run.Of(CALL_WRITE), Contains(Returned(-1, EFAULT)));
  EXPECT_THAT(run.Of(CALL_PPOLL), ElementsAre(Returned(1, 0), Returned(-1, EINVAL)));
  const auto accepted = run.Of(CALL_ACCEPT4);
  ASSERT_THAT(accepted, SizeIs(1));
  EXPECT_GT(PortOf(accepted[0].address()), 0);  // which the program did not ask for
  EXPECT_EQ(accepted[0].flags(), static_cast<uint32_t>(SOCK_CLOEXEC));
  EXPECT_THAT(run.Of(CALL_CLOSE_RANGE), ElementsAre(Returned(0, 0)));
  EXPECT_THAT(run.Of(CALL_PWRITEV2), SizeIs(1));
}

TEST(NumberHooksTest, FollowTheChildrenOfRawCalls) {
  const ShimRun run = Traced("numbers");
  const std::set<uint32_t> attached = Forked(run);
  const auto clones = Those(run.Of(CALL_CLONE), [](const Event& e) { return e.error() == 0; });
  ASSERT_THAT(clones, Not(IsEmpty()));
  for (const Event& clone : clones) EXPECT_EQ(attached.count(clone.pid()), 1u);
  for (const Event& fork : run.Of(CALL_FORK)) EXPECT_EQ(attached.count(fork.pid()), 1u);
  EXPECT_THAT(run.Of(CALL_FORK), SizeIs(2));  // by number and by name
  const auto exits = Those(run.Of(CALL_EXIT), [](const Event& e) { return e.result() == 6; });
  EXPECT_THAT(exits, SizeIs(clones.size()));  // all but one, and of one fork
  const auto waited = Those(clones, [](const Event& e) { return (e.flags() & CLONE_VFORK) != 0; });
  ASSERT_THAT(waited, SizeIs(2));
  EXPECT_GT(waited[0].duration_ns(), 19'000'000u);  // until the child had slept, written and gone
  // /bin/true, executed by number with an empty environment.
  EXPECT_THAT(Those(run.Of(CALL_ATTACHED), [](const Event& e) { return e.path() == "/usr/bin/true"; }), SizeIs(1));
}

TEST(NumberHooksTest, TellDescriptorsThatNoFunctionOfLibcMakes) {
  for (const Event& event : Traced("numbers").Of(CALL_SYSCALL)) {
    EXPECT_TRUE(event.option() == SYS_openat2 || event.option() == SYS_io_uring_setup) << event.option();
    if (event.option() == SYS_openat2 && event.error() == 0) {
      EXPECT_EQ(event.path(), "/dev/null");
      EXPECT_EQ(event.kind(), DESCRIPTOR_KIND_CHARACTER_DEVICE);
      EXPECT_TRUE(event.close_on_exec());
    }
  }
}

// A filter leaves the workload read, write, close and its end: what is recorded afterwards costs no system call.
TEST(ConfinedProgramsTest, AreRecordedOn) {
  const ShimRun run = Traced("confines");
  EXPECT_EQ(run.drops, 0u);
  for (const Call call : {CALL_WRITE, CALL_READ}) {
    const auto whole = Those(run.Of(call), [](const Event& e) { return e.result() == 300; });
    EXPECT_EQ(whole.size(), 3000u) << Call_Name(call);
  }
}

}  // namespace
}  // namespace socktale
