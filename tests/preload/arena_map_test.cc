// SPDX-License-Identifier: Apache-2.0
//
// Which chunk a writer takes, and how it comes to be mapped.

#include "preload/arena_map.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>

#include "preload/attach.h"
#include "preload/raw_syscall.h"
#include "tests/preload/memory_arena.h"

namespace socktale {
namespace {

constexpr uint32_t kLargest = abi::kSizeClasses - 1;
constexpr uint32_t kFirstOfLargest = abi::kChunkCount[0] + abi::kChunkCount[1];
constexpr uint32_t kSlot = 0, kTid = 1;

class ArenaMapTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    memory_ = new MemoryArena;
    ASSERT_TRUE(arena::Map(memory_->fd(), MemoryArena::kToken));
    process_mode.store(kModeRecording);
  }
  static void TearDownTestSuite() {
    process_mode.store(kModeQuiet);
    delete memory_;
  }

  void SetUp() override {
    for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) StateOf(i).store(abi::kChunkFree);
  }

  static std::atomic<uint32_t>& StateOf(uint32_t number) { return memory_->chunk(number).state; }

  arena::Chunk Take() {
    arena::Chunk chunk;
    EXPECT_EQ(arena::Take(kLargest, 1, {kSlot, kTid, backlog_}, chunk), arena::Taken::kYes);
    return chunk;
  }

  // Takes and seals as many chunks as a backlog holds. None is given back.
  void FillBacklog() {
    for (uint32_t i = 0; i < arena::Backlog::kMost; ++i) {
      const arena::Chunk chunk = Take();
      chunk.header->slot = kSlot;
      chunk.header->tid = kTid;
      chunk.header->state.store(abi::kChunkSealed);
      backlog_.Add(chunk.number);
    }
  }

  // As the collector: more room for anybody.
  static void MakeRoom() {
    abi::ArenaHeader& header = memory_->header();
    header.room_futex.fetch_add(1);
    syscall(SYS_futex, &header.room_futex, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  }

  static MemoryArena* memory_;
  arena::Backlog backlog_ = {};
};
MemoryArena* ArenaMapTest::memory_ = nullptr;

// Bytes of address space in the mapping that holds `at`; 0: none does.
uint64_t MappingOf(const void* at) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2 && begin <= address && address < end) return end - begin;
  }
  return 0;
}

TEST_F(ArenaMapTest, TheLargestChunksAreMappedSoThatOneTouchMayMapAHugePage) {
  const arena::Chunk first = Take();
  ASSERT_EQ(first.number, kFirstOfLargest);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data) % abi::kHugePageBytes, 0u);
  EXPECT_EQ(MappingOf(first.data), abi::kHugePageBytes);
  const arena::Chunk second = Take();
  EXPECT_EQ(second.data, first.data + abi::kChunkBytes[kLargest]);
  first.data[0] = 1;
  second.data[0] = 2;
  EXPECT_EQ(memory_->data(first.number)[0], 1);
  EXPECT_EQ(memory_->data(second.number)[0], 2);
}

TEST_F(ArenaMapTest, LittleIsMappedWhereAddressSpaceIsLimited) {
  // Chunks of a huge page that no test has mapped yet.
  constexpr uint32_t kNumber = kFirstOfLargest + 5 * abi::kHugePageBytes / abi::kChunkBytes[kLargest];
  for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) {
    if (i != kNumber) StateOf(i).store(abi::kChunkOpen);
  }
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0) _exit(10);
    limit.rlim_cur = uint64_t{1} << 46;  // more than there is, but a limit
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(11);
    const arena::Chunk chunk = Take();
    _exit(chunk.number != kNumber ? 12 : MappingOf(chunk.data) > 512 << 10 ? 13 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ArenaMapTest, AFullBacklogIsWaitedForAsLongAsRoomIsMade) {
  FillBacklog();
  const uint32_t oldest = backlog_.oldest();
  constexpr uint64_t kLongerThanOneWaitNs = 30'000'000;
  const uint64_t begin_ns = Now();
  std::atomic<bool> freed{false};
  std::thread collector([&] {
    while (Now() - begin_ns < kLongerThanOneWaitNs) MakeRoom();
    freed.store(true);
    StateOf(oldest).store(abi::kChunkFree);
    MakeRoom();
  });
  const arena::Chunk chunk = Take();
  EXPECT_TRUE(freed.load());
  EXPECT_EQ(chunk.number, oldest);
  EXPECT_FALSE(backlog_.impatient);
  collector.join();
}

// The collector gives back what it was called for while the other half fills up.
TEST_F(ArenaMapTest, TheCollectorIsCalledWhenHalfABacklogWaits) {
  auto& futex = memory_->header().collector_futex;
  FillBacklog();
  for (uint32_t i = 0; i < arena::Backlog::kMost / 2 + 1; ++i) {
    StateOf(backlog_.numbers[(backlog_.first + i) % arena::Backlog::kMost]).store(abi::kChunkFree);
  }
  futex.store(abi::kCollectorAsleep);
  const arena::Chunk first = Take();  // fewer than half wait
  EXPECT_EQ(futex.load(), uint32_t{abi::kCollectorAsleep});
  first.header->slot = kSlot;
  first.header->tid = kTid;
  first.header->state.store(abi::kChunkSealed);
  backlog_.Add(first.number);
  Take();
  EXPECT_EQ(futex.load(), uint32_t{abi::kCollectorCalled});
  futex.store(abi::kCollectorAwake);
}

TEST_F(ArenaMapTest, AFullBacklogIsNotWaitedForWhenNobodyMakesRoom) {
  FillBacklog();
  const uint32_t oldest = backlog_.oldest();
  const arena::Chunk other = Take();
  EXPECT_NE(other.number, oldest);
  EXPECT_TRUE(backlog_.impatient);
  // It is as soon as it came back.
  StateOf(oldest).store(abi::kChunkFree);
  EXPECT_EQ(Take().number, oldest);
  EXPECT_FALSE(backlog_.impatient);
}

TEST_F(ArenaMapTest, AFullBacklogIsNotWaitedForForEver) {
  FillBacklog();
  const uint32_t oldest = backlog_.oldest();
  std::atomic<bool> over{false};
  std::thread collector([&] {
    while (!over.load()) MakeRoom();
  });
  EXPECT_NE(Take().number, oldest);
  over.store(true);
  collector.join();
  EXPECT_TRUE(backlog_.impatient);
}

}  // namespace
}  // namespace socktale
