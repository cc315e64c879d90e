// SPDX-License-Identifier: Apache-2.0

#include "base/large_heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace socktale {
namespace {

constexpr uintptr_t kHugePage = 2 << 20;
constexpr int kMostFromHeap = 32 << 20;  // the most that glibc takes for a threshold
constexpr int kKeepFreed = 256 << 20;
constexpr int kGrowBy = 64 << 20;

void* volatile passed_over = nullptr;  // see UseLargeHeap; never freed. (volatile: or the allocation is optimized away)
uintptr_t seen_end = 0;                // end of the heap at the last look
uintptr_t advised_to = 0;              // 0: UseLargeHeap was not called

}  // namespace

void UseLargeHeap() {
  mallopt(M_MMAP_THRESHOLD, kMostFromHeap);
  mallopt(M_TRIM_THRESHOLD, kKeepFreed);
  mallopt(M_TOP_PAD, kGrowBy);
  // malloc notes the size of what is free where that begins. So the heap's growth touches a page behind the block that
  // was asked for, which would keep the huge page away from there.
  void* volatile grown = malloc(kHugePage);
  const auto begin = reinterpret_cast<uintptr_t>(grown);
  free(grown);
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  if (begin == 0 || begin > end || end - begin > 2 * static_cast<uintptr_t>(kGrowBy)) return;  // another malloc
  // The first huge page that holds no such note. All that lies before it is passed over (and mostly never touched), so
  // that what is allocated from now on lies in huge pages.
  const uintptr_t first_huge = (begin + kHugePage) / kHugePage * kHugePage + kHugePage;
  advised_to = first_huge;
  AdviseLargeHeap();
  passed_over = malloc(first_huge - begin);
}

void AdviseLargeHeap() {
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  if (end == seen_end) return;
  seen_end = end;
  // What lies behind the last whole huge page has its turn when the heap has grown past it.
  const uintptr_t to = end / kHugePage * kHugePage;
  if (advised_to == 0 || to <= advised_to) return;
  // A kernel without huge pages refuses, and small ones come as ever.
  madvise(reinterpret_cast<void*>(advised_to), to - advised_to, MADV_HUGEPAGE);
  advised_to = to;
}

}  // namespace socktale
