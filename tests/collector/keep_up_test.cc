// SPDX-License-Identifier: Apache-2.0
//
// A session whose tables take long to make: its heart beats, and what programs write meanwhile goes to the file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "collector/aggregate/aggregator.h"
#include "collector/clock.h"
#include "collector/session.h"
#include "collector/tables_pace.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

namespace socktale {
namespace {

using testing::ElementsAreArray;

// The number-th call of a thread: a new socket.
Event SocketEvent(uint64_t number) {
  Event event;
  event.set_call(CALL_SOCKET);
  event.set_result(static_cast<int64_t>(number));
  event.set_start_ns(number);
  event.set_duration_ns(1);
  event.set_size(number);  // what the tests read back
  return event;
}

TEST(KeepUpTest, TheHeartBeatsWhileTablesAreMade) {
  constexpr uint64_t kSockets = 50'000;
  TestHome home;
  const auto session = MustCreate(home.Options("many"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  std::atomic<bool> written = false;
  std::thread writer([&] {
    FakeThread thread(&shim, 1);
    for (uint64_t i = 1; i <= kSockets; ++i) EXPECT_TRUE(thread.Write(SocketEvent(i)));
    written = true;
  });
  while (!written) ASSERT_TRUE(session->Poll(1, -1).ok());
  writer.join();
  while (session->Summary().sockets < kSockets) ASSERT_TRUE(session->Poll(1, -1).ok());
  const uint64_t before = shim.header().heartbeat.load();
  EXPECT_EQ(session->Summary().sockets, kSockets);
  EXPECT_GE(shim.header().heartbeat.load() - before, kSockets / 1024);
  ASSERT_TRUE(session->Finish().ok());
}

// Memory of this process that no file stands for, in bytes.
uint64_t OwnMemory() {
  uint64_t kib = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "RssAnon:")) continue;
    EXPECT_EQ(std::sscanf(line.c_str(), "RssAnon: %" SCNu64, &kib), 1);
  }
  return kib << 10;
}

// What a collector finds in the arena after it stood still is never all in its own memory.
TEST(KeepUpTest, ALongBacklogTakesLittleMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "its allocator gives nothing back";
#endif
  constexpr uint64_t kCalls = 200'000;
  TestHome home;
  const auto session = MustCreate(home.Options("backlog", 64 << 20));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  FakeThread threads[] = {{&shim, 1}, {&shim, 2}};
  const std::string payload(64, 'x');
  uint64_t written = 0;
  const auto write = [&](uint64_t calls) {
    for (uint64_t end = written + calls; written < end;) {
      ++written;
      for (FakeThread& thread : threads) {
        ASSERT_TRUE(thread.Write(NumberedEvent(3, written, payload)));
      }
    }
  };
  write(1000);  // what a session takes in any case
  ASSERT_TRUE(session->Poll(1, -1).ok());
  session->Summary();
  write(kCalls / 2);
  const uint64_t before = OwnMemory();
  session->Summary();
  const uint64_t grown = OwnMemory() - before;
  EXPECT_LT(grown, kCalls * 40) << "less than half of what a waiting event takes";
  EXPECT_EQ(session->Summary().events, 2 * written);
  ASSERT_TRUE(session->Finish().ok());
}

// The arena holds a fraction of what the writer has to say, so it can be through only when it is drained meanwhile.
TEST(KeepUpTest, WritersGetRoomWhileTablesAreMade) {
  constexpr uint64_t kSockets = 200'000;
  TestHome home;
  const auto session = MustCreate(home.Options("busy", 1 << 20));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  std::atomic<uint64_t> written = 0;
  std::atomic<bool> begin = false, end = false, done = false;
  const std::string payload(1000, 'x');
  std::thread writer([&] {
    FakeThread thread(&shim, 1);
    for (uint64_t i = 1; i <= kSockets; ++i) EXPECT_TRUE(thread.Write(SocketEvent(i)));
    while (!begin) std::this_thread::yield();
    for (uint64_t i = 1; !end; ++i) {
      EXPECT_TRUE(thread.Write(NumberedEvent(3, kSockets + i, payload)));
      written = i;
    }
    done = true;
  });
  while (session->Summary().sockets < kSockets) ASSERT_TRUE(session->Poll(1, -1).ok());
  begin = true;
  while (written < 100) ASSERT_TRUE(session->Poll(1, -1).ok());
  uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = written;
    session->Summary();
    most = std::max<uint64_t>(most, written - before);
  }
  end = true;
  while (!done) ASSERT_TRUE(session->Poll(1, -1).ok());
  writer.join();
  EXPECT_GT(most, (2u << 20) / payload.size()) << "twice what the arena holds";
  ASSERT_TRUE(session->Finish().ok());
  const ReadBack trace = ReadTrace(home.trace("busy"));
  EXPECT_THAT(trace.numbers.at({1, 0}), ElementsAreArray(UpTo(kSockets + written)));
  EXPECT_EQ(trace.tables.event_count(), kSockets + written);
}

TEST(TablesPaceTest, ManyTablesOfALongHistoryDoNotOutweighTheEvents) {
  TablesPace pace;
  EXPECT_FALSE(pace.TimeCame(TablesPace::kIntervalNs - 1));
  EXPECT_TRUE(pace.TimeCame(TablesPace::kIntervalNs));
  EXPECT_TRUE(pace.Affordable(1000)) << "nothing is known of their size yet";
  pace.Written(400'000);
  EXPECT_TRUE(pace.Affordable(500'000)) << "small ones are always written";
  pace.Written(400'000);
  EXPECT_FALSE(pace.Affordable(1'800'000));
  EXPECT_TRUE(pace.Affordable(800'000 + 12'000'000)) << "1.2 MB of tables beside 12 MB";
  EXPECT_FALSE(pace.Affordable(800'000 + 11'990'000));
}

TEST(TablesPaceTest, TablesTakeASmallPartOfTheTime) {
  TablesPace pace;
  pace.Next(10 * kSecondNs, 10 * kSecondNs + kMillisecondNs);
  EXPECT_TRUE(pace.TimeCame(20 * kSecondNs + kMillisecondNs));
  pace.Next(30 * kSecondNs, 32 * kSecondNs);
  EXPECT_FALSE(pace.TimeCame(131 * kSecondNs));
  EXPECT_TRUE(pace.TimeCame(132 * kSecondNs));
}

}  // namespace
}  // namespace socktale
