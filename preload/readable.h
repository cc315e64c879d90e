// SPDX-License-Identifier: Apache-2.0
//
// Is memory that the program passed to a call readable? Most hooks need not ask: they copy what the kernel has just
// read or written. Those that must read arguments *before* the kernel saw them (exec's strings, select's sets) ask
// here, so that a bad pointer gets its EFAULT from the call and never a crash from us.

#ifndef SOCKTALE_PRELOAD_READABLE_H_
#define SOCKTALE_PRELOAD_READABLE_H_

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

namespace socktale {

// Remembers the pages it found readable, so that arguments next to one another cost one question.
struct ReadablePages {
  // Whether [begin, begin + size) can be read now. One system call per page not asked about lately.
  bool Range(const void* begin, size_t size);

  // Length of the string at s, without its NUL; `limit` if there is none before. -1 if it runs into unreadable memory.
  ptrdiff_t String(const char* s, size_t limit);

  static constexpr int kRemembered = 4;
  uintptr_t pages[kRemembered];  // page numbers found readable; 0: none. Page 0 never is.
  uint32_t next;                 // the one to forget next
  bool stack_only;               // remembers pages of the calling thread's stack alone
  bool trusting;                 // takes memory for readable where the kernel may not be asked (confinement.h)

 private:
  bool Page(uintptr_t address);
};

// The pages of this thread's stack that its calls had arguments in: remembered from call to call, so that asking costs
// next to nothing. A stack in use stays where it is; any other page may be unmapped by the next call, and is asked
// about each time.
extern constinit __thread ReadablePages thread_pages __attribute__((tls_model("initial-exec")));

// Whether `size` bytes at `given`, which a call was to read, may be read now that it is back. result: what it returned
// (errno with -1). A call that succeeded, or that could not go on at once, has read them. Another that failed may have
// stopped before it looked: for a right that it lacks, or at a seccomp filter, which can answer anything.
inline bool MayRead(int64_t result, const void* given, size_t size) {
  if (result != -1 || errno == EAGAIN || errno == EINPROGRESS || errno == EINTR) return true;
  return thread_pages.Range(given, size);
}

// Copies `size` bytes of the program's memory that the kernel has not read yet. False, and nothing copied, when they
// cannot be read. `from` may be null: it cannot be read. For what is the same after the call, copy after it.
bool CopyIn(void* to, const void* from, size_t size);

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_READABLE_H_
