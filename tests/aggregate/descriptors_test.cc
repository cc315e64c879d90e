// SPDX-License-Identifier: Apache-2.0
//
// Lives of descriptor numbers: generations, duplicates, exec, passing, closes that nobody saw, and bytes that lie.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <climits>
#include <random>

#include "collector/aggregate/aggregator.h"
#include "proto/call_families.h"
#include "proto/event_view.h"
#include "tests/aggregate/missing_count.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using testing::Image;
using testing::Inet;
using testing::MissingCount;
using testing::TraceBuilder;

TEST(DescriptorTest, EachUseOfANumberIsALifeOfItsOwn) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/a");
  api.Close(3);
  api.Socket(3, AF_INET, SOCK_STREAM);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 2);
  EXPECT_EQ(tables.life(0).generation(), 1u);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(0).kind(), DESCRIPTOR_KIND_FILE);
  EXPECT_EQ(tables.object(0).path(), "/a");
  EXPECT_EQ(tables.life(1).generation(), 2u);
  EXPECT_EQ(tables.life(1).kind(), DESCRIPTOR_KIND_SOCKET);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_OPEN);
}

TEST(DescriptorTest, ARangeClosesWhatIsOpenInIt) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/a");
  api.Open(4, "/b");
  api.Open(9, "/c");
  api.Call(CALL_CLOSE_RANGE, 4, 0).set_new_fd(8);
  api.Call(CALL_CLOSE_RANGE, 3, -1, {.error = EINVAL}).set_new_fd(9);
  Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 3) << "a range makes no lives";
  EXPECT_EQ(tables.life(0).end(), LIFE_END_OPEN);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(2).end(), LIFE_END_OPEN);
  Event& marked = api.Call(CALL_CLOSE_RANGE, 3, 0);
  marked.set_new_fd(INT_MAX);
  marked.set_flags(CLOSE_RANGE_CLOEXEC);
  tables = trace.Aggregate();
  EXPECT_EQ(tables.life(0).end(), LIFE_END_OPEN);
  EXPECT_TRUE(tables.life(0).close_on_exec());
  api.Call(CALL_CLOSE_RANGE, 3, 0).set_new_fd(INT_MAX);
  tables = trace.Aggregate();
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(2).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.missing_size(), 0);
}

TEST(DescriptorTest, EveryCallThatReturnsANewDescriptorBeginsALife) {
  for (int value = Call_MIN; value <= Call_MAX; ++value) {
    const auto call = static_cast<Call>(value);
    if (!Call_IsValid(value) || !ReturnsNewDescriptor(call)) continue;
    TraceBuilder trace;
    Image& api = trace.Start("api", 10);
    api.Socket(9, AF_INET, SOCK_STREAM);  // what accept works on
    api.Call(call, 9, 5);
    const Tables tables = trace.Aggregate();
    ASSERT_EQ(tables.life_size(), 2) << Call_Name(call);
    EXPECT_EQ(tables.life(1).fd(), 5) << Call_Name(call);
    EXPECT_EQ(tables.life(1).made_by(), call) << Call_Name(call);
  }
}

TEST(DescriptorTest, EveryCallThatEndsDescriptorsDoes) {
  for (int value = Call_MIN; value <= Call_MAX; ++value) {
    const auto call = static_cast<Call>(value);
    if (!Call_IsValid(value) || !EndsDescriptors(call)) continue;
    TraceBuilder trace;
    Image& api = trace.Start("api", 10);
    api.Open(5, "/a");
    api.Open(9, "/b");
    Event& end = api.Call(call, call == CALL_DUP2 || call == CALL_DUP3 ? 9 : 5, 5);
    end.set_new_fd(5);
    const Tables tables = trace.Aggregate();
    ASSERT_GE(tables.life_size(), 2) << Call_Name(call);
    EXPECT_EQ(tables.life(0).fd(), 5);
    EXPECT_EQ(tables.life(0).end(),
              OnlyEndsDescriptors(call) || call == CALL_LOGIN_TTY ? LIFE_END_CLOSED : LIFE_END_REPLACED)
        << Call_Name(call);
    EXPECT_EQ(tables.life(1).end(), LIFE_END_OPEN) << Call_Name(call);
  }
}

TEST(DescriptorTest, AStreamsDescriptorLivesAsLongAsItsStream) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  const auto opens = [&](Call call, int fd, int result) {
    Event& event = api.Call(call, fd, result);
    event.set_kind(DESCRIPTOR_KIND_FILE);
    event.set_close_on_exec(true);
  };
  opens(CALL_FOPEN, 3, 3);
  opens(CALL_FREOPEN, 3, 3);
  api.Call(CALL_FCLOSE, 3, -1, {.error = ENOSPC});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 2);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_REPLACED);
  EXPECT_TRUE(tables.life(0).close_on_exec());
  EXPECT_EQ(tables.life(1).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(1).kind(), DESCRIPTOR_KIND_FILE);
  EXPECT_EQ(tables.missing_size(), 0);
}

TEST(DescriptorTest, IoctlChangesFlags) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Socket(3, AF_INET, SOCK_STREAM);
  const auto control = [&](uint32_t request, const std::string& value) {
    Event& event = api.Call(CALL_IOCTL, 3, 0);
    event.set_option(request);
    event.set_payload(value);
  };
  control(FIONBIO, std::string("\1\0\0\0", 4));
  control(FIOCLEX, "");
  Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 1);
  EXPECT_EQ(tables.object(0).status_flags() & O_NONBLOCK, static_cast<uint32_t>(O_NONBLOCK));
  EXPECT_TRUE(tables.life(0).close_on_exec());
  control(FIONBIO, std::string(4, '\0'));
  control(FIONCLEX, "");
  tables = trace.Aggregate();
  EXPECT_EQ(tables.object(0).status_flags() & O_NONBLOCK, 0u);
  EXPECT_FALSE(tables.life(0).close_on_exec());
}

TEST(DescriptorTest, ANumberReturnedAgainWasClosedUnseen) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/a");
  api.Open(3, "/b");
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.life(0).end(), LIFE_END_IMPLICIT);
  ASSERT_EQ(tables.missing_size(), 1);
  EXPECT_EQ(tables.missing(0).kind(), "implicit_close");
  EXPECT_EQ(tables.missing(0).process(), 1u);
}

// The thread that closes is drained after the thread that got the number.
TEST(DescriptorTest, ALateCloseFindsTheLifeItEnded) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/a");
  const uint64_t close_ns = trace.now();
  trace.After(10'000);
  api.tid = 11;
  api.Open(3, "/b");
  trace.NextBlock();
  trace.After(10'000);
  api.Open(4, "/c");
  trace.NextBlock();
  trace.At(close_ns);
  api.tid = 10;
  api.Close(3);
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator, /*advance=*/true).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.life_size(), 3);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(0).end_ns(), close_ns);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_OPEN);
  EXPECT_EQ(tables.missing_size(), 0) << "it was seen after all";
}

TEST(DescriptorTest, ALateBeginningIsPutInItsPlace) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  trace.At(50'000);
  api.Open(3, "/second");
  trace.NextBlock();
  trace.After(10'000);
  api.Open(4, "/c");
  trace.NextBlock();
  trace.At(20'000);
  api.tid = 11;
  api.Open(3, "/first");
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator, /*advance=*/true).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.life_size(), 3);
  EXPECT_EQ(tables.life(0).generation(), 2u);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_OPEN);
  EXPECT_EQ(tables.life(1).generation(), 1u);
  EXPECT_EQ(tables.object(static_cast<int>(tables.life(1).object()) - 1).path(), "/first");
  EXPECT_EQ(tables.life(1).end(), LIFE_END_IMPLICIT);
}

TEST(DescriptorTest, DuplicatesShareOneObject) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Socket(3, AF_INET, SOCK_STREAM, {.cookie = 77});
  api.Dup(3, 4);
  api.Dup2(3, 9);
  api.Open(5, "/x");
  api.Dup2(3, 5);
  Event& fcntl = api.Call(CALL_FCNTL, 3, 20);
  fcntl.set_flags(F_DUPFD_CLOEXEC);
  fcntl.set_new_fd(20);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 6);
  for (const int i : {1, 2, 4, 5}) {
    EXPECT_EQ(tables.life(i).object(), 1u);
    EXPECT_EQ(tables.life(i).begin(), LIFE_BEGIN_DUPLICATED);
    EXPECT_EQ(tables.life(i).from_life(), 1u);
  }
  EXPECT_EQ(tables.life(3).end(), LIFE_END_REPLACED);
  EXPECT_TRUE(tables.life(5).close_on_exec());
  EXPECT_EQ(tables.object(0).socket_id(), 77u);
}

// dup and F_DUPFD are given a free number: one that was open had been closed by a call that nobody saw.
TEST(DescriptorTest, ANumberThatDupReturnsWasClosedUnseen) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/a");
  api.Open(4, "/b");
  api.Open(5, "/c");
  api.Dup(3, 4);
  Event& fcntl = api.Call(CALL_FCNTL, 3, 5);
  fcntl.set_flags(F_DUPFD);
  fcntl.set_new_fd(5);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 5);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_IMPLICIT);
  EXPECT_EQ(tables.life(2).end(), LIFE_END_IMPLICIT);
  EXPECT_EQ(MissingCount(tables, "implicit_close"), 2u);
}

// What the shim asks of a socket before it is closed is no call of the program.
TEST(DescriptorTest, TheShimsSummaryOfASocketIsNoUseOfIt) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Socket(3, AF_INET, SOCK_STREAM);
  api.Connect(3, Inet("127.0.0.1", 80), {.local = Inet("127.0.0.1", 4000)});
  const uint64_t sent_ns = trace.now();
  api.Send(3, "x");
  trace.After(1'000'000);
  api.Call(CALL_SOCKET_SUMMARY, 3, 0).set_rtt_us(70);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.life(0).last_use_ns(), sent_ns + 1000);
  EXPECT_EQ(tables.life(0).event_count(), 2u);
  EXPECT_EQ(tables.connection(0).event_count(), 2u);
}

TEST(DescriptorTest, AfterExecOnlyWhatWasFoundGoesOn) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  shell.Socket(3, AF_INET, SOCK_STREAM, {.cookie = 5});
  shell.Socket(4, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, {.cookie = 6});
  shell.Open(5, "/x", {.inode = 50});
  Image& curl = shell.Exec("/usr/bin/curl", {"curl"});
  curl.FoundSocket(3, AF_INET, SOCK_STREAM, {.cookie = 5});
  curl.Found(5, DESCRIPTOR_KIND_FILE, {.inode = 51});  // something else by that number
  curl.Found(6, DESCRIPTOR_KIND_PIPE, {.inode = 60});
  curl.Open(7, "/y");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 6);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_OPEN);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_EXEC);
  EXPECT_EQ(tables.life(2).end(), LIFE_END_EXEC);
  EXPECT_EQ(tables.life(3).begin(), LIFE_BEGIN_FOUND);
  EXPECT_EQ(tables.life(3).fd(), 5);
  EXPECT_EQ(tables.life(3).generation(), 2u);
  EXPECT_EQ(tables.life(4).kind(), DESCRIPTOR_KIND_PIPE);
  EXPECT_EQ(tables.missing_size(), 0);
}

TEST(DescriptorTest, PassedDescriptorsNameTheSameObject) {
  for (const bool found_first : {false, true}) {
    TraceBuilder trace;
    Image& a = trace.Start("a", 10);
    Image& b = trace.Start("b", 20);
    a.SocketPair(3, 4, AF_UNIX, SOCK_STREAM);
    a.Socket(7, AF_INET, SOCK_STREAM, {.cookie = 500});
    a.Send(3, "x", {.passed = {7}});
    b.FoundSocket(5, AF_UNIX, SOCK_STREAM, {.cookie = 9});
    const uint64_t call_ns = trace.now();
    if (found_first) {
      trace.After(500);
      b.FoundSocket(8, AF_INET, SOCK_STREAM, {.cookie = 500, .took_ns = 0});
      trace.At(call_ns);
    }
    b.Recv(5, "x", {.took_ns = 800, .passed = {8}});
    if (!found_first) b.FoundSocket(8, AF_INET, SOCK_STREAM, {.cookie = 500});
    b.Close(8);
    const Tables tables = trace.Aggregate();
    const DescriptorLife* received = nullptr;
    for (const DescriptorLife& life : tables.life()) {
      if (life.process() == 2 && life.fd() == 8) received = &life;
    }
    ASSERT_NE(received, nullptr);
    EXPECT_EQ(received->begin(), LIFE_BEGIN_RECEIVED) << found_first;
    EXPECT_EQ(tables.object(static_cast<int>(received->object()) - 1).socket_id(), 500u);
    EXPECT_EQ(received->from_life(), 3u);
    EXPECT_EQ(received->end(), LIFE_END_CLOSED);
  }
}

TEST(DescriptorTest, PipesArePairsAlsoWhenFound) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.Pipe(3, 4, {.inode = 900});
  Image& b = trace.Start("b", 20);
  b.Found(0, DESCRIPTOR_KIND_PIPE, {.inode = 900});
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.object(0).pair(), 2u);
  EXPECT_EQ(tables.object(1).pair(), 1u);
  EXPECT_EQ(tables.life(2).object(), 1u) << "the read end";
}

TEST(DescriptorTest, EpollKnowsWhatItWatches) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.EpollCreate(4);
  a.EpollAdd(4, 9, EPOLLIN);
  a.EpollAdd(4, 3, EPOLLIN);
  Event& removed = a.Call(CALL_EPOLL_CTL, 4, 0);
  removed.set_flags(EPOLL_CTL_DEL);
  removed.set_new_fd(9);
  a.EpollAdd(4, 7, EPOLLIN);
  EXPECT_THAT(trace.Aggregate().object(0).watches(), ElementsAre(3, 7));
}

// The kernel drops a watch when the last descriptor of what it watches is closed.
TEST(DescriptorTest, EpollForgetsWhatWasClosedBeforeItself) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.EpollCreate(4);
  a.Socket(3, AF_INET, SOCK_STREAM);
  a.Socket(7, AF_INET, SOCK_STREAM);
  a.Socket(9, AF_INET, SOCK_STREAM);
  a.Dup(9, 10);
  for (const int fd : {3, 7, 9, 20}) a.EpollAdd(4, fd, EPOLLIN);
  a.Close(7);
  a.Close(9);
  EXPECT_THAT(trace.Aggregate().object(0).watches(), ElementsAre(3, 9, 20))
      << "9 lives on as 10, of 20 nothing is known";
  a.Exit(0);
  EXPECT_THAT(trace.Aggregate().object(0).watches(), ElementsAre(3, 9, 20)) << "as when it was last seen";
}

TEST(DescriptorTest, UseOfANumberNobodySawMadeBeginsAFoundLife) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.Recv(6, "x");
  a.RecvFails(7, EBADF);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.life_size(), 1);
  EXPECT_EQ(tables.life(0).begin(), LIFE_BEGIN_FOUND);
  EXPECT_EQ(tables.life(0).kind(), DESCRIPTOR_KIND_SOCKET);
  EXPECT_EQ(tables.connection_size(), 1);
}

// Bytes that an attacker chose: nothing of this may crash, hang or grow without bound.
TEST(HostileTest, RandomlyChangedEventsAreSurvived) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.Socket(3, AF_INET, SOCK_STREAM);
  a.Connect(3, Inet("127.0.0.1", 80), {.local = Inet("127.0.0.1", 4000)});
  a.Send(3, "hello");
  Image& b = a.Fork(11);
  b.SocketPair(5, 6, AF_UNIX, SOCK_DGRAM);
  b.Send(5, "x", {.peer = Inet("1.2.3.4", 5), .passed = {3, 4}});
  b.Recv(6, "x", {.passed = {8, 9}});
  b.EpollCreate(4);
  b.EpollAdd(4, 9, EPOLLIN);
  b.Exec("/bin/true", {"true"}).Found(3, DESCRIPTOR_KIND_SOCKET, {.peer = Inet("127.0.0.1", 80), .cookie = 1});
  std::vector<std::string> runs;
  for (const auto& block : trace.Blocks()) runs.insert(runs.end(), block.begin(), block.end());
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    Aggregator aggregator;
    for (const std::string& original : runs) {
      std::string bytes = original;
      for (int i = 0; i < 6; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
      RunView run;
      run.image = static_cast<uint32_t>(random() % 4);
      run.tid = static_cast<uint32_t>(random() % 3);
      run.base_ns = random() % 5 == 0 ? UINT64_MAX - 5 : random() % 100;
      run.events = bytes;
      aggregator.Add(run, random()).IgnoreError();
      if (random() % 2 == 0) aggregator.Advance(random());
    }
    aggregator.Advance(UINT64_MAX);
    aggregator.Snapshot(1);
    aggregator.BlocksOfConnections();
  }
}

TEST(CompletenessTest, ARingMadeByNumberIsNamedOnce) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.Call(CALL_SYSCALL, 5, 5).set_option(SYS_io_uring_setup);
  a.Call(CALL_SYSCALL, 6, 6).set_option(SYS_io_uring_setup);
  trace.Start("b", 11).Call(CALL_SYSCALL, 5, 5).set_option(SYS_pidfd_open);
  trace.Start("c", 12).Call(CALL_SYSCALL, 0, -1, {.error = EPERM}).set_option(SYS_io_uring_setup);
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  EXPECT_EQ(MissingCount(aggregator.Snapshot(trace.now()), "io_uring"), 1u);
}

TEST(HostileTest, ForksWithoutEndDoNotEatMemory) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  for (int fd = 3; fd < 103; ++fd) a.Open(fd, "");
  for (uint32_t pid = 100; pid < 200; ++pid) a.Call(CALL_FORK, 0, pid).set_pid(pid);
  Aggregator aggregator(Limits{.copied_lives = 1000});
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  EXPECT_EQ(tables.life_size(), 100 + 1000);
  EXPECT_EQ(MissingCount(tables, "left_out"), 100u * 100 - 1000);
}

// What programs open themselves is told however many forks there were.
TEST(HostileTest, CopiesDoNotUseUpTheRoomOfWhatIsOpened) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  for (int fd = 3; fd < 13; ++fd) a.Open(fd, "");
  for (uint32_t pid = 100; pid < 120; ++pid) a.Call(CALL_FORK, 0, pid).set_pid(pid);
  a.Socket(50, AF_INET, SOCK_STREAM);
  a.Connect(50, Inet("127.0.0.1", 80), {.local = Inet("127.0.0.1", 4000)});
  a.Send(50, "hello");
  Aggregator aggregator(Limits{.copied_lives = 20});
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).client().sent(), 5u);
}

// One of everything more than the tables take: all of it is counted, nothing else changes.
TEST(HostileTest, WhatTheTablesCannotHoldIsCounted) {
  constexpr size_t kThings = 40;
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  a.Socket(3, AF_INET, SOCK_STREAM);
  a.Connect(3, Inet("127.0.0.1", 80), {.local = Inet("127.0.0.1", 4000)});
  a.Send(3, "hello");
  for (int i = 0; i < 30; ++i) {
    a.Open(100 + i, "/x");
    a.SocketPair(200 + 2 * i, 201 + 2 * i, AF_UNIX, SOCK_STREAM);
    a.Pipe(300 + 2 * i, 301 + 2 * i);
    a.Accept(3, 400 + i, {.peer = Inet("127.0.0.1", 5000)});
    a.Recv(500 + i, "x", {.passed = {600 + i}});
    a.Found(700 + i, DESCRIPTOR_KIND_FILE);
    a.Dup(3, 800 + i);
    a.tid = 1000 + static_cast<uint32_t>(i);
    a.Fork(2000 + static_cast<uint32_t>(i)).Send(99, "x");
    trace.Unattached(5000 + static_cast<uint32_t>(i)).Open(3, "/x");
    a.tid = 10;
  }
  a.Send(3, "world");
  Aggregator aggregator(Limits{.things = kThings});
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  // (Each table has a first entry that stands for none, and a call that makes two asks once.)
  EXPECT_LE(tables.process_size() + tables.thread_size() + tables.life_size() + tables.object_size() +
                tables.connection_size(),
            static_cast<int>(kThings) + 4);
  EXPECT_GT(MissingCount(tables, "left_out"), 100u);
  EXPECT_EQ(tables.connection(0).client().sent(), 10u) << "what was there before goes on";
  aggregator.BlocksOfConnections();
}

// A program may write any time into its memory that it likes.
TEST(HostileTest, ATimeInTheFutureDoesNotHoldBackItsThread) {
  TraceBuilder trace;
  Image& a = trace.Start("a", 10);
  const uint64_t before_ns = trace.now();
  trace.At(uint64_t{1} << 62);
  a.Call(CALL_SETSOCKOPT, 99, 0);
  trace.At(before_ns);
  a.Open(3, "/a");
  Aggregator aggregator;
  for (const auto& block : trace.Blocks()) {
    for (const std::string& bytes : block) {
      socktale::Run parsed;
      ASSERT_TRUE(parsed.ParseFromString(bytes));
      Events events;
      *events.add_run() = parsed;
      const std::string framed = events.SerializeAsString();
      absl::string_view rest = framed;
      RunView run;
      bool found = false;
      ASSERT_TRUE(NextRun(rest, run, found).ok());
      ASSERT_TRUE(aggregator.Add(run, 1, before_ns + 10'000).ok());
    }
  }
  aggregator.Advance(before_ns + 20'000);
  const Tables tables = aggregator.Snapshot(before_ns + 20'000);
  EXPECT_EQ(tables.object_size(), 2) << "setsockopt's and open's";
  for (const DescriptorLife& life : tables.life()) EXPECT_LE(life.start_ns(), before_ns + 10'000);
}

}  // namespace
}  // namespace socktale
