// SPDX-License-Identifier: Apache-2.0
//
// What is found out of a seccomp filter before it is in force.

#include "preload/confinement.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstddef>
#include <random>
#include <vector>

namespace socktale::confinement {
namespace {

using Program = std::vector<sock_filter>;

sock_filter Load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter LoadNumber() { return Load(offsetof(seccomp_data, nr)); }
sock_filter If(uint16_t comparison, uint32_t k, uint8_t then, uint8_t otherwise) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), k, then, otherwise);
}
sock_filter Return(uint32_t verdict) { return BPF_STMT(BPF_RET | BPF_K, verdict); }

bool Lives(const Program& program, uint32_t number) {
  std::vector<FilterState> states(program.size());
  return LetsLive(program.data(), program.size(), number, states.data());
}

TEST(LetsLiveTest, FollowsTheNumberOfTheCall) {
  const Program program = {LoadNumber(), If(BPF_JEQ, SYS_read, 0, 1), Return(SECCOMP_RET_ALLOW),
                           Return(SECCOMP_RET_KILL_PROCESS)};
  EXPECT_TRUE(Lives(program, SYS_read));
  EXPECT_FALSE(Lives(program, SYS_futex));
}

TEST(LetsLiveTest, KnowsWhichVerdictsOneLivesWith) {
  for (const uint32_t verdict : {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_ERRNO | 1u}) {
    EXPECT_TRUE(Lives({Return(verdict)}, SYS_futex)) << verdict;
  }
  for (const uint32_t verdict : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                 SECCOMP_RET_TRACE | 7u, SECCOMP_RET_USER_NOTIF, 0x12345678u}) {
    EXPECT_FALSE(Lives({Return(verdict)}, SYS_futex)) << verdict;
  }
}

TEST(LetsLiveTest, KnowsTheProcessor) {
  const Program program = {Load(offsetof(seccomp_data, arch)), If(BPF_JEQ, AUDIT_ARCH_I386, 0, 1),
                           Return(SECCOMP_RET_KILL_PROCESS), Return(SECCOMP_RET_ALLOW)};
  EXPECT_TRUE(Lives(program, SYS_read));
}

TEST(LetsLiveTest, TakesBothWaysWhereAFilterLooksAtAnArgument) {
  const size_t argument = offsetof(seccomp_data, args);
  EXPECT_FALSE(Lives(
      {Load(argument), If(BPF_JSET, 1, 0, 1), Return(SECCOMP_RET_KILL_THREAD), Return(SECCOMP_RET_ALLOW)}, SYS_openat));
  EXPECT_TRUE(
      Lives({Load(argument), If(BPF_JSET, 1, 0, 1), Return(SECCOMP_RET_ERRNO), Return(SECCOMP_RET_ALLOW)}, SYS_openat));
  // The two ways meet again with different knowledge of the accumulator.
  EXPECT_FALSE(Lives({Load(argument), If(BPF_JEQ, 5, 0, 1), BPF_STMT(BPF_LD | BPF_IMM, 7), If(BPF_JEQ, 7, 0, 1),
                      Return(SECCOMP_RET_ALLOW), Return(SECCOMP_RET_TRAP)},
                     SYS_openat));
}

TEST(LetsLiveTest, CalculatesAndCompares) {
  // ((number & 0xff) + 3) << 1 > 20, for read (0) and futex (202)
  const Program program = {LoadNumber(),
                           BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
                           BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 3),
                           BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1),
                           If(BPF_JGT, 20, 0, 1),
                           Return(SECCOMP_RET_ALLOW),
                           Return(SECCOMP_RET_KILL_PROCESS)};
  EXPECT_FALSE(Lives(program, SYS_read));
  EXPECT_TRUE(Lives(program, SYS_futex));
}

TEST(LetsLiveTest, ReturnsTheAccumulatorIfItIsKnown) {
  const sock_filter result = BPF_STMT(BPF_RET | BPF_A, 0);
  EXPECT_TRUE(Lives({BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), result}, SYS_read));
  EXPECT_FALSE(Lives({BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_TRAP), result}, SYS_read));
  EXPECT_FALSE(Lives({BPF_STMT(BPF_LD | BPF_MEM, 3), result}, SYS_read));
  EXPECT_FALSE(
      Lives({BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_MISC | BPF_TXA, 0), result}, SYS_read));
}

TEST(LetsLiveTest, TrustsNoFilterThatEndsOutsideOfItself) {
  EXPECT_FALSE(Lives({LoadNumber()}, SYS_read));
  EXPECT_FALSE(Lives({BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), Return(SECCOMP_RET_ALLOW)}, SYS_read));
  EXPECT_FALSE(Lives({If(BPF_JEQ, 1, 200, 200), Return(SECCOMP_RET_ALLOW)}, SYS_read));
}

// Any bytes for a filter: read within its bounds (the sanitizers look), and answered.
TEST(LetsLiveTest, ReadsWhateverItIsGiven) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    Program program(1 + random() % 50);
    for (sock_filter& step : program) {
      step = {static_cast<uint16_t>(random() % 256), static_cast<uint8_t>(random() % 8),
              static_cast<uint8_t>(random() % 8), static_cast<uint32_t>(random() % 3 == 0 ? random() : random() % 64)};
    }
    Lives(program, random() % 512);
  }
}

// Each test finds everything allowed, and leaves it so.
class NarrowTest : public testing::Test {
 protected:
  // Narrows to these numbers.
  static Change To(const std::vector<long>& numbers) {
    uint64_t bits[kWords] = {};
    for (const long number : numbers) bits[number / 64] |= uint64_t{1} << number % 64;
    return Narrow(bits);
  }
  void SetUp() override { ASSERT_FALSE(Active()); }
  void TearDown() override { in_force.store(in_force.load() / kRows * kRows); }
};

TEST_F(NarrowTest, NumbersOutsideOfTheTableAreNotAllowed) {
  EXPECT_TRUE(Allows(SYS_read));
  To({SYS_read, SYS_write});
  EXPECT_TRUE(Active());
  EXPECT_TRUE(Allows(SYS_read));
  EXPECT_FALSE(Allows(SYS_futex));
  EXPECT_FALSE(Allows(-1));
  EXPECT_FALSE(Allows(kNumbers));
}

TEST_F(NarrowTest, WhatOneFilterForbidsAnotherDoesNotAllow) {
  To({SYS_read, SYS_write});
  To({SYS_write, SYS_futex});
  EXPECT_FALSE(Allows(SYS_read));
  EXPECT_TRUE(Allows(SYS_write));
  EXPECT_FALSE(Allows(SYS_futex));
}

TEST_F(NarrowTest, AFilterThatTheKernelRefusedIsTakenBack) {
  const Change outer = To({SYS_read, SYS_write});
  const Change inner = To({});
  EXPECT_FALSE(Allows(SYS_read));
  EXPECT_NE(TakeBack(inner), 0u);
  EXPECT_TRUE(Allows(SYS_read));
  EXPECT_EQ(TakeBack(outer), 0u) << "it is not the last change any more";
  EXPECT_TRUE(Active());
}

// One thread's filter is refused after another thread has got the same one, or another.
TEST_F(NarrowTest, AnotherThreadsFilterStays) {
  for (const std::vector<long>& other : {std::vector<long>{}, {SYS_read}, {SYS_read, SYS_write}}) {
    const Change refused = To({SYS_read, SYS_write});
    To(other);
    EXPECT_EQ(TakeBack(refused), 0u);
    EXPECT_FALSE(Allows(SYS_futex));
    EXPECT_EQ(Allows(SYS_write), other.size() == 2);
    TearDown();
  }
}

// More different filters than there are rows: nothing is allowed then.
TEST_F(NarrowTest, ForgetsNoFilterWhenThereAreMany) {
  for (long number = 0; number < 2 * static_cast<long>(kRows); ++number) {
    To({SYS_read, 300 + number});
    EXPECT_TRUE(Active());
    EXPECT_FALSE(Allows(SYS_write));
    TearDown();
  }
  const Change one = To({});
  EXPECT_FALSE(Allows(SYS_read));
  EXPECT_NE(TakeBack(one), 0u);
  EXPECT_FALSE(Active());
}

}  // namespace
}  // namespace socktale::confinement
