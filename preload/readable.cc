// SPDX-License-Identifier: Apache-2.0
//
// Asks the kernel by a call that reads eight bytes and then fails: rt_sigprocmask copies the new mask before it looks
// at `how`, so it says EFAULT for unreadable memory and EINVAL otherwise, and changes nothing. Every seccomp filter
// that lets libc live allows it, unlike process_vm_readv.

#include "preload/readable.h"

#include <errno.h>

#include "preload/confinement.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale {

constinit __thread ReadablePages thread_pages
    __attribute__((tls_model("initial-exec"))) = {.pages = {}, .next = 0, .stack_only = true, .trusting = false};

namespace {

constexpr uintptr_t kPageBytes = 4096;  // the smallest page there is; larger ones cost a question more

// Pages above the caller's frame that count as its stack. Few: above a thread's stack lies memory that may go away.
constexpr uintptr_t kStackPages = 16;

}  // namespace

bool ReadablePages::Page(uintptr_t address) {
  const uintptr_t page = address / kPageBytes;
  if (page == 0) return false;
  for (const uintptr_t known : pages) {
    if (known == page) return true;
  }
  constexpr long kNoSuchHow = -1;
  const long result = RawSyscall(__NR_rt_sigprocmask, kNoSuchHow, static_cast<long>(page * kPageBytes), 0, 8);
  if (result != -EINVAL && !(trusting && confinement::Active())) return false;
  const uintptr_t frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) / kPageBytes;
  if (!stack_only || page - frame < kStackPages) pages[next++ % kRemembered] = page;
  return true;
}

bool ReadablePages::Range(const void* begin, size_t size) {
  if (size == 0) return true;
  const uintptr_t first = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t last = first + (size - 1);
  if (last < first) return false;
  for (uintptr_t address = first;; address = (address / kPageBytes + 1) * kPageBytes) {
    if (!Page(address)) return false;
    if (address / kPageBytes == last / kPageBytes) return true;
  }
}

bool CopyIn(void* to, const void* from, size_t size) {
  if (!thread_pages.Range(from, size)) return false;
  __builtin_memcpy(to, from, size);
  return true;
}

ptrdiff_t ReadablePages::String(const char* s, size_t limit) {
  size_t length = 0;
  while (length < limit) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(s + length);
    if (!Page(address)) return -1;
    size_t here = kPageBytes - address % kPageBytes;
    if (here > limit - length) here = limit - length;
    const void* const end = __builtin_memchr(s + length, 0, here);
    if (end != nullptr) return static_cast<const char*>(end) - s;
    length += here;
  }
  return static_cast<ptrdiff_t>(limit);
}

}  // namespace socktale
