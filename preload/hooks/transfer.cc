// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved: read, write, send, recv with their vectored and fortified forms. (Calls with a msghdr are in
// messages.cc, those with an offset in offsets.cc, and those that the kernel moves by itself, as sendfile, in
// kernel_copies.cc.)
//
// The caller's buffers are looked at when the call has succeeded, and only as far as bytes moved: the kernel has just
// read or written them.

#include "preload/hooks/transfer.h"

#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {

// ---- Shared with messages.cc -----------------------------------------------------------------------------------

size_t PartsSize(const iovec* parts, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) size += parts[i].iov_len;
  return size;
}

size_t InBuffers(EventHead& head, ssize_t result, size_t size) {
  if (Moved(result) <= size) return Moved(result);
  head.notes |= field::EVENT_NOTE_TRUNCATED;
  return size;
}

void SetReceived(EventHead& head, Payload source, size_t moved, int flags) {
  head.flags = static_cast<uint32_t>(flags);
  head.moved = moved;
  const bool peeked = (flags & MSG_PEEK) != 0;
  if (peeked) head.notes |= field::EVENT_NOTE_PEEK;
  if (moved == 0) return;
  if (__builtin_expect((flags & MSG_TRUNC) != 0, 0)) {
    // A TCP socket throws the bytes away then (tcp(7)), and the buffer may be anything.
    const uint8_t entry = fds::Get(head.fd);
    if (entry == fds::kUnknown || (entry & fds::kTcp) != 0) {
      head.notes |= field::EVENT_NOTE_NOT_SEEN;
      return;
    }
  }
  head.payload = source;
  head.payload.size = peeked ? moved : fds::KeepReceived(head.fd, moved);
}

void SetSent(EventHead& head, Payload source, size_t moved, int flags) {
  head.flags = static_cast<uint32_t>(flags);
  head.moved = moved;
  head.payload = source;
  head.payload.size = fds::KeepSent(head.fd, moved);
}

socklen_t OfferedSize(const CallScope& call, const void* address, const socklen_t* size) {
  socklen_t offered = 0;
  if (!call.recording() || address == nullptr || !CopyIn(&offered, size, sizeof offered)) return 0;
  return offered;
}

void AskNameOnce(int fd, ssize_t result, SocketAddress& local) {
  if (result < 0 || (fds::Get(fd) & fds::kAskName) == 0) return;
  fds::ClearBits(fd, fds::kAskName);
  AskLocalName(fd, local);
}

namespace {

// ---- Events of simple buffers and of parts ---------------------------------------------------------------------

ssize_t RecordReceived(const CallScope& call, ssize_t result, void* buf, size_t size, int flags,
                       ByteSpan address = {}) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = size;
  head.address = address;
  const iovec part = {buf, size};
  SetReceived(head, {.parts = &part}, InBuffers(head, result, size), flags);
  call.Write(head);
  return result;
}

void WriteWithName(const CallScope& call, const EventHead& head, ssize_t result) {
  SocketAddress local;
  AskNameOnce(call.fd(), result, local);
  EventWriter event(head, wire::kMaxBytesOverhead + local.size);
  if (!event.ok()) return;
  event.tail().Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  event.Commit();
}

ssize_t RecordSent(const CallScope& call, ssize_t result, const void* buf, size_t size, int flags,
                   ByteSpan address = {}) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = size;
  head.address = address;
  const iovec part = {const_cast<void*>(buf), size};
  SetSent(head, {.parts = &part}, Moved(result), flags);
  if (__builtin_expect((fds::Get(call.fd()) & fds::kAskName) != 0, 0)) {
    WriteWithName(call, head, result);
  } else {
    call.Write(head);
  }
  return result;
}

// parts: readable as far as a call that succeeded has shown.
EventHead VectorHead(const CallScope& call, ssize_t result, const iovec* parts, int count) {
  EventHead head = call.Head(result);
  if (result >= 0) head.size = PartsSize(parts, static_cast<size_t>(count));
  return head;
}

}  // namespace

// ---- Received --------------------------------------------------------------------------------------------------

INTERPOSE ssize_t read(int fd, void* buf, size_t size) {
  if (IsNotRecorded(fd, real.read)) return real.read(fd, buf, size);
  CallScope call(Hook::read, fd, Record::kByDescriptor);
  return RecordReceived(call, call.Real(real.read, fd, buf, size), buf, size, 0);
}

INTERPOSE ssize_t __read(int fd, void* buf, size_t size) {
  if (IsNotRecorded(fd, real.__read)) return real.__read(fd, buf, size);
  CallScope call(Hook::__read, fd, Record::kByDescriptor);
  return RecordReceived(call, call.Real(real.__read, fd, buf, size), buf, size, 0);
}

INTERPOSE ssize_t __read_chk(int fd, void* buf, size_t size, size_t buf_size) {
  if (IsNotRecorded(fd, real.__read_chk)) return real.__read_chk(fd, buf, size, buf_size);
  CallScope call(Hook::__read_chk, fd, Record::kByDescriptor);
  return RecordReceived(call, call.Real(real.__read_chk, fd, buf, size, buf_size), buf, size, 0);
}

INTERPOSE ssize_t readv(int fd, const iovec* parts, int count) {
  if (IsNotRecorded(fd, real.readv)) return real.readv(fd, parts, count);
  CallScope call(Hook::readv, fd, Record::kByDescriptor);
  const ssize_t result = call.Real(real.readv, fd, parts, count);
  if (call.recording()) {
    EventHead head = VectorHead(call, result, parts, count);
    SetReceived(head, {.parts = parts}, Moved(result), 0);
    call.Write(head);
  }
  return result;
}

INTERPOSE ssize_t recv(int fd, void* buf, size_t size, int flags) {
  CallScope call(Hook::recv, fd);
  return RecordReceived(call, call.Real(real.recv, fd, buf, size, flags), buf, size, flags);
}

INTERPOSE ssize_t __recv_chk(int fd, void* buf, size_t size, size_t buf_size, int flags) {
  CallScope call(Hook::__recv_chk, fd);
  return RecordReceived(call, call.Real(real.__recv_chk, fd, buf, size, buf_size, flags), buf, size, flags);
}

INTERPOSE ssize_t recvfrom(int fd, void* __restrict buf, size_t size, int flags, sockaddr* __restrict address,
                           socklen_t* __restrict address_size) {
  CallScope call(Hook::recvfrom, fd);
  const socklen_t offered = OfferedSize(call, address, address_size);
  const ssize_t result = call.Real(real.recvfrom, fd, buf, size, flags, address, address_size);
  const bool got = result >= 0 && offered != 0;
  return RecordReceived(call, result, buf, size, flags,
                        got ? ReceivedAddress(address, offered, *address_size) : ByteSpan());
}

INTERPOSE ssize_t __recvfrom_chk(int fd, void* __restrict buf, size_t size, size_t buf_size, int flags,
                                 sockaddr* __restrict address, socklen_t* __restrict address_size) {
  CallScope call(Hook::__recvfrom_chk, fd);
  const socklen_t offered = OfferedSize(call, address, address_size);
  const ssize_t result = call.Real(real.__recvfrom_chk, fd, buf, size, buf_size, flags, address, address_size);
  const bool got = result >= 0 && offered != 0;
  return RecordReceived(call, result, buf, size, flags,
                        got ? ReceivedAddress(address, offered, *address_size) : ByteSpan());
}

// ---- Sent ------------------------------------------------------------------------------------------------------

INTERPOSE ssize_t write(int fd, const void* buf, size_t size) {
  if (IsNotRecorded(fd, real.write)) return real.write(fd, buf, size);
  CallScope call(Hook::write, fd, Record::kByDescriptor);
  return RecordSent(call, call.Real(real.write, fd, buf, size), buf, size, 0);
}

INTERPOSE ssize_t __write(int fd, const void* buf, size_t size) {
  if (IsNotRecorded(fd, real.__write)) return real.__write(fd, buf, size);
  CallScope call(Hook::__write, fd, Record::kByDescriptor);
  return RecordSent(call, call.Real(real.__write, fd, buf, size), buf, size, 0);
}

INTERPOSE ssize_t writev(int fd, const iovec* parts, int count) {
  if (IsNotRecorded(fd, real.writev)) return real.writev(fd, parts, count);
  CallScope call(Hook::writev, fd, Record::kByDescriptor);
  const ssize_t result = call.Real(real.writev, fd, parts, count);
  if (call.recording()) {
    EventHead head = VectorHead(call, result, parts, count);
    SetSent(head, {.parts = parts}, Moved(result), 0);
    call.Write(head);
  }
  return result;
}

INTERPOSE ssize_t send(int fd, const void* buf, size_t size, int flags) {
  CallScope call(Hook::send, fd);
  return RecordSent(call, call.Real(real.send, fd, buf, size, flags), buf, size, flags);
}

INTERPOSE ssize_t __send(int fd, const void* buf, size_t size, int flags) {
  CallScope call(Hook::__send, fd);
  return RecordSent(call, call.Real(real.__send, fd, buf, size, flags), buf, size, flags);
}

INTERPOSE ssize_t sendto(int fd, const void* buf, size_t size, int flags, const sockaddr* address,
                         socklen_t address_size) {
  CallScope call(Hook::sendto, fd);
  const ssize_t result = call.Real(real.sendto, fd, buf, size, flags, address, address_size);
  const ByteSpan to = call.recording() ? AddressReadBy(result, address, address_size) : ByteSpan();
  return RecordSent(call, result, buf, size, flags, to);
}

}  // namespace socktale
