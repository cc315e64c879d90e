// SPDX-License-Identifier: Apache-2.0
//
// What the hooks of calls that make descriptors have in common.

#ifndef SOCKTALE_PRELOAD_HOOKS_MADE_H_
#define SOCKTALE_PRELOAD_HOOKS_MADE_H_

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "preload/call_scope.h"

namespace socktale {

// A descriptor made, as the event tells of it.
struct Making {
  int fd = -1;        // the new descriptor; negative: the call failed
  uint32_t kind = 0;  // field::DescriptorKind
  bool close_on_exec = false;
  ByteSpan path = {};
};

// Notes the new descriptor, and writes the event with `head`, whose fields are the caller's.
void RecordMaking(const CallScope& call, const EventHead& head, const Making& making);

// For a call that returns the new descriptor and has nothing but flags and maybe a path: fd and result are the new one.
int RecordMade(const CallScope& call, int result, uint32_t kind, int flags, bool close_on_exec, ByteSpan path = {});

// Length of a path that the kernel may have read: as the call had it, also when it failed for another reason.
inline size_t PathSize(int64_t result, const char* path) {
  if ((result == -1 && errno == ENAMETOOLONG) || !KernelReadArguments(result)) return 0;
  if (!RefusedUnread(result)) return strnlen(path, PATH_MAX);
  const ptrdiff_t size = thread_pages.String(path, PATH_MAX);
  return size < 0 ? 0 : static_cast<size_t>(size);
}
inline ByteSpan PathOf(const CallScope& call, int64_t result, const char* path) {
  return call.recording() ? ByteSpan{path, PathSize(result, path)} : ByteSpan();
}

// The table's entry for what open() gave. What it opened is asked only when --io wants more than sockets, which open()
// cannot make: otherwise it is as good as a file.
uint8_t EntryForOpened(int fd);

// A copy of call.fd() was made: dup and F_DUPFD. flags, option: the event's.
int RecordCopy(const CallScope& call, int result, uint32_t flags, uint32_t option);

// What calls do around the real one that end a descriptor's life: before it, and (StillThere) after one that closed
// nothing.
class Ending {
 public:
  // fd: negative: there is none to end.
  Ending(const CallScope& call, int fd) : fd_(fd) {
    if (!call.recording() || fd < 0) return;
    entry_ = fds::Get(fd);
    fds::SummarizeBeforeClose(fd);
    fds::Gone(fd);
  }

  void NotClosed() const {
    if (entry_ != fds::kUnknown) fds::StillThere(fd_, entry_);
  }

 private:
  int fd_;
  uint8_t entry_ = fds::kUnknown;
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_MADE_H_
