// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/made.h"

#include <sys/stat.h>

#include "preload/found.h"
#include "preload/poison.h"

namespace socktale {

void RecordMaking(const EventHead& head, const Making& making) {
  if (making.fd >= 0) fds::Made(making.fd, fds::EntryFor(making.kind));
  EventWriter event(head, 2 * wire::kMaxNumberField + wire::kMaxBytesOverhead + making.path.size);
  if (!event.ok()) return;
  event.tail().Bytes<field::event::kPath>(making.path.data, making.path.size);
  event.tail().Uint<field::event::kKind>(making.fd >= 0 ? making.kind : 0);
  event.tail().Uint<field::event::kCloseOnExec>(making.fd >= 0 && making.close_on_exec);
  event.Commit();
}

int RecordMade(const CallScope& call, int result, uint32_t kind, int flags, bool close_on_exec, ByteSpan path) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.fd = result;
  head.flags = static_cast<uint32_t>(flags);
  RecordMaking(head, {.fd = result, .kind = kind, .close_on_exec = close_on_exec, .path = path});
  return result;
}

uint32_t KindOfOpened(int fd) {
  struct stat status;
  if (!fds::KeepsFileOrPipeData() || RawSyscall(SYS_fstat, fd, RawPointer(&status)) != 0) {
    return field::DESCRIPTOR_KIND_FILE;
  }
  return AskKind(fd, status);
}

int RecordCopy(const CallScope& call, int result, uint32_t flags, uint32_t option) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = flags;
  if (result >= 0) {
    head.new_fd = result;
    fds::MadeCopy(result, call.fd());
  }
  EventWriter event(head, wire::kMaxNumberField);
  if (event.ok()) {
    event.tail().Uint<field::event::kOption>(option);
    event.Commit();
  }
  return result;
}

}  // namespace socktale
