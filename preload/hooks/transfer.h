// SPDX-License-Identifier: Apache-2.0
//
// What the hooks of calls that move bytes have in common: which bytes an event keeps, and the fields after its head.

#ifndef SOCKTALE_PRELOAD_HOOKS_TRANSFER_H_
#define SOCKTALE_PRELOAD_HOOKS_TRANSFER_H_

#include "preload/call_scope.h"
#include "preload/socket_facts.h"

namespace socktale {

// Bytes that a call moved: its result, or 0 for a failure.
inline size_t Moved(ssize_t result) { return result > 0 ? static_cast<size_t>(result) : 0; }

size_t PartsSize(const iovec* parts, size_t count);

// Of what a receiving call returned, the bytes that lie in its buffers of `size` bytes. With MSG_TRUNC it returns the
// true length of a datagram that was longer, which is noted in `head`.
size_t InBuffers(EventHead& head, ssize_t result, size_t size);

// Sets flags, notes and the payload of a call on head.fd that received (sent) `moved` bytes into (from) `source`, whose
// size is ignored. A payload limit keeps fewer; peeked bytes do not count to it, for they will come again.
void SetReceived(EventHead& head, Payload source, size_t moved, int flags);
void SetSent(EventHead& head, Payload source, size_t moved, int flags);

// The size that the caller offers for an address, read before the call: 0 when it offers none, when the pointer is bad,
// or when nothing is recorded.
socklen_t OfferedSize(const CallScope& call, const void* address, const socklen_t* size);

// The address that a successful call wrote. written: its true size, which the kernel stores even if it did not fit.
inline ByteSpan ReceivedAddress(const void* address, socklen_t offered, socklen_t written) {
  return offered == 0 ? ByteSpan() : GivenAddress(address, written < offered ? written : offered);
}

// The first datagram that an unconnected IP socket sends gives it its local address: asked once, when call succeeded.
void AskNameOnce(int fd, ssize_t result, SocketAddress& local);

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_TRANSFER_H_
