// SPDX-License-Identifier: Apache-2.0
//
// A session against writers that follow arena_abi.h: what is committed is in the trace, whoever dies.

#include "collector/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "collector/clock.h"
#include "collector/recovery.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

namespace socktale {
namespace {

using testing::Contains;
using testing::ElementsAreArray;
using testing::IsEmpty;

// A page that outlives a killed child: how many events it had committed.
class SharedCounter {
 public:
  SharedCounter()
      : value_(new (mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                   std::atomic<uint64_t>(0)) {}
  ~SharedCounter() { munmap(value_, 4096); }
  std::atomic<uint64_t>& operator*() { return *value_; }

 private:
  std::atomic<uint64_t>* value_;
};

TEST(SessionTest, KeepsEachThreadsOrderWhileTheArenaWrapsManyTimes) {
  TestHome home;
  const auto session = MustCreate(home.Options("wrap", 128 << 10));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  constexpr uint64_t kEvents = 20'000;
  constexpr uint32_t kThreads = 4;
  std::atomic<uint32_t> running = kThreads;
  std::vector<std::thread> threads;
  for (uint32_t tid = 1; tid <= kThreads; ++tid) {
    threads.emplace_back([&shim, &running, tid] {
      FakeThread thread(&shim, tid);
      const std::string payload(100 * tid, 'x');
      for (uint64_t i = 1; i <= kEvents; ++i) EXPECT_TRUE(thread.Write(NumberedEvent(3, i, payload)));
      --running;
    });
  }
  while (running > 0) ASSERT_TRUE(session->Poll(10, -1).ok());
  for (std::thread& thread : threads) thread.join();
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  const ReadBack trace = ReadTrace(home.trace("wrap"));
  EXPECT_TRUE(trace.sealed);
  ASSERT_EQ(trace.numbers.size(), kThreads);
  for (const auto& [thread, numbers] : trace.numbers) EXPECT_THAT(numbers, ElementsAreArray(UpTo(kEvents)));
  EXPECT_EQ(summary->events, kEvents * kThreads);
  EXPECT_EQ(summary->dropped_events, 0u);
  EXPECT_THAT(home.ArenaFiles(), IsEmpty());
}

TEST(SessionTest, GrowsTheArenaInsteadOfLettingThreadsWaitForEver) {
  TestHome home;
  SessionOptions options = home.Options("grow");
  options.first_arena_bytes = 64 << 10;
  options.arena_bytes = 80 << 20;  // more than a segment
  const auto session = MustCreate(options);
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  // Each thread keeps an open chunk, so no draining makes room for them all.
  constexpr uint32_t kThreads = 3500;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    std::vector<std::unique_ptr<FakeThread>> threads;
    for (uint32_t tid = 1; tid <= kThreads; ++tid) {
      threads.push_back(std::make_unique<FakeThread>(&shim, tid));
      EXPECT_TRUE(threads.back()->Write(NumberedEvent(3, 1)));
    }
    done = true;
  });
  while (!done) ASSERT_TRUE(session->Poll(10, -1).ok());
  writer.join();
  EXPECT_EQ(shim.header().segments.load(), 2u);
  ASSERT_TRUE(session->Finish().ok());
  EXPECT_EQ(ReadTrace(home.trace("grow")).numbers.size(), kThreads);
}

TEST(SessionTest, HasEveryCommittedEventOfAProcessKilledAtAnyMoment) {
  std::mt19937 random(20);
  for (int round = 0; round < 20; ++round) {
    TestHome home;
    const auto session = MustCreate(home.Options("killed"));
    SharedCounter committed;
    const pid_t pid = fork();
    if (pid == 0) {
      FakeShim shim(ArenaPathOf(*session));
      shim.Attach();
      FakeThread thread(&shim, 7);
      for (uint64_t i = 1;; ++i) {
        if (!thread.Write(NumberedEvent(3, i, std::string(i % 700, 'x')))) _exit(1);
        (*committed).store(i);
      }
    }
    const uint64_t until = std::uniform_int_distribution<uint64_t>(0, 30'000)(random);
    while (*committed < until) ASSERT_TRUE(session->Poll(1, -1).ok());
    kill(pid, SIGKILL);
    int status;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    session->CommandEnded(pid, status);
    EXPECT_EQ(session->LiveProcesses(), 0u);
    ASSERT_TRUE(session->Finish().ok());
    const ReadBack trace = ReadTrace(home.trace("killed"));
    if (*committed == 0) continue;
    ASSERT_EQ(trace.numbers.size(), 1u);
    const std::vector<uint64_t>& numbers = trace.numbers.begin()->second;
    EXPECT_THAT(numbers, ElementsAreArray(UpTo(numbers.size())));
    EXPECT_GE(numbers.size(), *committed);
    EXPECT_LE(numbers.size(), *committed + 1);  // committed, but not yet counted
  }
}

// A collector in a process of its own, for killing.
struct CollectorProcess {
  pid_t pid = -1;
  std::string arena;

  explicit CollectorProcess(const SessionOptions& options) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    pid = fork();
    if (pid == 0) {
      const auto session = MustCreate(options);
      const std::string path = ArenaPathOf(*session);
      if (write(ends[1], path.data(), path.size()) < 0) _exit(1);
      close(ends[1]);
      for (;;) {
        if (!session->Poll(1, -1).ok()) _exit(1);
      }
    }
    close(ends[1]);
    char path[4096];
    const ssize_t n = read(ends[0], path, sizeof path);
    close(ends[0]);
    if (n > 0) arena.assign(path, static_cast<size_t>(n));
  }

  void Kill() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
};

TEST(RecoveryTest, SalvagesWhatWasCommittedWhenTheCollectorIsKilledAtAnyMoment) {
  std::mt19937 random(6);
  for (int round = 0; round < 20; ++round) {
    TestHome home;
    CollectorProcess collector(home.Options("orphan"));
    ASSERT_NE(collector.arena, "");
    FakeShim shim(collector.arena);
    shim.Attach();
    const uint64_t before_kill = std::uniform_int_distribution<uint64_t>(1, 20'000)(random);
    const std::string payload(300, 'x');
    FakeThread thread(&shim, 7), other(&shim, 8);
    ASSERT_TRUE(other.Write(NumberedEvent(4, 1)));
    uint64_t written = 0;
    while (written < before_kill) ASSERT_TRUE(thread.Write(NumberedEvent(3, ++written, payload)));
    collector.Kill();
    shim.slot(shim.slot_index()).drops.store(3);
    // The program runs on into what is left of the arena.
    thread.WaitNoMore();
    for (int i = 0; i < 10 && thread.Write(NumberedEvent(3, written + 1, payload)); ++i) ++written;

    const std::vector<RecoveredTrace> recovered = RecoverOrphans(home.traces());
    ASSERT_EQ(recovered.size(), 1u);
    EXPECT_TRUE(recovered[0].status.ok()) << recovered[0].status;
    EXPECT_EQ(recovered[0].trace_path, home.trace("orphan"));
    EXPECT_EQ(recovered[0].events, written + 1);
    EXPECT_EQ(shim.header().collector_state.load(), uint32_t{abi::kCollectorDone});
    const ReadBack trace = ReadTrace(home.trace("orphan"));
    EXPECT_TRUE(trace.sealed);
    EXPECT_TRUE(trace.tables.recovered());
    EXPECT_EQ(trace.tables.event_count(), written + 1);
    ASSERT_EQ(trace.tables.process_size(), 1);
    EXPECT_EQ(trace.tables.process(0).drops(), 3u);
    EXPECT_THAT(trace.numbers.at({7, 0}), ElementsAreArray(UpTo(written)));
    EXPECT_THAT(trace.numbers.at({8, 0}), ElementsAreArray(UpTo(1)));
    EXPECT_THAT(home.ArenaFiles(), IsEmpty());
    EXPECT_THAT(RecoverOrphans(home.traces()), IsEmpty());
  }
}

TEST(RecoveryTest, SealsAPartFileWhoseArenaIsGone) {
  TestHome home;
  CollectorProcess collector(home.Options("rebooted"));
  FakeShim shim(collector.arena);
  shim.Attach();
  FakeThread thread(&shim, 7);
  for (uint64_t i = 1; i <= 5000; ++i) ASSERT_TRUE(thread.Write(NumberedEvent(3, i, std::string(200, 'x'))));
  // Until the file has some of it.
  while (shim.chunk(thread.chunk_number()).drained.load() == 0) sched_yield();
  collector.Kill();
  ASSERT_EQ(unlink(collector.arena.c_str()), 0);
  const std::vector<RecoveredTrace> recovered = RecoverOrphans(home.traces());
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_TRUE(recovered[0].status.ok()) << recovered[0].status;
  const ReadBack trace = ReadTrace(home.trace("rebooted"));
  EXPECT_TRUE(trace.tables.recovered());
  ASSERT_EQ(trace.numbers.size(), 1u);
  const std::vector<uint64_t>& numbers = trace.numbers.begin()->second;
  EXPECT_GT(numbers.size(), 0u);
  EXPECT_THAT(numbers, ElementsAreArray(UpTo(numbers.size())));
}

TEST(RecoveryTest, LeavesARecordingThatGoesOnAlone) {
  TestHome home;
  const auto session = MustCreate(home.Options("alive"));
  EXPECT_THAT(RecoverOrphans(home.traces()), IsEmpty());
  FakeShim shim(ArenaPathOf(*session));
  EXPECT_EQ(shim.header().collector_state.load(), uint32_t{abi::kCollectorRunning});
  EXPECT_TRUE(session->Finish().ok());
}

TEST(SessionTest, FreesSlotsAndChunksOfProcessesThatEnded) {
  TestHome home;
  const auto session = MustCreate(home.Options("many"));
  for (int i = 0; i < 200; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      FakeShim shim(ArenaPathOf(*session));
      shim.Attach();
      FakeThread(&shim, 1).Write(NumberedEvent(3, 1));
      _exit(0);
    }
    ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
    if (i % 10 == 0) {
      ASSERT_TRUE(session->Poll(1, -1).ok());
    }
  }
  FakeShim shim(ArenaPathOf(*session));
  const auto in_use = [&shim] {
    uint32_t count = 0;
    for (uint32_t i = 0; i < abi::kMaxProcesses; ++i) count += shim.slot(i).state.load() != abi::kSlotFree;
    return count;
  };
  while (in_use() > 0) ASSERT_TRUE(session->Poll(1, -1).ok());
  for (uint32_t i = 0; i < shim.chunks(); ++i) {
    EXPECT_NE(shim.chunk(i).state.load(), uint32_t{abi::kChunkOpen});
  }
  ASSERT_TRUE(session->Finish().ok());
  EXPECT_EQ((ReadTrace(home.trace("many")).numbers[{1, 0}].size()), 200u);
}

TEST(SessionTest, ASlotStaysItsImagesWhateverIsWrittenThere) {
  TestHome home;
  const auto session = MustCreate(home.Options("rewritten"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  FakeThread thread(&shim, static_cast<uint32_t>(gettid()));
  for (uint64_t i = 1; i <= 100; ++i) {
    thread.Write(NumberedEvent(3, i));
    ASSERT_TRUE(session->Poll(0, -1).ok());
    // As if this process executed one program after the other: the chunk of the last would be given back each time.
    shim.slot(shim.slot_index()).image = shim.image() + static_cast<uint32_t>(i);
    shim.header().next_image.fetch_add(1);
  }
  shim.slot(shim.slot_index()).image = shim.image();
  EXPECT_EQ(shim.chunk(thread.chunk_number()).state.load(), uint32_t{abi::kChunkOpen});
  ASSERT_TRUE(session->Finish().ok());
  EXPECT_EQ((ReadTrace(home.trace("rewritten")).numbers[{static_cast<uint32_t>(gettid()), 0}].size()), 100u);
}

TEST(SessionTest, GivesBackChunksOfThreadsThatEndedInAProcessThatLives) {
  TestHome home;
  const auto session = MustCreate(home.Options("threads"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  std::atomic<pid_t> tid = 0;
  uint32_t chunk = 0;
  std::thread([&] {
    tid = gettid();
    FakeThread thread(&shim, static_cast<uint32_t>(gettid()));
    thread.Write(NumberedEvent(3, 1));
    chunk = thread.chunk_number();
  }).join();
  FakeThread own(&shim, static_cast<uint32_t>(gettid()));
  own.Write(NumberedEvent(3, 1));
  while (shim.chunk(chunk).state.load() != abi::kChunkFree) ASSERT_TRUE(session->Poll(10, -1).ok());
  EXPECT_EQ(shim.chunk(own.chunk_number()).state.load(), uint32_t{abi::kChunkOpen});
  ASSERT_TRUE(session->Finish().ok());
}

TEST(SessionTest, StopsRecordingWhenTheFileMayNotGrowAndLetsWritersGo) {
  TestHome home;
  const auto session = MustCreate(home.Options("limited"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  struct sigaction ignore = {}, previous;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &previous);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::atomic<bool> quiet = false;
  std::thread writer([&] {
    FakeThread thread(&shim, 1);
    std::mt19937_64 random(1);
    std::string payload(1000, 'x');
    while (true) {
      for (char& c : payload) c = static_cast<char>(random());
      if (!thread.Write(NumberedEvent(3, 1, payload))) break;
    }
    quiet = true;
  });
  while (!quiet) (void)session->Poll(1, -1);
  writer.join();
  const auto summary = session->Finish();
  setrlimit(RLIMIT_FSIZE, &before);
  sigaction(SIGXFSZ, &previous, nullptr);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(summary->stopped, testing::HasSubstr("recording stopped at +"));
  const ReadBack trace = ReadTrace(summary->trace_path);
  EXPECT_GT(trace.numbers.size(), 0u);
}

TEST(SessionTest, CostsNextToNothingWhenNothingHappens) {
  TestHome home;
  const auto session = MustCreate(home.Options("idle"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  FakeThread thread(&shim, static_cast<uint32_t>(gettid()));
  thread.Write(NumberedEvent(3, 1));
  const auto busy_ns = [] { return ClockNs(CLOCK_PROCESS_CPUTIME_ID); };
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(session->Poll(10, -1).ok());
  const uint64_t cpu = busy_ns(), start = MonotonicNs();
  while (MonotonicNs() - start < 2 * kSecondNs) ASSERT_TRUE(session->Poll(10, -1).ok());
  const double share = static_cast<double>(busy_ns() - cpu) / static_cast<double>(MonotonicNs() - start);
  RecordProperty("share", std::to_string(share));
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(share, 0.02);  // a hundredth on a quiet machine
#endif
  ASSERT_TRUE(session->Finish().ok());
}

TEST(SessionTest, SaysWhichProgramNeverAttached) {
  TestHome home;
  SessionOptions options = home.Options("static");
  options.command = {"nothing-of-ours", "-x"};
  const auto session = MustCreate(options);
  session->CommandStarted(123456, "/bin/true");
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok());
  ASSERT_EQ(summary->missing.size(), 1u);
  EXPECT_EQ(summary->missing[0].kind(), "not_attached");
  EXPECT_EQ(summary->missing[0].detail(), "/bin/true");
}

TEST(SessionTest, PutsTheShimBeforeTheUsersOwnPreloads) {
  TestHome home;
  const auto session = MustCreate(home.Options("env"));
  EXPECT_THAT(session->Environment("/a/one.so:/other/libsocktale.so /b/two.so"),
              Contains("LD_PRELOAD=/nonexistent/libsocktale.so:/a/one.so:/b/two.so"));
  session->Discard();
  EXPECT_THAT(home.ArenaFiles(), IsEmpty());
  EXPECT_NE(access((home.trace("env") + ".part").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace socktale
