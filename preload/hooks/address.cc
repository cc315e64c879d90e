// SPDX-License-Identifier: Apache-2.0
//
// Calls that give a socket its addresses, make the next one of a connection, or ask for names: bind, connect, accept,
// getsockname, getpeername.

#include <stddef.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/poison.h"
#include "preload/readable.h"
#include "preload/socket_facts.h"

namespace socktale {
namespace {

// sa_family of an address of which at least `size` bytes can be read; AF_UNSPEC when it is cut before.
sa_family_t FamilyOf(ByteSpan address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size >= offsetof(sockaddr, sa_family) + sizeof family) {
    memcpy(&family, static_cast<const uint8_t*>(address.data) + offsetof(sockaddr, sa_family), sizeof family);
  }
  return family;
}

bool IsInternet(sa_family_t family) { return family == AF_INET || family == AF_INET6; }

// An IP address with port 0, for which bind() chooses one. sin_port and sin6_port stand in the same place.
bool AsksForAnyPort(ByteSpan address) {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  in_port_t port = 1;
  if (IsInternet(FamilyOf(address)) && address.size >= offsetof(sockaddr_in, sin_port) + sizeof port) {
    memcpy(&port, static_cast<const uint8_t*>(address.data) + offsetof(sockaddr_in, sin_port), sizeof port);
  }
  return port == 0;
}

// The buffer for an address that the program gave to a call, or ours in its place if it gave none.
class AddressOut {
 public:
  enum Offer { kGivenOnly, kOursIfNone };

  // Before the real call. address, size: the program's arguments.
  AddressOut(const CallScope& call, sockaddr* address, socklen_t* size, Offer offer) : address_(address), size_(size) {
    if (!call.recording()) return;
    if (address == nullptr && offer == kOursIfNone) {
      address_ = reinterpret_cast<sockaddr*>(&own_);
      size_ = &capacity_;
      capacity_ = sizeof own_;
    } else if (address == nullptr || !CopyIn(&capacity_, size, sizeof capacity_)) {
      capacity_ = 0;
    }
    given_ = capacity_;
  }

  sockaddr* address() const { return address_; }
  socklen_t* size() const { return size_; }

  // After the call succeeded: the bytes that the kernel wrote. It stores the address's true size, which may be more.
  ByteSpan Got() const {
    if (given_ == 0) return {};
    return GivenAddress(address_, *size_ < given_ ? *size_ : given_);
  }

 private:
  sockaddr* address_;
  socklen_t* size_;
  socklen_t capacity_ = 0;
  socklen_t given_ = 0;
  sockaddr_storage own_;
};

void RecordConnect(const CallScope& call, int result, const sockaddr* given, socklen_t size) {
  EventHead head = call.Head(result);
  head.address = AddressReadBy(result, given, size);
  const sa_family_t family = FamilyOf(head.address);
  SocketAddress local;
  uint32_t peer_pid = 0;
  // A connect that a signal handler interrupted goes on like one that does not block.
  const bool begun = result == 0 || head.error == EINPROGRESS || head.error == EINTR;
  if (begun && IsInternet(family)) {
    AskLocalName(call.fd(), local);
    fds::ClearBits(call.fd(), fds::kAskName);
    if (fds::Get(call.fd()) & fds::kTcp) fds::Connected(call.fd(), call.end_ns());
  } else if (result == 0 && family == AF_UNIX) {
    peer_pid = AskPeerPid(call.fd());
  }
  EventWriter event(head, wire::kMaxBytesOverhead + local.size + wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  event.tail().Uint<field::event::kPeerPid>(peer_pid);
  event.Commit();
}

void RecordAccept(const CallScope& call, int result, int flags, ByteSpan peer) {
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  if (result < 0) {
    call.Write(head);
    return;
  }
  head.address = peer;
  const sa_family_t family = peer.size > 0 ? FamilyOf(peer) : static_cast<sa_family_t>(AskSocketInt(result, SO_DOMAIN));
  const uint64_t cookie = SocketCookie(result);
  SocketAddress local;
  uint32_t peer_pid = 0;
  if (IsInternet(family)) AskLocalName(result, local);
  if (family == AF_UNIX) peer_pid = AskPeerPid(result);

  const uint8_t listener = fds::Get(call.fd());  // the new socket is of its kind
  const bool known = fds::Kind(listener) == field::DESCRIPTOR_KIND_SOCKET;
  fds::Made(result, known ? listener : fds::EntryForSocket(family, SOCK_STREAM, 0));
  if (fds::Get(result) & fds::kTcp) fds::Connected(result, call.end_ns());

  EventWriter event(head, 3 * wire::kMaxNumberField + wire::kMaxBytesOverhead + local.size);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kSocketId>(cookie);
  event.tail().Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  event.tail().Uint<field::event::kDomain>(family);
  event.tail().Uint<field::event::kPeerPid>(peer_pid);
  event.Commit();
}

void RecordName(const CallScope& call, int result, const AddressOut& out) {
  EventHead head = call.Head(result);
  if (result == 0) head.address = out.Got();
  call.Write(head);
}

}  // namespace

INTERPOSE int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  CallScope call(Hook::bind, fd);
  const int result = call.Real(real.bind, fd, address, size);
  if (call.recording()) {
    EventHead head = call.Head(result);
    head.address = AddressReadBy(result, address, size);
    SocketAddress local;
    if (result == 0 && AsksForAnyPort(head.address)) {
      AskLocalName(fd, local);
      fds::ClearBits(fd, fds::kAskName);
    }
    EventWriter event(head, wire::kMaxBytesOverhead + local.size);
    if (event.ok()) {
      event.tail().Bytes<field::event::kLocalAddress>(local.bytes, local.size);
      event.Commit();
    }
  }
  return result;
}

INTERPOSE int connect(int fd, const sockaddr* address, socklen_t size) {
  CallScope call(Hook::connect, fd);
  const int result = call.Real(real.connect, fd, address, size);
  if (call.recording()) RecordConnect(call, result, address, size);
  return result;
}

INTERPOSE int __connect(int fd, const sockaddr* address, socklen_t size) {
  CallScope call(Hook::__connect, fd);
  const int result = call.Real(real.__connect, fd, address, size);
  if (call.recording()) RecordConnect(call, result, address, size);
  return result;
}

INTERPOSE int accept(int fd, sockaddr* __restrict address, socklen_t* __restrict size) {
  CallScope call(Hook::accept, fd);
  const AddressOut out(call, address, size, AddressOut::kOursIfNone);
  const int result = call.Real(real.accept, fd, out.address(), out.size());
  if (call.recording()) RecordAccept(call, result, 0, result < 0 ? ByteSpan() : out.Got());
  return result;
}

INTERPOSE int accept4(int fd, sockaddr* __restrict address, socklen_t* __restrict size, int flags) {
  CallScope call(Hook::accept4, fd);
  const AddressOut out(call, address, size, AddressOut::kOursIfNone);
  const int result = call.Real(real.accept4, fd, out.address(), out.size(), flags);
  if (call.recording()) RecordAccept(call, result, flags, result < 0 ? ByteSpan() : out.Got());
  return result;
}

INTERPOSE int getsockname(int fd, sockaddr* __restrict address, socklen_t* __restrict size) noexcept {
  CallScope call(Hook::getsockname, fd);
  const AddressOut out(call, address, size, AddressOut::kGivenOnly);
  const int result = call.Real(real.getsockname, fd, out.address(), out.size());
  if (call.recording()) RecordName(call, result, out);
  return result;
}

INTERPOSE int getpeername(int fd, sockaddr* __restrict address, socklen_t* __restrict size) noexcept {
  CallScope call(Hook::getpeername, fd);
  const AddressOut out(call, address, size, AddressOut::kGivenOnly);
  const int result = call.Real(real.getpeername, fd, out.address(), out.size());
  if (call.recording()) RecordName(call, result, out);
  return result;
}

}  // namespace socktale
