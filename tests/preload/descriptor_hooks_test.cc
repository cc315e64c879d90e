// SPDX-License-Identifier: Apache-2.0
//
// What the hooks record of descriptors' lives: made by whatever name, told things, closed one by one and by the range.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include <climits>
#include <string>
#include <vector>

#include "preload/abi/arena_abi.h"
#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

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

// ---- Made by other names --------------------------------------------------------------------------------------

MATCHER_P(Makes, kind, "") { return arg.result() >= 0 && arg.fd() == arg.result() && arg.kind() == kind; }

TEST(MakerHooksTest, TellTheNameOfATemporaryFileThatLibcMadeUp) {
  const auto made = Traced("makers").Of(CALL_MKSTEMP);
  ASSERT_THAT(made, SizeIs(9));
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(made[i], Makes(DESCRIPTOR_KIND_FILE));
    EXPECT_THAT(made[i].path(), AllOf(StartsWith("/tmp/socktale-makers-"), Not(HasSubstr("XXXXXX"))));
  }
  EXPECT_FALSE(made[0].close_on_exec());
  EXPECT_TRUE(made[2].close_on_exec());  // mkostemp with O_CLOEXEC
  EXPECT_TRUE(made[6].close_on_exec());
  EXPECT_THAT(made[8], Returned(-1, EINVAL));
}

TEST(MakerHooksTest, TellWhenADirectoryIsOpenedAndClosed) {
  const ShimRun run = Traced("makers");
  const auto opened = run.Of(CALL_OPENDIR);
  ASSERT_THAT(opened, SizeIs(2));
  EXPECT_THAT(opened[0], Makes(DESCRIPTOR_KIND_DIRECTORY));
  EXPECT_EQ(opened[0].path(), "/");
  EXPECT_TRUE(opened[0].close_on_exec());
  EXPECT_THAT(opened[1], Returned(-1, ENOENT));
  const auto closed = run.Of(CALL_CLOSEDIR);
  ASSERT_THAT(closed, SizeIs(3));
  EXPECT_THAT(closed[0], Returned(0, 0));
  EXPECT_EQ(closed[0].fd(), opened[0].result());
  EXPECT_EQ(closed[1].fd(), run.Of(CALL_FDOPENDIR).at(0).fd());
  EXPECT_THAT(closed[2], Returned(-1, EINVAL));
}

TEST(MakerHooksTest, FollowTheChildOfATerminal) {
  const ShimRun run = Traced("makers");
  const auto forks = run.Of(CALL_FORKPTY);
  if (forks.empty()) GTEST_SKIP() << "no terminals here";
  ASSERT_THAT(forks, SizeIs(1));  // the child tells nothing of its own
  EXPECT_EQ(forks[0].pid(), static_cast<uint32_t>(forks[0].result()));
  const auto attached = Those(run.Of(CALL_ATTACHED), [&](const Event& e) { return e.pid() == forks[0].pid(); });
  ASSERT_THAT(attached, SizeIs(1));
  EXPECT_EQ(attached[0].reason(), ATTACH_REASON_FORK);
  EXPECT_THAT(run.Of(CALL_LOGIN_TTY), Contains(Returned(-1, EBADF)));
  const auto pairs = run.Of(CALL_OPENPTY);
  ASSERT_THAT(pairs, SizeIs(1));
  EXPECT_EQ(pairs[0].kind(), DESCRIPTOR_KIND_CHARACTER_DEVICE);
  EXPECT_NE(pairs[0].fd(), pairs[0].new_fd());
}

// ---- Streams ---------------------------------------------------------------------------------------------------

TEST(StreamHooksTest, TellWhatAStreamOpens) {
  const auto opened = Traced("streams").Of(CALL_FOPEN);
  ASSERT_THAT(opened, SizeIs(Ge(7u)));
  EXPECT_THAT(opened[0], Makes(DESCRIPTOR_KIND_FILE));
  EXPECT_EQ(opened[0].path(), "/dev/null");
  EXPECT_EQ(opened[0].flags(), static_cast<uint32_t>(O_RDONLY));
  EXPECT_EQ(opened[1].flags(), static_cast<uint32_t>(O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC));
  EXPECT_TRUE(opened[1].close_on_exec());
  EXPECT_EQ(opened[2].flags(), static_cast<uint32_t>(O_WRONLY | O_CREAT | O_APPEND));
  EXPECT_THAT(opened[3], Returned(-1, ENOENT));
  EXPECT_EQ(opened[3].path(), "/no/such/file");
  EXPECT_THAT(opened[4], Returned(-1, EINVAL));
  EXPECT_THAT(opened[5], AllOf(Returned(-1, EFAULT), testing::Property(&Event::path, "")));
}

TEST(StreamHooksTest, KeepTheDataOfAPipeThatAStreamOpened) {
  const ShimRun run = Traced("streams", abi::kOptionPipeData);
  const auto opened = Those(run.Of(CALL_FOPEN), [](const Event& e) { return e.path().ends_with("/fifo"); });
  ASSERT_THAT(opened, ElementsAre(Makes(DESCRIPTOR_KIND_PIPE)));
  const auto written = Those(run.Of(CALL_WRITE), [](const Event& e) { return e.payload() == "by number"; });
  EXPECT_THAT(written, SizeIs(1));
}

// Each stream's descriptor is free afterwards, so most of them have the same number. A stream without one is no event.
TEST(StreamHooksTest, EndTheDescriptorsOfStreams) {
  const ShimRun run = Traced("streams");
  const auto closed = run.Of(CALL_FCLOSE);
  ASSERT_THAT(closed, SizeIs(Ge(8u)));
  const int lowest = run.Of(CALL_FOPEN).at(0).fd();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(closed[i].fd(), lowest);
  EXPECT_THAT(closed, Not(Contains(testing::Property(&Event::fd, -1))));
  EXPECT_THAT(closed.back(), Returned(-1, EBADF));  // closed behind its back
  // freopen takes the number over, and ends it when it fails.
  const auto again = run.Of(CALL_FREOPEN);
  ASSERT_THAT(again, SizeIs(3));
  EXPECT_EQ(again[0].fd(), lowest);
  EXPECT_EQ(again[0].result(), lowest);
  EXPECT_EQ(again[0].path(), "/dev/zero");
  EXPECT_TRUE(again[1].close_on_exec());
  EXPECT_THAT(again[2], Returned(-1, ENOENT));
  EXPECT_EQ(again[2].fd(), lowest);
}

TEST(StreamHooksTest, TellCommandsAndHowTheyEnded) {
  const ShimRun run = Traced("streams");
  const auto opened = run.Of(CALL_POPEN);
  ASSERT_THAT(opened, SizeIs(3));
  EXPECT_THAT(opened[0], Makes(DESCRIPTOR_KIND_PIPE));
  EXPECT_EQ(opened[0].path(), "echo word");
  EXPECT_NE(opened[0].inode(), 0u);
  EXPECT_EQ(opened[1].flags(), static_cast<uint32_t>(O_WRONLY | O_CLOEXEC));
  EXPECT_THAT(opened[2], Returned(-1, EINVAL));
  EXPECT_THAT(run.Of(CALL_PCLOSE), ElementsAre(Returned(0, 0), Returned(3 << 8, 0)));
  EXPECT_THAT(Those(run.Of(CALL_ATTACHED), [](const Event& e) { return e.argv_size() == 3; }), SizeIs(2));  // sh -c …
}

// ---- Watches, timers and counters ------------------------------------------------------------------------------

TEST(WatchHooksTest, TellWhatIsWatched) {
  const ShimRun run = Traced("watches");
  EXPECT_THAT(run.Of(CALL_INOTIFY_INIT),
              ElementsAre(Makes(DESCRIPTOR_KIND_INOTIFY), Makes(DESCRIPTOR_KIND_INOTIFY), Returned(-1, EINVAL)));
  const auto added = run.Of(CALL_INOTIFY_ADD_WATCH);
  ASSERT_THAT(added, SizeIs(3));
  EXPECT_EQ(added[0].path(), "/tmp");
  EXPECT_THAT(added[2], AllOf(Returned(-1, EFAULT), testing::Property(&Event::path, "")));
  EXPECT_EQ(run.Of(CALL_INOTIFY_RM_WATCH).at(0).option(), static_cast<uint32_t>(added[0].result()));
}

TEST(WatchHooksTest, LookAtADescriptorTakenFromAnotherProcess) {
  const ShimRun run = Traced("watches");
  EXPECT_THAT(run.Of(CALL_PIDFD_OPEN), ElementsAre(Makes(DESCRIPTOR_KIND_PIDFD), Returned(-1, EINVAL)));
  const auto taken = run.Of(CALL_PIDFD_GETFD).at(0);
  if (taken.error() != 0) GTEST_SKIP() << "not allowed here";
  const auto found = Those(run.Of(CALL_FOUND), [&](const Event& e) { return e.fd() == taken.result(); });
  ASSERT_THAT(found, Not(IsEmpty()));
  EXPECT_EQ(found.back().kind(), DESCRIPTOR_KIND_SOCKET);
  EXPECT_NE(found.back().socket_id(), 0u);
  EXPECT_THAT(run.Of(CALL_PIDFD_SEND_SIGNAL), ElementsAre(Returned(0, 0), Returned(-1, ESRCH)));
}

TEST(WatchHooksTest, TellHowTimersAreSet) {
  const ShimRun run = Traced("watches");
  const auto set = run.Of(CALL_TIMERFD_SETTIME);
  ASSERT_THAT(set, SizeIs(2));
  EXPECT_EQ(set[0].timeout_ns(), 100'000'000'007);
  EXPECT_THAT(set[0].payload(), SizeIs(sizeof(itimerspec)));
  EXPECT_THAT(set[1], AllOf(Returned(-1, EFAULT), HasPayload("")));
  const auto waits = run.Of(CALL_EPOLL_PWAIT2);
  ASSERT_THAT(waits, SizeIs(3));
  EXPECT_THAT(waits[0], Returned(0, 0));
  EXPECT_EQ(waits[0].timeout_ns(), 1000);
  EXPECT_EQ(waits[1].timeout_ns(), -1);
  EXPECT_THAT(waits[1].polled(), SizeIs(1));
}

// ---- fcntl and ioctl -------------------------------------------------------------------------------------------

TEST(ControlHooksTest, TellWhatIoctlChangesAndAnswers) {
  const auto calls = Traced("controls").Of(CALL_IOCTL);
  ASSERT_THAT(calls, SizeIs(10));
  EXPECT_EQ(calls[0].option(), static_cast<uint32_t>(FIONBIO));
  EXPECT_THAT(calls[0], HasPayload(std::string("\1\0\0\0", 4)));
  EXPECT_EQ(calls[2].option(), static_cast<uint32_t>(FIOCLEX));
  EXPECT_THAT(calls[4], AllOf(Returned(-1, EFAULT), HasPayload("")));
  EXPECT_THAT(calls[5], Returned(-1, EBADF));
  EXPECT_EQ(calls[6].option(), static_cast<uint32_t>(FIONREAD));
  EXPECT_THAT(calls[6], HasPayload(std::string("\4\0\0\0", 4)));
  EXPECT_EQ(calls[9].option(), 0x8933u);  // SIOCGIFINDEX; what a pipe was asked is not among them, nor TCGETS
}

TEST(ControlHooksTest, TellEveryFormOfFcntlButLocksOfFiles) {
  const ShimRun run = Traced("controls");
  const auto of = [&](int command) {
    return Those(run.Of(CALL_FCNTL), [&](const Event& e) { return e.flags() == static_cast<uint32_t>(command); });
  };
  EXPECT_THAT(of(F_GETFL), SizeIs(4));
  EXPECT_THAT(of(F_GETFL).at(1), Returned(O_RDWR | O_NONBLOCK, 0));
  EXPECT_THAT(of(F_GETFD), ElementsAre(Returned(0, 0), Returned(FD_CLOEXEC, 0), Returned(0, 0)));
  EXPECT_EQ(of(F_SETOWN).at(0).option(), run.Of(CALL_ATTACHED).at(0).pid());
  EXPECT_EQ(of(F_SETPIPE_SZ).at(0).option(), 4096u);
  EXPECT_THAT(of(F_ADD_SEALS), SizeIs(1));
  EXPECT_THAT(of(F_SETLK), IsEmpty());
  EXPECT_THAT(run.Of(CALL_ISFDTYPE), ElementsAre(Returned(1, 0), Returned(0, 0), testing::_));
  EXPECT_THAT(run.Of(CALL_SOCKATMARK), ElementsAre(Succeeded(), Returned(-1, EBADF)));
}

TEST(RefusedCallsTest, AreToldAndNothingIsReadThatCannotBe) {
  const ShimRun run = Traced("refusals");
  const auto opened = run.Of(CALL_OPEN);
  ASSERT_THAT(opened, SizeIs(3));
  EXPECT_THAT(opened[0], AllOf(Returned(-1, EPERM), testing::Property(&Event::path, "")));
  EXPECT_THAT(opened[2], AllOf(Returned(-1, EPERM), testing::Property(&Event::path, "/etc/refused")));
  for (const Call call : {CALL_FSPICK, CALL_OPEN_TREE, CALL_MQ_OPEN, CALL_FOPEN, CALL_POLL, CALL_BIND, CALL_SENDTO}) {
    EXPECT_THAT(run.Of(call), SizeIs(2)) << call;
  }
  const auto connected = run.Of(CALL_CONNECT);
  ASSERT_THAT(connected, SizeIs(3));
  EXPECT_EQ(connected[0].address(), "");
  EXPECT_EQ(connected[2].address().size(), sizeof(sockaddr_in));
  EXPECT_EQ(run.drops, 0u);
}

}  // namespace
}  // namespace socktale
