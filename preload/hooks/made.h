// SPDX-License-Identifier: Apache-2.0
//
// What the hooks of calls that make descriptors have in common.

#ifndef SOCKTALE_PRELOAD_HOOKS_MADE_H_
#define SOCKTALE_PRELOAD_HOOKS_MADE_H_

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/readable.h"

namespace socktale {

// A descriptor made, as the event tells of it.
struct Making {
  int fd = -1;        // the new descriptor; negative: the call failed
  uint32_t kind = 0;  // field::DescriptorKind
  bool close_on_exec = false;
  ByteSpan path = {};
};

// Notes the new descriptor, and writes the event with `head`, whose fields are the caller's.
void RecordMaking(const EventHead& head, const Making& making);

// For a call that returns the new descriptor and has nothing but flags and maybe a path: fd and result are the new one.
int RecordMade(const CallScope& call, int result, uint32_t kind, int flags, bool close_on_exec, ByteSpan path = {});

// Length of a path given to a call that is back, also when it failed; 0 if it cannot be read or is none (MayRead).
inline size_t PathSize(int64_t result, const char* path) {
  if (result != -1) return strnlen(path, PATH_MAX);
  if (errno == ENAMETOOLONG) return 0;
  const ptrdiff_t size = thread_pages.String(path, PATH_MAX);
  return size > 0 ? static_cast<size_t>(size) : 0;
}
inline ByteSpan PathOf(const CallScope& call, int64_t result, const char* path) {
  return call.recording() ? ByteSpan{path, PathSize(result, path)} : ByteSpan();
}

// The kind (field::DescriptorKind) of what open() or a stream's open gave. What was opened is asked only when --io
// wants more than sockets, which they cannot make: otherwise it is as good as a file.
uint32_t KindOfOpened(int fd);

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
