// SPDX-License-Identifier: Apache-2.0
//
// A session whose tables take long to make: its heart beats, and what programs write meanwhile goes to the file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

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

// The arena holds a fraction of what the writer has to say, so it can be through only when it is drained meanwhile.
TEST(KeepUpTest, WritersGetRoomWhileTablesAreMade) {
  constexpr uint64_t kSockets = 200'000;
  TestHome home;
  SessionOptions options = home.Options("busy");
  options.first_arena_bytes = options.arena_bytes = 1 << 20;
  const auto session = MustCreate(options);
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
