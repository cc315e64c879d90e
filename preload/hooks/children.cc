// SPDX-License-Identifier: Apache-2.0
//
// Processes begun in other ways than fork and exec: clone, daemon, forkpty, and the commands of system.

#include <pty.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/hooks/lent_environment.h"
#include "preload/hooks/sharing_child.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

constexpr size_t kMaxCommand = 2048;  // bytes of a command that are kept

void RecordChild(const CallScope& call, int result, int fd, uint32_t flags) {
  EventHead head = call.Head(result);
  head.fd = fd;
  head.flags = flags;
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kPid>(result > 0 ? static_cast<uint32_t>(result) : 0);
  event.Commit();
}

// What the child of a clone with memory of its own is to do. Lies on the parent's stack, of which the child has a copy.
struct Start {
  int (*function)(void*);
  void* argument;
  uint64_t start_ns;
};

int BeginChild(void* given) {
  const Start start = *static_cast<const Start*>(given);
  AttachAfterFork(start.start_ns);
  return start.function(start.argument);
}

// arguments: those after clone's fourth, of which the flags say how many there are.
template <typename Function>
int Clone(Hook hook, Function& slot, int (*function)(void*), void* stack, int flags, void* argument,
          va_list& arguments) {
  void* const parent_tid = va_arg(arguments, void*);
  void* const tls = va_arg(arguments, void*);
  void* const child_tid = va_arg(arguments, void*);
  if ((flags & CLONE_THREAD) != 0) {
    const SharingChild child(static_cast<uint64_t>(flags));
    const int tid = ResolvedReal(slot, hook)(function, stack, flags, argument, parent_tid, tls, child_tid);
    child.Returned(tid);
    return tid;
  }
  CallScope call(hook);
  if ((flags & CLONE_VM) != 0) {
    const SharingChild child(static_cast<uint64_t>(flags));
    const int result = call.Real(slot, function, stack, flags, argument, parent_tid, tls, child_tid);
    child.Returned(result);
    if (call.recording()) RecordChild(call, result, 0, static_cast<uint32_t>(flags));
    return result;
  }
  Start start = {function, argument, call.start_ns()};
  const bool wrapped = call.recording() && function != nullptr;  // libc refuses null
  const int result = call.Real(slot, wrapped ? &BeginChild : function, stack, flags, wrapped ? &start : argument,
                               parent_tid, tls, child_tid);
  if (call.recording()) RecordChild(call, result, 0, static_cast<uint32_t>(flags));
  return result;
}

}  // namespace

INTERPOSE int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept {
  va_list arguments;
  va_start(arguments, argument);
  const int result = Clone(Hook::clone, real.clone, function, stack, flags, argument, arguments);
  va_end(arguments);
  return result;
}

INTERPOSE int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept {
  va_list arguments;
  va_start(arguments, argument);
  const int result = Clone(Hook::__clone, real.__clone, function, stack, flags, argument, arguments);
  va_end(arguments);
  return result;
}

// The parent ends inside libc; the child comes back.
INTERPOSE int daemon(int keep_directory, int keep_descriptors) noexcept {
  CallScope call(Hook::daemon);
  const int result = call.Real(real.daemon, keep_directory, keep_descriptors);
  if (!call.recording()) return result;
  AttachAfterFork(call.start_ns());  // (does nothing when the fork failed, and this is the parent)
  if (result == 0 && keep_descriptors == 0) fds::GoneRange(0, 2);  // /dev/null now
  call.Write(call.Head(result));
  return result;
}

INTERPOSE int forkpty(int* master, char* name, const termios* settings, const winsize* size) noexcept {
  CallScope call(Hook::forkpty);
  const int result = call.Real(real.forkpty, master, name, settings, size);
  if (!call.recording()) return result;
  if (result == 0) {
    AttachAfterFork(call.start_ns());
    fds::GoneRange(0, 2);  // the terminal now
    return 0;
  }
  if (result > 0) fds::Made(*master, fds::EntryFor(field::DESCRIPTOR_KIND_CHARACTER_DEVICE));
  RecordChild(call, result, result > 0 ? *master : -1, 0);
  return result;
}

// The shell attaches by itself, when it starts.
INTERPOSE int system(const char* command) {
  CallScope call(Hook::system);
  const LentEnvironment lent;
  const int result = call.Real(real.system, command);
  lent.TakeBack();
  if (!call.recording()) return result;
  ReadablePages pages = {};
  const ptrdiff_t length = command == nullptr ? 0 : pages.String(command, kMaxCommand);
  const size_t size = length > 0 ? static_cast<size_t>(length) : 0;
  const EventHead head = call.Head(result);
  EventWriter event(head, wire::kMaxBytesOverhead + size);
  if (!event.ok()) return result;
  event.tail().Bytes<field::event::kPath>(command, size);
  event.Commit();
  return result;
}

}  // namespace socktale
