// SPDX-License-Identifier: Apache-2.0
//
// dlopen and dlmopen (dlopen.S). A library opened with RTLD_DEEPBIND looks for its functions among its own libraries
// first, and one in another namespace has a libc of its own: neither finds the shim. That is noted; any other is none
// of our business.

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

// The function to jump to where this libc lacks it. (None that loads the shim does.)
void* Unavailable() { return nullptr; }

void Note(Hook hook, Lmid_t space, const char* file, int mode) {
  if (file == nullptr || (mode & RTLD_NOLOAD) != 0) return;  // the program itself, or what is there already
  CallScope call(hook);
  if (!call.recording()) return;
  call.Leave();
  // (A name that cannot be read is for libc to stumble over.)
  ReadablePages pages = {};
  pages.trusting = true;
  const ptrdiff_t length = pages.String(file, PATH_MAX);
  if (length == 0) return;  // the program itself
  const ByteSpan path = {file, length > 0 ? static_cast<size_t>(length) : 0};
  EventHead head = call.Head(0);
  head.end_ns = call.start_ns();
  head.flags = static_cast<uint32_t>(mode);
  EventWriter event(head, wire::kMaxNumberField + wire::kMaxBytesOverhead + path.size);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kOption>(static_cast<uint32_t>(space));
  event.tail().Bytes<field::event::kPath>(path.data, path.size);
  event.Commit();
}

template <typename Function>
void* Target(Function& slot, Hook hook) {
  const Function function = ResolvedReal(slot, hook);
  return function != nullptr ? reinterpret_cast<void*>(function) : reinterpret_cast<void*>(&Unavailable);
}

}  // namespace

extern "C" __attribute__((visibility("hidden"))) void* socktale_before_dlopen(const char* file, int mode) {
  if ((mode & RTLD_DEEPBIND) != 0) Note(Hook::dlopen, LM_ID_BASE, file, mode);
  return Target(real.dlopen, Hook::dlopen);
}

extern "C" __attribute__((visibility("hidden"))) void* socktale_before_dlmopen(Lmid_t space, const char* file,
                                                                               int mode) {
  if (space != LM_ID_BASE || (mode & RTLD_DEEPBIND) != 0) Note(Hook::dlmopen, space, file, mode);
  return Target(real.dlmopen, Hook::dlmopen);
}

}  // namespace socktale
