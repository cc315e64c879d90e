// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that tell of other things: files (inotify, fanotify), processes (pidfd), timers and counters (timerfd,
// eventfd); how they are made and what they are told.

#include <sys/fanotify.h>
#include <sys/inotify.h>

#include "preload/hooks/made.h"
#include "preload/hooks/transfer.h"
#include "preload/poison.h"

namespace socktale {
namespace {

// path: with its length, which the kernel has shown to be readable.
int RecordWatch(const CallScope& call, int result, uint32_t flags, uint32_t option, ByteSpan path) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = flags;
  EventWriter event(head, wire::kMaxNumberField + wire::kMaxBytesOverhead + path.size);
  if (!event.ok()) return result;
  event.tail().Uint<field::event::kOption>(option);
  event.tail().Bytes<field::event::kPath>(path.data, path.size);
  event.Commit();
  return result;
}

// time: of a timerfd, readable when the call worked; the event holds it whole, and when it next expires.
int RecordTimer(const CallScope& call, int result, int flags, const itimerspec* time) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  itimerspec copy = {};
  const iovec part = {&copy, sizeof copy};
  if (result == 0) {
    copy = *time;
    head.payload.parts = &part;
    head.payload.size = head.moved = sizeof copy;
  }
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return result;
  event.tail().Sint<field::event::kTimeoutNs>(copy.it_value.tv_sec * 1'000'000'000 + copy.it_value.tv_nsec);
  event.Commit();
  return result;
}

}  // namespace

INTERPOSE int inotify_init() noexcept {
  CallScope call(Hook::inotify_init);
  return RecordMade(call, call.Real(real.inotify_init), field::DESCRIPTOR_KIND_INOTIFY, 0, false);
}

INTERPOSE int inotify_init1(int flags) noexcept {
  CallScope call(Hook::inotify_init1);
  const int result = call.Real(real.inotify_init1, flags);
  return RecordMade(call, result, field::DESCRIPTOR_KIND_INOTIFY, flags, (flags & IN_CLOEXEC) != 0);
}

INTERPOSE int inotify_add_watch(int fd, const char* path, uint32_t mask) noexcept {
  CallScope call(Hook::inotify_add_watch, fd);
  const int result = call.Real(real.inotify_add_watch, fd, path, mask);
  return RecordWatch(call, result, 0, mask, PathOf(call, result, path));
}

INTERPOSE int inotify_rm_watch(int fd, int watch) noexcept {
  CallScope call(Hook::inotify_rm_watch, fd);
  return RecordWatch(call, call.Real(real.inotify_rm_watch, fd, watch), 0, static_cast<uint32_t>(watch), {});
}

INTERPOSE int fanotify_init(unsigned flags, unsigned event_flags) noexcept {
  CallScope call(Hook::fanotify_init);
  const int result = call.Real(real.fanotify_init, flags, event_flags);
  return RecordMade(call, result, field::DESCRIPTOR_KIND_OTHER, static_cast<int>(flags), (flags & FAN_CLOEXEC) != 0);
}

INTERPOSE int fanotify_mark(int fd, unsigned flags, uint64_t mask, int directory, const char* path) noexcept {
  CallScope call(Hook::fanotify_mark, fd);
  const int result = call.Real(real.fanotify_mark, fd, flags, mask, directory, path);
  const ByteSpan named = path == nullptr || result != 0 ? ByteSpan() : PathOf(call, result, path);
  return RecordWatch(call, result, flags, static_cast<uint32_t>(mask), named);
}

INTERPOSE int pidfd_open(pid_t pid, unsigned flags) noexcept {
  CallScope call(Hook::pidfd_open);
  const int result = call.Real(real.pidfd_open, pid, flags);
  return RecordMade(call, result, field::DESCRIPTOR_KIND_PIDFD, static_cast<int>(flags), true);
}

// What came is looked at as what comes by SCM_RIGHTS is: it may be a socket of another process.
INTERPOSE int pidfd_getfd(int pidfd, int target, unsigned flags) noexcept {
  CallScope call(Hook::pidfd_getfd, pidfd);
  const int result = call.Real(real.pidfd_getfd, pidfd, target, flags);
  if (!call.recording()) return result;
  RecordWatch(call, result, flags, static_cast<uint32_t>(target), {});
  if (result >= 0) fds::FoundReceived(result);
  return result;
}

INTERPOSE int pidfd_send_signal(int pidfd, int signal, siginfo_t* info, unsigned flags) noexcept {
  CallScope call(Hook::pidfd_send_signal, pidfd);
  const int result = call.Real(real.pidfd_send_signal, pidfd, signal, info, flags);
  return RecordWatch(call, result, flags, static_cast<uint32_t>(signal), {});
}

INTERPOSE int timerfd_settime(int fd, int flags, const itimerspec* time, itimerspec* old_time) noexcept {
  CallScope call(Hook::timerfd_settime, fd);
  return RecordTimer(call, call.Real(real.timerfd_settime, fd, flags, time, old_time), flags, time);
}

INTERPOSE int timerfd_gettime(int fd, itimerspec* time) noexcept {
  CallScope call(Hook::timerfd_gettime, fd);
  return RecordTimer(call, call.Real(real.timerfd_gettime, fd, time), 0, time);
}

// libc reads and writes eight bytes, and gives -1 for fewer.
INTERPOSE int eventfd_read(int fd, eventfd_t* value) {
  CallScope call(Hook::eventfd_read, fd, Record::kByDescriptor);
  const int result = call.Real(real.eventfd_read, fd, value);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = sizeof *value;
  const iovec part = {value, sizeof *value};
  SetReceived(head, {.parts = &part}, result == 0 ? sizeof *value : 0, 0);
  call.Write(head);
  return result;
}

INTERPOSE int eventfd_write(int fd, eventfd_t value) {
  CallScope call(Hook::eventfd_write, fd, Record::kByDescriptor);
  const int result = call.Real(real.eventfd_write, fd, value);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = sizeof value;
  const iovec part = {&value, sizeof value};
  SetSent(head, {.parts = &part}, result == 0 ? sizeof value : 0, 0);
  call.Write(head);
  return result;
}

}  // namespace socktale
