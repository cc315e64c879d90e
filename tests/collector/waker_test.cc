// SPDX-License-Identifier: Apache-2.0
#include "collector/waker.h"

#include <gtest/gtest.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "preload/abi/arena_abi.h"

namespace socktale {
namespace {

constexpr int kPatienceMs = 30'000;

// As a shim calls: WakeCollector in preload/arena_map.cc.
void Call(std::atomic<uint32_t>& futex) {
  uint32_t asleep = abi::kCollectorAsleep;
  if (!futex.compare_exchange_strong(asleep, abi::kCollectorCalled)) return;
  syscall(SYS_futex, &futex, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool IsCalled(const Waker& waker, int patience_ms) {
  pollfd ready = {waker.fd(), POLLIN, 0};
  return poll(&ready, 1, patience_ms) == 1;
}

class WakerTest : public testing::Test {
 protected:
  // Sleeps once, and is woken: from then on the thread is there. Before, a fork could find it amid its start, where a
  // sanitizer's own locks are held, which nobody would give back in the child.
  void SleepOnce() {
    ASSERT_TRUE(waker_.Sleep().ok());
    Call(futex_);
    ASSERT_TRUE(IsCalled(waker_, kPatienceMs));
    waker_.Awake();
  }

  std::atomic<uint32_t> futex_{abi::kCollectorAwake};
  Waker waker_{&futex_};
};

TEST_F(WakerTest, NobodyCalled) {
  ASSERT_TRUE(waker_.Sleep().ok());
  EXPECT_EQ(futex_.load(), uint32_t{abi::kCollectorAsleep});
  EXPECT_FALSE(IsCalled(waker_, 0));
  EXPECT_FALSE(waker_.Awake());
  EXPECT_EQ(futex_.load(), uint32_t{abi::kCollectorAwake});
}

TEST_F(WakerTest, AwakeTellsOfACallWhoeverSawItFirst) {
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(waker_.Sleep().ok());
    Call(futex_);
    // Every second call has been passed on; any other is still on its way, mostly.
    if (i % 2 == 0) {
      ASSERT_TRUE(IsCalled(waker_, kPatienceMs)) << i;
    }
    EXPECT_TRUE(waker_.Awake()) << i;
  }
}

TEST_F(WakerTest, NoCallIsLostHoweverSoonItComes) {
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(waker_.Sleep().ok());
    Call(futex_);
    ASSERT_TRUE(IsCalled(waker_, kPatienceMs)) << i;
    waker_.Awake();
  }
}

TEST_F(WakerTest, ACallToTheAwakeIsNone) {
  ASSERT_TRUE(waker_.Sleep().ok());
  waker_.Awake();
  Call(futex_);
  EXPECT_EQ(futex_.load(), uint32_t{abi::kCollectorAwake});
  ASSERT_TRUE(waker_.Sleep().ok());
  EXPECT_FALSE(IsCalled(waker_, 0));
}

// What the kernel says of each of this process's threads: in which system call it is, or that it runs.
std::string Threads() {
  std::string all;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    for (const char* file : {"stat", "syscall"}) {
      std::string line;
      std::getline(std::ifstream(task.path() / file), line);
      absl::StrAppend(&all, line, "\n");
    }
  }
  return all;
}

TEST_F(WakerTest, WakesTheChildOfAForkToo) {
  SleepOnce();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The memory is a copy: the caller lives in the child.
    const bool asleep = waker_.Sleep().ok();
    Call(futex_);
    if (asleep && IsCalled(waker_, kPatienceMs)) _exit(0);
    std::cerr << "asleep: " << asleep << ", futex: " << futex_.load() << "\n" << Threads() << std::flush;
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(WakerTest, AForksTwoProcessesAreCalledApart) {
  SleepOnce();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!waker_.Sleep().ok()) _exit(1);
    Call(futex_);
    _exit(IsCalled(waker_, kPatienceMs) ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(IsCalled(waker_, 0)) << "the child's call came here";
}

TEST(WakerEndTest, ComesThoughAProgramWritesThereWhatItLikes) {
  std::atomic<uint32_t> futex{abi::kCollectorAwake};
  std::atomic<bool> over{false};
  std::thread hostile([&] {
    for (uint32_t i = 0; !over.load(); ++i) futex.store(i % 5);
  });
  for (int i = 0; i < 200; ++i) {
    Waker waker(&futex);
    EXPECT_TRUE(waker.Sleep().ok());
  }
  over.store(true);
  hostile.join();
}

TEST(WakerEndTest, LeavesNobodyToCall) {
  std::atomic<uint32_t> futex{abi::kCollectorAwake};
  {
    Waker waker(&futex);
    ASSERT_TRUE(waker.Sleep().ok());
  }
  EXPECT_EQ(futex.load(), uint32_t{abi::kCollectorAway});
}

}  // namespace
}  // namespace socktale
