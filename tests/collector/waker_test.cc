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
#include <thread>

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
  std::atomic<uint32_t> futex_{abi::kCollectorAwake};
  Waker waker_{&futex_};
};

TEST_F(WakerTest, NobodyCalled) {
  ASSERT_TRUE(waker_.Sleep().ok());
  EXPECT_EQ(futex_.load(), uint32_t{abi::kCollectorAsleep});
  EXPECT_FALSE(IsCalled(waker_, 0));
  waker_.Awake();
  EXPECT_EQ(futex_.load(), uint32_t{abi::kCollectorAwake});
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

TEST_F(WakerTest, WakesTheChildOfAForkToo) {
  ASSERT_TRUE(waker_.Sleep().ok());
  waker_.Awake();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The memory is a copy: the caller lives in the child.
    bool called = waker_.Sleep().ok();
    Call(futex_);
    called = called && IsCalled(waker_, kPatienceMs);
    waker_.Awake();
    _exit(called ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
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
