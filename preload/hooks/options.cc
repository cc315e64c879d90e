// SPDX-License-Identifier: Apache-2.0
//
// setsockopt and getsockopt: level, option, and the value as the payload.

#include "preload/call_scope.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

constexpr size_t kMaxValue = 256;  // bytes of a value that are kept; filters and tables are longer

// size: bytes of the value, of which `kept` can be read and are kept.
void RecordOption(const CallScope& call, int result, int level, int option, const void* value, size_t kept,
                  size_t size) {
  EventHead head = call.Head(result);
  iovec part = {const_cast<void*>(value), kept};
  if (kept > 0) {
    head.payload.parts = &part;
    head.payload.size = kept;
  }
  head.moved = size;
  EventWriter event(head, 2 * wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kLevel>(static_cast<uint32_t>(level));
  event.tail().Uint<field::event::kOption>(static_cast<uint32_t>(option));
  event.Commit();
}

size_t Capped(size_t size) { return size < kMaxValue ? size : kMaxValue; }

}  // namespace

INTERPOSE int setsockopt(int fd, int level, int option, const void* value, socklen_t size) noexcept {
  CallScope call(Hook::setsockopt, fd);
  const int result = call.Real(real.setsockopt, fd, level, option, value, size);
  if (call.recording()) {
    // The kernel may have read less than `size` bytes: an int, whatever the size says.
    const bool readable = result == 0 && value != nullptr && thread_pages.Range(value, Capped(size));
    RecordOption(call, result, level, option, value, readable ? Capped(size) : 0, result == 0 ? size : 0);
  }
  return result;
}

INTERPOSE int getsockopt(int fd, int level, int option, void* __restrict value, socklen_t* __restrict size) noexcept {
  CallScope call(Hook::getsockopt, fd);
  socklen_t capacity = 0;
  if (call.recording() && !CopyIn(&capacity, size, sizeof capacity)) capacity = 0;
  const int result = call.Real(real.getsockopt, fd, level, option, value, size);
  if (call.recording()) {
    // What was written; NETLINK_LIST_MEMBERSHIPS stores the size it would have liked.
    const size_t written = result != 0 || capacity == 0 ? 0 : *size < capacity ? *size : capacity;
    // An option may leave the value alone and say it has a size.
    const bool readable = written > 0 && thread_pages.Range(value, Capped(written));
    RecordOption(call, result, level, option, value, readable ? Capped(written) : 0, written);
  }
  return result;
}

}  // namespace socktale
