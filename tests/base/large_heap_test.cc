// SPDX-License-Identifier: Apache-2.0
#include "base/large_heap.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace socktale {
namespace {

constexpr size_t kHugePage = 2 << 20;

// KiB of huge pages in the mapping that holds `at`.
uint64_t HugeKibOf(const void* at) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0, end = 0;
    uint64_t kib = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) here = begin <= address && address < end;
    if (here && sscanf(line.c_str(), "AnonHugePages: %lu kB", &kib) == 1) return kib;
  }
  return 0;
}

// Whether this kernel gives a huge page to who asks for one.
bool GivesHugePages() {
  void* const memory = mmap(nullptr, 2 * kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || madvise(memory, 2 * kHugePage, MADV_HUGEPAGE) != 0) return false;
  const auto whole = (reinterpret_cast<uintptr_t>(memory) + kHugePage - 1) / kHugePage * kHugePage;
  *reinterpret_cast<volatile char*>(whole) = 1;
  const uint64_t kib = HugeKibOf(reinterpret_cast<void*>(whole));
  munmap(memory, 2 * kHugePage);
  return kib >= kHugePage >> 10;
}

// One process: what malloc is told is told for good.
TEST(LargeHeapTest, WhatIsAllocatedFirstLiesInHugePages) {
  if (!GivesHugePages()) GTEST_SKIP() << "the kernel gives no huge pages here";
  UseLargeHeap();
  constexpr size_t kBytes = 3 * kHugePage;
  char* const block = static_cast<char*>(malloc(kBytes));
  ASSERT_NE(block, nullptr);
  std::memset(block, 1, kBytes);
  // All of it: it begins in a huge page, and ends in one. (Tests of other parts may have left small pages elsewhere.)
  EXPECT_GE(HugeKibOf(block), kBytes >> 10);
  free(block);
}

}  // namespace
}  // namespace socktale
