// SPDX-License-Identifier: Apache-2.0
//
// Families of calls: those that make and end descriptors, those that move bytes, those that wait. What recorder and
// viewer must agree on is said here once.

#ifndef SOCKTALE_PROTO_CALL_FAMILIES_H_
#define SOCKTALE_PROTO_CALL_FAMILIES_H_

#include "proto/event.pb.h"

namespace socktale {

// ---- Descriptors -------------------------------------------------------------------------------------------------

// Event.result is the descriptor of something that the call made, opened or accepted. Calls that give another number
// to what is there (dup), and those that make two descriptors (pipe), are not among them.
constexpr bool ReturnsNewDescriptor(Call call) {
  switch (call) {
    case CALL_SOCKET:
    case CALL_ACCEPT:
    case CALL_ACCEPT4:
    case CALL_OPEN:
    case CALL_OPENAT:
    case CALL_CREAT:
    case CALL_EPOLL_CREATE:
    case CALL_EPOLL_CREATE1:
    case CALL_EVENTFD:
    case CALL_TIMERFD_CREATE:
    case CALL_SIGNALFD:
    case CALL_MEMFD_CREATE:
    case CALL_INOTIFY_INIT:
    case CALL_FANOTIFY_INIT:
    case CALL_PIDFD_OPEN:
    case CALL_MKSTEMP:
    case CALL_SHM_OPEN:
    case CALL_POSIX_OPENPT:
    case CALL_OPENDIR:
    case CALL_OPEN_BY_HANDLE_AT:
    case CALL_OPEN_TREE:
    case CALL_FSOPEN:
    case CALL_FSMOUNT:
    case CALL_FSPICK:
    case CALL_FOPEN:
    case CALL_TMPFILE:
    case CALL_POPEN:
    case CALL_MQ_OPEN:
    case CALL_SYSCALL:
      return true;
    default:
      return false;
  }
}

// Ends descriptors and does nothing else: close and its like. They end when the call is entered.
constexpr bool OnlyEndsDescriptors(Call call) {
  switch (call) {
    case CALL_CLOSE:
    case CALL_CLOSE_RANGE:
    case CALL_FCLOSE:
    case CALL_PCLOSE:
    case CALL_CLOSEDIR:
    case CALL_MQ_CLOSE:
      return true;
    default:
      return false;
  }
}

// Those, and what gives a number that is in use to something else: dup2, freopen.
constexpr bool EndsDescriptors(Call call) {
  switch (call) {
    case CALL_DUP2:
    case CALL_DUP3:
    case CALL_FREOPEN:
    case CALL_LOGIN_TTY:
      return true;
    default:
      return OnlyEndsDescriptors(call);
  }
}

// ---- Bytes -------------------------------------------------------------------------------------------------------

// Moves bytes out of the process, on Event.fd.
constexpr bool IsSend(Call call) {
  switch (call) {
    case CALL_WRITE:
    case CALL_WRITEV:
    case CALL_SEND:
    case CALL_SENDTO:
    case CALL_SENDMSG:
    case CALL_SENDMMSG:
    case CALL_SENDFILE:
    case CALL_PWRITE:
    case CALL_PWRITEV:
    case CALL_PWRITEV2:
      return true;
    default:
      return false;
  }
}

// Moves bytes into it.
constexpr bool IsReceive(Call call) {
  switch (call) {
    case CALL_READ:
    case CALL_READV:
    case CALL_RECV:
    case CALL_RECVFROM:
    case CALL_RECVMSG:
    case CALL_RECVMMSG:
    case CALL_PREAD:
    case CALL_PREADV:
    case CALL_PREADV2:
      return true;
    default:
      return false;
  }
}

constexpr bool IsTransfer(Call call) { return IsSend(call) || IsReceive(call); }

// The kernel moves bytes from Event.new_fd to Event.fd: either may be a socket.
constexpr bool IsCopy(Call call) { return call == CALL_SENDFILE || call == CALL_SPLICE; }

// pread, pwrite and their like: files take them, too.
constexpr bool IsAtOffset(Call call) { return call >= CALL_PREAD && call <= CALL_PWRITEV2; }

// ---- Waits -------------------------------------------------------------------------------------------------------

// Event.fd is the epoll.
constexpr bool IsEpollWait(Call call) {
  return call == CALL_EPOLL_WAIT || call == CALL_EPOLL_PWAIT || call == CALL_EPOLL_PWAIT2;
}

// poll, select, epoll_wait and their kin.
constexpr bool IsWait(Call call) {
  switch (call) {
    case CALL_POLL:
    case CALL_PPOLL:
    case CALL_SELECT:
    case CALL_PSELECT:
      return true;
    default:
      return IsEpollWait(call);
  }
}

}  // namespace socktale

#endif  // SOCKTALE_PROTO_CALL_FAMILIES_H_
