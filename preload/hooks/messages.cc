// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg, sendmmsg, recvmmsg: bytes in parts, addresses, descriptors passed by SCM_RIGHTS, batches.
//
// A header (struct msghdr) of a call that succeeded has been read by the kernel, so it can be read again. What the
// kernel overwrites in it, the size offered for an address, is copied before the call, with care for bad pointers.

#include <limits.h>
#include <string.h>

#include "preload/hooks/transfer.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

// Descriptors in the control messages of what was sent or received.
class Passed {
 public:
  static constexpr size_t kMost = 64;

  // message: its control bytes were read by the kernel, or written up to msg_controllen.
  void Add(const msghdr& message) {
    const uint8_t* at = static_cast<const uint8_t*>(message.msg_control);
    size_t left = at == nullptr ? 0 : message.msg_controllen;
    while (left >= sizeof(cmsghdr)) {
      cmsghdr header;
      memcpy(&header, at, sizeof header);
      if (header.cmsg_len < sizeof header || header.cmsg_len > left) return;
      if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS) {
        const size_t given = (header.cmsg_len - sizeof header) / sizeof(int);
        const size_t n = given < kMost - count_ ? given : kMost - count_;
        memcpy(fds_ + count_, at + sizeof header, n * sizeof(int));
        count_ += n;
        cut_ |= n < given;
      }
      const size_t step = CMSG_ALIGN(header.cmsg_len);
      if (step >= left) return;
      at += step;
      left -= step;
    }
  }

  uint32_t Notes() const { return cut_ ? uint32_t{field::EVENT_NOTE_CONTROL_CUT} : 0; }
  size_t Room() const { return count_ == 0 ? 0 : wire::kMaxBytesOverhead + count_ * wire::kMaxVarint32; }
  void WriteTo(wire::Writer& tail) const { tail.PackedSint32<field::event::kPassed>(fds_, count_); }

  // After a receiving call: each is a new life of its number.
  void Found() const {
    for (size_t i = 0; i < count_; ++i) fds::FoundReceived(fds_[i]);
  }

 private:
  int32_t fds_[kMost];
  size_t count_ = 0;
  bool cut_ = false;
};

// What a batch's datagrams have as addresses, as far as they may be read: of the first kMostNamed, at most kMaxAddress
// bytes each.
struct BatchNames {
  static constexpr size_t kMostNamed = 256;
  uint8_t sizes[kMostNamed] = {};

  void Set(size_t i, const msghdr& header) {
    if (i < kMostNamed) sizes[i] = static_cast<uint8_t>(GivenAddress(header.msg_name, header.msg_namelen).size);
  }

  size_t Size(size_t i) const { return i < kMostNamed ? sizes[i] : 0; }
};

// The most that a Datagram takes besides its address.
constexpr size_t kDatagramRoom = 2 * wire::kMaxBytesOverhead + wire::kMaxNumberField;
static_assert(IOV_MAX * kDatagramRoom + BatchNames::kMostNamed * kMaxAddress + 1024 <= kMaxTail,
              "a batch, of which the kernel takes no more than IOV_MAX datagrams, fits one event");

void WriteMessage(const EventHead& head, const SocketAddress& local, const Passed& passed) {
  EventWriter event(head, wire::kMaxBytesOverhead + local.size + passed.Room());
  if (!event.ok()) return;
  event.tail().Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  passed.WriteTo(event.tail());
  event.Commit();
}

void WriteBatch(const EventHead& head, const SocketAddress& local, const Passed& passed, const mmsghdr* messages,
                size_t count, const BatchNames& names) {
  size_t room = wire::kMaxBytesOverhead + local.size + passed.Room();
  for (size_t i = 0; i < count; ++i) room += kDatagramRoom + names.Size(i);
  EventWriter event(head, room);
  if (!event.ok()) return;
  wire::Writer& tail = event.tail();
  tail.Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  passed.WriteTo(tail);
  for (size_t i = 0; i < count; ++i) {
    uint8_t* const length = tail.BeginReserved<field::event::kDatagram, 2>();
    tail.Uint<field::datagram::kSize>(messages[i].msg_len);
    tail.Bytes<field::datagram::kAddress>(messages[i].msg_hdr.msg_name, names.Size(i));
    tail.EndReserved<2>(length);
  }
  event.Commit();
}

size_t BatchSize(const mmsghdr* messages, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) size += MessageBytes(messages[i]);
  return size;
}

}  // namespace

INTERPOSE ssize_t recvmsg(int fd, msghdr* message, int flags) {
  CallScope call(Hook::recvmsg, fd);
  msghdr offered = {};
  if (call.recording() && !CopyIn(&offered, message, sizeof offered)) offered = {};
  const ssize_t result = call.Real(real.recvmsg, fd, message, flags);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  Passed passed;
  if (result >= 0) {
    head.size = PartsSize(message->msg_iov, message->msg_iovlen);
    if (offered.msg_name != nullptr) {
      head.address = ReceivedAddress(message->msg_name, offered.msg_namelen, message->msg_namelen);
    }
    if ((message->msg_flags & MSG_TRUNC) != 0) head.notes |= field::EVENT_NOTE_TRUNCATED;
    passed.Add(*message);
    head.notes |= passed.Notes();
    SetReceived(head, {.parts = message->msg_iov}, InBuffers(head, result, head.size), flags);
  }
  WriteMessage(head, {}, passed);
  passed.Found();
  return result;
}

INTERPOSE ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  CallScope call(Hook::sendmsg, fd);
  const ssize_t result = call.Real(real.sendmsg, fd, message, flags);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  Passed passed;
  SocketAddress local;
  if (MayRead(result, message, sizeof *message)) {
    head.address = AddressReadBy(result, message->msg_name, message->msg_namelen);
  }
  if (result >= 0) {
    head.size = PartsSize(message->msg_iov, message->msg_iovlen);
    passed.Add(*message);
    head.notes |= passed.Notes();
    SetSent(head, {.parts = message->msg_iov}, Moved(result), flags);
    AskNameOnce(fd, result, local);
  }
  WriteMessage(head, local, passed);
  return result;
}

INTERPOSE int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  CallScope call(Hook::recvmmsg, fd);
  BatchNames names;
  if (call.recording()) {
    mmsghdr offered;
    for (size_t i = 0; i < count && i < BatchNames::kMostNamed; ++i) {
      if (!CopyIn(&offered, &messages[i], sizeof offered)) break;
      names.Set(i, offered.msg_hdr);
    }
  }
  const int result = call.Real(real.recvmmsg, fd, messages, count, flags, timeout);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  Passed passed;
  const size_t got = Moved(result);
  for (size_t i = 0; i < got; ++i) {
    const msghdr& header = messages[i].msg_hdr;
    if (header.msg_namelen < names.Size(i)) names.Set(i, header);
    if ((header.msg_flags & MSG_TRUNC) != 0) head.notes |= field::EVENT_NOTE_TRUNCATED;
    passed.Add(header);
  }
  head.notes |= passed.Notes();
  if (got > 0) SetReceived(head, {.messages = messages}, BatchSize(messages, got), flags);
  WriteBatch(head, {}, passed, messages, got, names);
  passed.Found();
  return result;
}

INTERPOSE int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  CallScope call(Hook::sendmmsg, fd);
  const int result = call.Real(real.sendmmsg, fd, messages, count, flags);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  Passed passed;
  SocketAddress local;
  BatchNames names;
  const size_t sent = Moved(result);
  for (size_t i = 0; i < sent; ++i) {
    names.Set(i, messages[i].msg_hdr);
    passed.Add(messages[i].msg_hdr);
  }
  head.notes |= passed.Notes();
  if (sent > 0) {
    SetSent(head, {.messages = messages}, BatchSize(messages, sent), flags);
    AskNameOnce(fd, result, local);
  }
  WriteBatch(head, local, passed, messages, sent, names);
  return result;
}

}  // namespace socktale
