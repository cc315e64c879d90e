// SPDX-License-Identifier: Apache-2.0
//
// Descriptors asked and told about themselves: fcntl, ioctl, sockatmark, isfdtype and the multicast source filters.

#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "preload/hooks/made.h"
#include "preload/poison.h"
#include "preload/socket_facts.h"

namespace socktale {
namespace {

void WriteWithOption(const EventHead& head, uint32_t option) {
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kOption>(option);
  event.Commit();
}

// ---- fcntl -----------------------------------------------------------------------------------------------------

// Locks, which files alone have: recorded where a file's data is.
bool IsLock(int command) {
  switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return true;
    default:
      return false;
  }
}

// Commands whose argument is a number; it is the trace's to keep. Others have a pointer, or none.
bool TakesNumber(int command) {
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_SETFD:
    case F_SETFL:
    case F_SETOWN:
    case F_SETSIG:
    case F_SETLEASE:
    case F_NOTIFY:
    case F_SETPIPE_SZ:
    case F_ADD_SEALS:
      return true;
    default:
      return false;
  }
}

// slot: fcntl's, fcntl64's or __fcntl's. argument: whatever stands in the argument's place, as libc takes it.
template <typename Function>
SOCKTALE_IN_HOOK int Fcntl(Hook hook, Function& slot, int fd, int command, void* argument) {
  // F_GETFD is how programs look for numbers in use: the others need not be looked at a second time.
  CallScope call = command == F_GETFD ? CallScope(hook, fd, CallScope::kUnseen)
                                      : CallScope(hook, fd, IsLock(command) ? Record::kByDescriptor : Record::kAlways);
  const int result = call.Real(slot, fd, command, argument);
  if (!call.recording()) return result;
  const uint32_t option = TakesNumber(command) ? static_cast<uint32_t>(reinterpret_cast<uintptr_t>(argument)) : 0;
  const uint32_t flags = static_cast<uint32_t>(command);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) return RecordCopy(call, result, flags, option);
  EventHead head = call.Head(result);
  head.flags = flags;
  WriteWithOption(head, option);
  return result;
}

// ---- ioctl -----------------------------------------------------------------------------------------------------

enum class Request {
  kOther,   // of the descriptor's own kind: nothing of ours
  kPlain,   // changes the descriptor, no argument
  kInt,     // changes it, an int at the argument
  kSocket,  // asks a socket
  kSocketInt,
};

Request WhatIs(unsigned long request) {
  switch (request) {
    case FIOCLEX:
    case FIONCLEX:
      return Request::kPlain;
    case FIONBIO:
    case FIOASYNC:
      return Request::kInt;
    case FIONREAD:
    case TIOCOUTQ:
    case SIOCATMARK:
    case SIOCOUTQNSD:
      return Request::kSocketInt;
    default:
      return (request & ~0xfful) == 0x8900 ? Request::kSocket : Request::kOther;
  }
}

// Requests of sockets mean other things, or nothing, to other descriptors. A number that is not open is told too: who
// asks there believed it to be one.
bool MayBeSocket(int fd) {
  uint8_t entry = fds::Get(fd);
  if (entry == fds::kUnknown && Recording()) entry = fds::Find(fd);
  return entry == fds::kInvalid || fds::Kind(entry) == field::DESCRIPTOR_KIND_SOCKET;
}

SOCKTALE_IN_HOOK int Ioctl(int fd, unsigned long request, void* argument) {
  const Request what = WhatIs(request);
  const bool of_socket = what == Request::kSocket || what == Request::kSocketInt;
  if (what == Request::kOther || (of_socket && !MayBeSocket(fd))) {
    CallScope::ForgetNumber(Hook::ioctl);
    return ResolvedReal(real.ioctl, Hook::ioctl)(fd, request, argument);
  }
  CallScope call(Hook::ioctl, fd);
  const int result = call.Real(real.ioctl, fd, request, argument);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  const iovec value = {argument, sizeof(int)};
  if (result >= 0 && (what == Request::kInt || what == Request::kSocketInt)) {
    head.payload.parts = &value;
    head.payload.size = head.moved = sizeof(int);
  }
  WriteWithOption(head, static_cast<uint32_t>(request));
  return result;
}

#define TAKE_POINTER(argument, last)               \
  va_list arguments;                               \
  va_start(arguments, last);                       \
  void* const argument = va_arg(arguments, void*); \
  va_end(arguments)

// ---- Source filters --------------------------------------------------------------------------------------------

// group: the multicast group, an address that libc has read when the call worked. mode: MCAST_INCLUDE or MCAST_EXCLUDE.
int RecordFilter(const CallScope& call, int result, const sockaddr* group, socklen_t size, uint32_t mode) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = result == 0 ? mode : 0;
  if (result == 0) head.address = GivenAddress(group, size);
  call.Write(head);
  return result;
}

int RecordFilter4(const CallScope& call, int result, in_addr group, uint32_t mode) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr = group;
  return RecordFilter(call, result, reinterpret_cast<const sockaddr*>(&address), sizeof address, mode);
}

}  // namespace

INTERPOSE int fcntl(int fd, int command, ...) {
  TAKE_POINTER(argument, command);
  return Fcntl(Hook::fcntl, real.fcntl, fd, command, argument);
}

INTERPOSE int fcntl64(int fd, int command, ...) {
  TAKE_POINTER(argument, command);
  return Fcntl(Hook::fcntl64, real.fcntl64, fd, command, argument);
}

INTERPOSE int __fcntl(int fd, int command, ...) {
  TAKE_POINTER(argument, command);
  return Fcntl(Hook::__fcntl, real.__fcntl, fd, command, argument);
}

INTERPOSE int ioctl(int fd, unsigned long request, ...) noexcept {
  TAKE_POINTER(argument, request);
  return Ioctl(fd, request, argument);
}

INTERPOSE int sockatmark(int fd) noexcept {
  CallScope call(Hook::sockatmark, fd);
  const int result = call.Real(real.sockatmark, fd);
  if (call.recording()) call.Write(call.Head(result));
  return result;
}

INTERPOSE int isfdtype(int fd, int type) noexcept {
  CallScope call(Hook::isfdtype, fd);
  const int result = call.Real(real.isfdtype, fd, type);
  if (call.recording()) WriteWithOption(call.Head(result), static_cast<uint32_t>(type));
  return result;
}

INTERPOSE int getsourcefilter(int fd, uint32_t interface, const sockaddr* group, socklen_t size, uint32_t* mode,
                              uint32_t* count, sockaddr_storage* sources) noexcept {
  CallScope call(Hook::getsourcefilter, fd);
  const int result = call.Real(real.getsourcefilter, fd, interface, group, size, mode, count, sources);
  return RecordFilter(call, result, group, size, result == 0 ? *mode : 0);
}

INTERPOSE int setsourcefilter(int fd, uint32_t interface, const sockaddr* group, socklen_t size, uint32_t mode,
                              uint32_t count, const sockaddr_storage* sources) noexcept {
  CallScope call(Hook::setsourcefilter, fd);
  const int result = call.Real(real.setsourcefilter, fd, interface, group, size, mode, count, sources);
  return RecordFilter(call, result, group, size, mode);
}

INTERPOSE int getipv4sourcefilter(int fd, in_addr interface, in_addr group, uint32_t* mode, uint32_t* count,
                                  in_addr* sources) noexcept {
  CallScope call(Hook::getipv4sourcefilter, fd);
  const int result = call.Real(real.getipv4sourcefilter, fd, interface, group, mode, count, sources);
  return RecordFilter4(call, result, group, result == 0 ? *mode : 0);
}

INTERPOSE int setipv4sourcefilter(int fd, in_addr interface, in_addr group, uint32_t mode, uint32_t count,
                                  const in_addr* sources) noexcept {
  CallScope call(Hook::setipv4sourcefilter, fd);
  const int result = call.Real(real.setipv4sourcefilter, fd, interface, group, mode, count, sources);
  return RecordFilter4(call, result, group, mode);
}

}  // namespace socktale
