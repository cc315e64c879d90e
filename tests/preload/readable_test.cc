// SPDX-License-Identifier: Apache-2.0

#include "preload/readable.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include "tests/preload/tail_buffer.h"

namespace socktale {
namespace {

TEST(ReadablePagesTest, KnowsWhereMappedMemoryEnds) {
  TailBuffer buffer(3 * 4096);
  ReadablePages pages = {};
  EXPECT_TRUE(pages.Range(buffer.Last(3 * 4096), 3 * 4096));
  EXPECT_TRUE(pages.Range(buffer.Last(1), 1));
  EXPECT_FALSE(pages.Range(buffer.Last(1), 2));
  EXPECT_FALSE(pages.Range(buffer.Beyond(), 1));
  EXPECT_TRUE(pages.Range(buffer.Beyond(), 0));
  EXPECT_FALSE(pages.Range(nullptr, 1));
  EXPECT_FALSE(pages.Range(buffer.Last(1), ~size_t{0}));  // runs over the end of all addresses
}

TEST(ReadablePagesTest, StopsAStringAtItsEndItsLimitOrUnreadableMemory) {
  TailBuffer buffer(2 * 4096);
  char* const text = reinterpret_cast<char*>(buffer.Last(5000));
  std::memset(text, 'x', 5000);
  ReadablePages pages = {};
  EXPECT_EQ(pages.String(text, 100'000), -1);
  EXPECT_EQ(pages.String(text, 5000), 5000);
  EXPECT_EQ(pages.String(text, 5001), -1);
  text[4999] = '\0';
  EXPECT_EQ(pages.String(text, 100'000), 4999);
  text[3] = '\0';
  EXPECT_EQ(pages.String(text, 100'000), 3);
  EXPECT_EQ(pages.String(text, 2), 2);
  EXPECT_EQ(pages.String(nullptr, 10), -1);
}

TEST(ReadablePagesTest, AsksAgainAboutMemoryThatWasUnmappedSince) {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  int copy = 1;
  EXPECT_TRUE(CopyIn(&copy, page, sizeof copy));
  ASSERT_EQ(munmap(page, 4096), 0);
  EXPECT_FALSE(CopyIn(&copy, page, sizeof copy));
}

TEST(ReadablePagesTest, LeavesErrnoAndTheSignalMaskAlone) {
  sigset_t before = {};  // of whose 128 bytes the kernel fills 8
  sigset_t after = {};
  ASSERT_EQ(sigprocmask(SIG_SETMASK, nullptr, &before), 0);
  TailBuffer buffer(4096);
  errno = 77;
  char copy;
  EXPECT_FALSE(CopyIn(&copy, buffer.Beyond(), 1));
  EXPECT_TRUE(CopyIn(&copy, buffer.Last(1), 1));
  EXPECT_EQ(errno, 77);
  ASSERT_EQ(sigprocmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

}  // namespace
}  // namespace socktale
