// SPDX-License-Identifier: Apache-2.0

#include "preload/socket_facts.h"

#include "preload/confinement.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale {
namespace {

// Returns false when the kernel refused, or gave fewer bytes than `value` has.
template <typename Value>
bool AskOption(int fd, int level, int option, Value& value) {
  socklen_t size = sizeof value;
  return RawSyscall(SYS_getsockopt, fd, level, option, RawPointer(&value), RawPointer(&size)) == 0 &&
         size >= sizeof value;
}

void AskName(long number, int fd, SocketAddress& address) {
  socklen_t size = sizeof address.bytes;
  if (RawSyscall(number, fd, RawPointer(address.bytes), RawPointer(&size)) != 0) size = 0;
  address.size = size < sizeof address.bytes ? size : sizeof address.bytes;
}

}  // namespace

uint64_t SocketCookie(int fd) {
  uint64_t cookie;
  return AskOption(fd, SOL_SOCKET, SO_COOKIE, cookie) ? cookie : 0;
}

void AskLocalName(int fd, SocketAddress& address) { AskName(SYS_getsockname, fd, address); }
void AskPeerName(int fd, SocketAddress& address) { AskName(SYS_getpeername, fd, address); }

uint32_t AskPeerPid(int fd) {
  ucred peer;
  return AskOption(fd, SOL_SOCKET, SO_PEERCRED, peer) && peer.pid > 0 ? static_cast<uint32_t>(peer.pid) : 0;
}

int AskSocketInt(int fd, int option) {
  int value;
  return AskOption(fd, SOL_SOCKET, option, value) ? value : 0;
}

}  // namespace socktale
