// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of a socket. Each function is one system call, made past the hooks; errno stays as it is.

#ifndef SOCKTALE_PRELOAD_SOCKET_FACTS_H_
#define SOCKTALE_PRELOAD_SOCKET_FACTS_H_

#include <stddef.h>
#include <stdint.h>

#include "preload/arena_writer.h"
#include "preload/readable.h"

namespace socktale {

// A struct sockaddr as the kernel gave it; size 0: none.
struct SocketAddress {
  uint8_t bytes[kMaxAddress];
  size_t size = 0;

  ByteSpan span() const { return {bytes, size}; }
};

// SO_COOKIE: the name of the socket, the same for every descriptor of it. 0 when refused.
uint64_t SocketCookie(int fd);

// getsockname, getpeername. size is 0 when there is none (UNIX sockets without a name give their family alone).
void AskLocalName(int fd, SocketAddress& address);
void AskPeerName(int fd, SocketAddress& address);

// SO_PEERCRED's pid; 0 when refused.
uint32_t AskPeerPid(int fd);

// An int of level SOL_SOCKET (SO_DOMAIN, SO_TYPE, SO_PROTOCOL, SO_ACCEPTCONN); 0 when refused.
int AskSocketInt(int fd, int option);

// A read-only view of an address that the caller gave to a call: at most kMaxAddress bytes of it. The kernel must have
// read or written it.
inline ByteSpan GivenAddress(const void* address, size_t size) {
  if (address == nullptr) return {};
  return {address, size < kMaxAddress ? size : kMaxAddress};
}

// The same of an address that a call was to read, which is back with `result`; empty if it may not be read (MayRead).
inline ByteSpan AddressReadBy(int64_t result, const void* address, size_t size) {
  const ByteSpan given = GivenAddress(address, size);
  return MayRead(result, given.data, given.size) ? given : ByteSpan();
}

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_SOCKET_FACTS_H_
