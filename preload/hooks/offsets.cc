// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved at an offset: pread, pwrite and their vectored forms. Sockets and pipes refuse all of them with ESPIPE,
// but for the forms with flags at offset -1, which read and write where the descriptor stands.

#include "preload/hooks/transfer.h"
#include "preload/poison.h"

namespace socktale {
namespace {

static_assert(sizeof(off_t) == sizeof(off64_t));

void WriteAt(const EventHead& head, off_t offset) {
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kOffset>(static_cast<uint64_t>(offset));  // -1: all bits set
  event.Commit();
}

ssize_t RecordRead(const CallScope& call, ssize_t result, void* buf, size_t size, off_t offset) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = size;
  const iovec part = {buf, size};
  SetReceived(head, {.parts = &part}, Moved(result), 0);
  WriteAt(head, offset);
  return result;
}

ssize_t RecordWritten(const CallScope& call, ssize_t result, const void* buf, size_t size, off_t offset) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = size;
  const iovec part = {const_cast<void*>(buf), size};
  SetSent(head, {.parts = &part}, Moved(result), 0);
  WriteAt(head, offset);
  return result;
}

// flags: RWF_*, which mean other things than the MSG_* that SetReceived and SetSent look at.
ssize_t RecordParts(const CallScope& call, ssize_t result, const iovec* parts, int count, off_t offset, int flags,
                    bool received) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  if (result >= 0) head.size = PartsSize(parts, static_cast<size_t>(count));
  if (received) {
    SetReceived(head, {.parts = parts}, Moved(result), 0);
  } else {
    SetSent(head, {.parts = parts}, Moved(result), 0);
  }
  head.flags = static_cast<uint32_t>(flags);
  WriteAt(head, offset);
  return result;
}

}  // namespace

#define PREAD_HOOK(symbol)                                                                     \
  INTERPOSE ssize_t symbol(int fd, void* buf, size_t size, off64_t offset) {                   \
    CallScope call(Hook::symbol, fd, Record::kByDescriptor);                                   \
    return RecordRead(call, call.Real(real.symbol, fd, buf, size, offset), buf, size, offset); \
  }
PREAD_HOOK(pread)
PREAD_HOOK(pread64)
PREAD_HOOK(__pread64)

#define PREAD_CHK_HOOK(symbol)                                                                           \
  INTERPOSE ssize_t symbol(int fd, void* buf, size_t size, off64_t offset, size_t buf_size) {            \
    CallScope call(Hook::symbol, fd, Record::kByDescriptor);                                             \
    return RecordRead(call, call.Real(real.symbol, fd, buf, size, offset, buf_size), buf, size, offset); \
  }
PREAD_CHK_HOOK(__pread_chk)
PREAD_CHK_HOOK(__pread64_chk)

#define PWRITE_HOOK(symbol)                                                                       \
  INTERPOSE ssize_t symbol(int fd, const void* buf, size_t size, off64_t offset) {                \
    CallScope call(Hook::symbol, fd, Record::kByDescriptor);                                      \
    return RecordWritten(call, call.Real(real.symbol, fd, buf, size, offset), buf, size, offset); \
  }
PWRITE_HOOK(pwrite)
PWRITE_HOOK(pwrite64)
PWRITE_HOOK(__pwrite64)

#define PARTS_HOOK(symbol, received)                                                \
  INTERPOSE ssize_t symbol(int fd, const iovec* parts, int count, off64_t offset) { \
    CallScope call(Hook::symbol, fd, Record::kByDescriptor);                        \
    const ssize_t result = call.Real(real.symbol, fd, parts, count, offset);        \
    return RecordParts(call, result, parts, count, offset, 0, received);            \
  }
PARTS_HOOK(preadv, true)
PARTS_HOOK(preadv64, true)
PARTS_HOOK(pwritev, false)
PARTS_HOOK(pwritev64, false)

#define FLAGGED_PARTS_HOOK(symbol, received)                                                   \
  INTERPOSE ssize_t symbol(int fd, const iovec* parts, int count, off64_t offset, int flags) { \
    CallScope call(Hook::symbol, fd, Record::kByDescriptor);                                   \
    const ssize_t result = call.Real(real.symbol, fd, parts, count, offset, flags);            \
    return RecordParts(call, result, parts, count, offset, flags, received);                   \
  }
FLAGGED_PARTS_HOOK(preadv2, true)
FLAGGED_PARTS_HOOK(preadv64v2, true)
FLAGGED_PARTS_HOOK(pwritev2, false)
FLAGGED_PARTS_HOOK(pwritev64v2, false)

}  // namespace socktale
