// SPDX-License-Identifier: Apache-2.0
//
// Descriptors made, copied, listened on, shut down and closed: socket, socketpair, open, pipe, dup, close and their
// like.
//
// Beginnings are noted in the table after the real call, ends before it: in between another thread may be given the
// number.

#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "preload/call_scope.h"
#include "preload/hooks/made.h"
#include "preload/poison.h"
#include "preload/readable.h"
#include "preload/socket_facts.h"

namespace socktale {
namespace {

// A call that made a descriptor of a known kind; its flags tell whether it is closed by exec.
int RecordPlain(const CallScope& call, int result, uint32_t kind, int flags) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.fd = result;
  head.flags = static_cast<uint32_t>(flags);
  if (result >= 0) fds::Made(result, fds::EntryFor(kind));
  call.Write(head);
  return result;
}

// ---- Sockets ---------------------------------------------------------------------------------------------------

constexpr size_t kSocketTail = 5 * wire::kMaxNumberField;

void WriteSocket(wire::Writer& tail, uint64_t cookie, int domain, int type, int protocol) {
  tail.Uint<field::event::kSocketId>(cookie);
  tail.Uint<field::event::kDomain>(static_cast<uint32_t>(domain));
  tail.Uint<field::event::kType>(static_cast<uint32_t>(type));
  tail.Uint<field::event::kProtocol>(static_cast<uint32_t>(protocol));
}

// ---- Files -----------------------------------------------------------------------------------------------------

// open, openat, creat and their variants. The call's fd is openat's directory, else the result.
int RecordOpen(const CallScope& call, bool at, int result, const char* path, int flags) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.fd = at ? call.fd() : result;
  head.flags = static_cast<uint32_t>(flags);
  if (result >= 0) fds::Made(result, fds::EntryFor(KindOfOpened(result)));
  const size_t path_size = PathSize(result, path);
  EventWriter event(head, wire::kMaxBytesOverhead + path_size);
  if (event.ok()) {
    event.tail().Bytes<field::event::kPath>(path, path_size);
    event.Commit();
  }
  return result;
}

// The mode argument, which open has only with flags that make files. libc looks at the same flags.
bool HasMode(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

#define TAKE_MODE(mode, flags)        \
  mode_t mode = 0;                    \
  if (HasMode(flags)) {               \
    va_list arguments;                \
    va_start(arguments, flags);       \
    mode = va_arg(arguments, mode_t); \
    va_end(arguments);                \
  }

int RecordPipe(const CallScope& call, int result, const int* pair, int flags) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.fd = -1;
  head.flags = static_cast<uint32_t>(flags);
  struct stat status = {};
  if (result == 0) {
    head.fd = pair[0];
    head.new_fd = pair[1];
    const uint8_t entry = fds::EntryFor(field::DESCRIPTOR_KIND_PIPE);
    fds::Made(pair[0], entry);
    fds::Made(pair[1], entry);
    RawSyscall(SYS_fstat, pair[0], RawPointer(&status));  // the inode: both ends are known by it in other programs
  }
  EventWriter event(head, wire::kMaxNumberField);
  if (event.ok()) {
    event.tail().Uint<field::event::kInode>(status.st_ino);
    event.Commit();
  }
  return result;
}

// ---- Copies ----------------------------------------------------------------------------------------------------

// What dup2 and dup3 do around the real call: `target`'s old life ends before, its new one begins after.
class Replacement {
 public:
  Replacement(const CallScope& call, int target) : target_(target), replaces_(call.recording() && target != call.fd()) {
    if (!replaces_) return;
    old_entry_ = fds::Get(target);
    fds::SummarizeBeforeClose(target);
    fds::Gone(target);
  }

  int Record(const CallScope& call, int result, int flags) const {
    if (!call.recording()) return result;
    if (replaces_ && result >= 0) fds::MadeCopy(target_, call.fd());
    if (replaces_ && result < 0) fds::StillThere(target_, old_entry_);
    EventHead head = call.Head(result);
    head.new_fd = target_;
    head.flags = static_cast<uint32_t>(flags);
    call.Write(head);
    return result;
  }

 private:
  int target_;
  bool replaces_;
  uint8_t old_entry_ = fds::kUnknown;
};

// ---- close -----------------------------------------------------------------------------------------------------

template <typename Function>
SOCKTALE_IN_HOOK int Close(Hook hook, Function& slot, int fd) {
  CallScope call(hook, fd, CallScope::kUnseen);  // what a number was that is closed unused, nobody needs to know
  const Ending ending(call, fd);
  const int result = call.Real(slot, fd);
  if (call.recording()) {
    if (result != 0 && errno == EBADF) ending.NotClosed();
    call.Write(call.Head(result));
  }
  return result;
}

}  // namespace

INTERPOSE int socket(int domain, int type, int protocol) noexcept {
  CallScope call(Hook::socket);
  const int result = call.Real(real.socket, domain, type, protocol);
  if (call.recording()) {
    EventHead head = call.Head(result);
    head.fd = result;
    uint64_t cookie = 0;
    if (result >= 0) {
      cookie = SocketCookie(result);
      fds::Made(result, fds::EntryForSocket(domain, type, protocol));
    }
    EventWriter event(head, kSocketTail);
    if (event.ok()) {
      WriteSocket(event.tail(), cookie, domain, type, protocol);
      event.Commit();
    }
  }
  return result;
}

INTERPOSE int socketpair(int domain, int type, int protocol, int pair[2]) noexcept {
  CallScope call(Hook::socketpair);
  const int result = call.Real(real.socketpair, domain, type, protocol, pair);
  if (call.recording()) {
    EventHead head = call.Head(result);
    head.fd = -1;
    uint64_t cookies[2] = {0, 0};
    if (result == 0) {
      head.fd = pair[0];
      head.new_fd = pair[1];
      for (int i = 0; i < 2; ++i) {
        cookies[i] = SocketCookie(pair[i]);
        fds::Made(pair[i], fds::EntryForSocket(domain, type, protocol));
      }
    }
    EventWriter event(head, kSocketTail);
    if (event.ok()) {
      WriteSocket(event.tail(), cookies[0], domain, type, protocol);
      event.tail().Uint<field::event::kNewSocketId>(cookies[1]);
      event.Commit();
    }
  }
  return result;
}

INTERPOSE int listen(int fd, int backlog) noexcept {
  CallScope call(Hook::listen, fd);
  const int result = call.Real(real.listen, fd, backlog);
  if (call.recording()) {
    const EventHead head = call.Head(result);
    EventWriter event(head, wire::kMaxNumberField);
    if (event.ok()) {
      event.tail().Uint<field::event::kOption>(static_cast<uint32_t>(backlog));
      event.Commit();
    }
  }
  return result;
}

INTERPOSE int shutdown(int fd, int how) noexcept {
  CallScope call(Hook::shutdown, fd);
  const int result = call.Real(real.shutdown, fd, how);
  if (call.recording()) {
    EventHead head = call.Head(result);
    head.flags = static_cast<uint32_t>(how);
    call.Write(head);
  }
  return result;
}

INTERPOSE int close(int fd) { return Close(Hook::close, real.close, fd); }
INTERPOSE int __close(int fd) { return Close(Hook::__close, real.__close, fd); }

INTERPOSE int dup(int fd) noexcept {
  CallScope call(Hook::dup, fd);
  const int result = call.Real(real.dup, fd);
  return RecordCopy(call, result, 0, 0);
}

INTERPOSE int dup2(int fd, int target) noexcept {
  CallScope call(Hook::dup2, fd);
  const Replacement replacement(call, target);
  return replacement.Record(call, call.Real(real.dup2, fd, target), 0);
}

INTERPOSE int __dup2(int fd, int target) {
  CallScope call(Hook::__dup2, fd);
  const Replacement replacement(call, target);
  return replacement.Record(call, call.Real(real.__dup2, fd, target), 0);
}

INTERPOSE int dup3(int fd, int target, int flags) noexcept {
  CallScope call(Hook::dup3, fd);
  const Replacement replacement(call, target);
  return replacement.Record(call, call.Real(real.dup3, fd, target, flags), flags);
}

#define OPEN_HOOK(symbol)                                                                   \
  INTERPOSE int symbol(const char* path, int flags, ...) {                                  \
    TAKE_MODE(mode, flags);                                                                 \
    CallScope call(Hook::symbol);                                                           \
    return RecordOpen(call, false, call.Real(real.symbol, path, flags, mode), path, flags); \
  }
OPEN_HOOK(open)
OPEN_HOOK(open64)
OPEN_HOOK(__open)
OPEN_HOOK(__open64)

#define OPENAT_HOOK(symbol)                                                                           \
  INTERPOSE int symbol(int directory, const char* path, int flags, ...) {                             \
    TAKE_MODE(mode, flags);                                                                           \
    CallScope call(Hook::symbol, directory, CallScope::kUnseen);                                      \
    return RecordOpen(call, true, call.Real(real.symbol, directory, path, flags, mode), path, flags); \
  }
OPENAT_HOOK(openat)
OPENAT_HOOK(openat64)

// The fortified forms take no mode: libc ends the program when the flags ask for one.
INTERPOSE int __open_2(const char* path, int flags) {
  CallScope call(Hook::__open_2);
  return RecordOpen(call, false, call.Real(real.__open_2, path, flags), path, flags);
}

INTERPOSE int __open64_2(const char* path, int flags) {
  CallScope call(Hook::__open64_2);
  return RecordOpen(call, false, call.Real(real.__open64_2, path, flags), path, flags);
}

INTERPOSE int __openat_2(int directory, const char* path, int flags) {
  CallScope call(Hook::__openat_2, directory, CallScope::kUnseen);
  return RecordOpen(call, true, call.Real(real.__openat_2, directory, path, flags), path, flags);
}

INTERPOSE int __openat64_2(int directory, const char* path, int flags) {
  CallScope call(Hook::__openat64_2, directory, CallScope::kUnseen);
  return RecordOpen(call, true, call.Real(real.__openat64_2, directory, path, flags), path, flags);
}

INTERPOSE int creat(const char* path, mode_t mode) {
  CallScope call(Hook::creat);
  return RecordOpen(call, false, call.Real(real.creat, path, mode), path, O_CREAT | O_WRONLY | O_TRUNC);
}

INTERPOSE int creat64(const char* path, mode_t mode) {
  CallScope call(Hook::creat64);
  return RecordOpen(call, false, call.Real(real.creat64, path, mode), path, O_CREAT | O_WRONLY | O_TRUNC);
}

INTERPOSE int pipe(int pair[2]) noexcept {
  CallScope call(Hook::pipe);
  return RecordPipe(call, call.Real(real.pipe, pair), pair, 0);
}

INTERPOSE int __pipe(int pair[2]) {
  CallScope call(Hook::__pipe);
  return RecordPipe(call, call.Real(real.__pipe, pair), pair, 0);
}

INTERPOSE int pipe2(int pair[2], int flags) noexcept {
  CallScope call(Hook::pipe2);
  return RecordPipe(call, call.Real(real.pipe2, pair, flags), pair, flags);
}

INTERPOSE int epoll_create(int size) noexcept {
  CallScope call(Hook::epoll_create);
  return RecordPlain(call, call.Real(real.epoll_create, size), field::DESCRIPTOR_KIND_EPOLL, 0);
}

INTERPOSE int epoll_create1(int flags) noexcept {
  CallScope call(Hook::epoll_create1);
  return RecordPlain(call, call.Real(real.epoll_create1, flags), field::DESCRIPTOR_KIND_EPOLL, flags);
}

INTERPOSE int eventfd(unsigned int value, int flags) noexcept {
  CallScope call(Hook::eventfd);
  return RecordPlain(call, call.Real(real.eventfd, value, flags), field::DESCRIPTOR_KIND_EVENTFD, flags);
}

INTERPOSE int timerfd_create(clockid_t clock, int flags) noexcept {
  CallScope call(Hook::timerfd_create);
  return RecordPlain(call, call.Real(real.timerfd_create, clock, flags), field::DESCRIPTOR_KIND_TIMERFD, flags);
}

INTERPOSE int signalfd(int fd, const sigset_t* mask, int flags) noexcept {
  CallScope call(Hook::signalfd, fd, CallScope::kUnseen);
  const int result = call.Real(real.signalfd, fd, mask, flags);
  if (fd == -1) return RecordPlain(call, result, field::DESCRIPTOR_KIND_SIGNALFD, flags);
  if (call.recording()) {  // only gives `fd` another mask
    EventHead head = call.Head(result);
    head.flags = static_cast<uint32_t>(flags);
    call.Write(head);
  }
  return result;
}

INTERPOSE int memfd_create(const char* name, unsigned int flags) noexcept {
  CallScope call(Hook::memfd_create);
  const int result = call.Real(real.memfd_create, name, flags);
  if (call.recording()) {
    EventHead head = call.Head(result);
    head.fd = result;
    head.flags = flags;
    if (result >= 0) fds::Made(result, fds::EntryFor(field::DESCRIPTOR_KIND_MEMFD));
    const size_t name_size = result >= 0 ? strnlen(name, NAME_MAX) : 0;
    EventWriter event(head, wire::kMaxBytesOverhead + name_size);
    if (event.ok()) {
      event.tail().Bytes<field::event::kPath>(name, name_size);
      event.Commit();
    }
  }
  return result;
}

}  // namespace socktale
