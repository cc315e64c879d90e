// SPDX-License-Identifier: Apache-2.0
//
// Many descriptors closed by one call: close_range and closefrom. The numbers end before the real call, as close()'s
// do.

#include <limits.h>
#include <linux/close_range.h>

#include "preload/call_scope.h"
#include "preload/poison.h"

namespace socktale {
namespace {

// Whether the kernel closes anything for these arguments. It refuses flags that it does not know and ranges that end
// before they begin (EINVAL); with CLOSE_RANGE_CLOEXEC it leaves the descriptors open.
bool Closes(unsigned first, unsigned last, int flags) {
  return first <= last && (flags & ~static_cast<int>(CLOSE_RANGE_UNSHARE)) == 0;
}

int32_t Number(unsigned fd) { return fd > INT_MAX ? INT_MAX : static_cast<int32_t>(fd); }

void RecordRange(const CallScope& call, int result, unsigned first, unsigned last, int flags) {
  EventHead head = call.Head(result);
  head.fd = Number(first);
  head.new_fd = Number(last);
  head.flags = static_cast<uint32_t>(flags);
  call.Write(head);
}

}  // namespace

INTERPOSE int close_range(unsigned first, unsigned last, int flags) noexcept {
  CallScope call(Hook::close_range, Number(first), CallScope::kUnseen);
  if (call.recording() && Closes(first, last, flags)) fds::GoneRange(first, last);
  const int result = call.Real(real.close_range, first, last, flags);
  if (call.recording()) RecordRange(call, result, first, last, flags);
  return result;
}

INTERPOSE void closefrom(int first) noexcept {
  const unsigned lowest = first < 0 ? 0 : static_cast<unsigned>(first);  // as libc has it
  CallScope call(Hook::closefrom, Number(lowest), CallScope::kUnseen);
  if (call.recording()) fds::GoneRange(lowest, UINT_MAX);
  call.Real(real.closefrom, first);
  if (call.recording()) RecordRange(call, 0, lowest, UINT_MAX, 0);
}

}  // namespace socktale
