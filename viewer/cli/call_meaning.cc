// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/call_meaning.h"

#include <string.h>

#include <cerrno>

#include "proto/call_families.h"

namespace socktale {
namespace {

struct ErrorWords {
  uint32_t error;
  const char* words;
};

constexpr ErrorWords kErrorWords[] = {
    {EACCES, "not permitted"},
    {EADDRINUSE, "another socket has this address"},
    {EADDRNOTAVAIL, "this machine has no such address"},
    {EAFNOSUPPORT, "this system does not know that kind of address"},
    {EBADF, "no such descriptor"},
    {ECONNABORTED, "the connection was given up"},
    {ECONNREFUSED, "nothing listens there"},
    {ECONNRESET, "the other side reset the connection"},
    {EHOSTUNREACH, "no way to that machine"},
    {EINTR, "interrupted by a signal"},
    {EISCONN, "already connected"},
    {EMFILE, "the process has reached its limit of descriptors"},
    {EMSGSIZE, "longer than a datagram may be"},
    {ENETUNREACH, "no way to that network"},
    {ENFILE, "the system has reached its limit of descriptors"},
    {ENOTCONN, "not connected"},
    {ENOTSOCK, "not a socket"},
    {EPERM, "not permitted"},
    {EPIPE, "nobody reads any more"},
    {ETIMEDOUT, "no answer came in time"},
};

}  // namespace

Direction DirectionOf(Call call) {
  return IsSend(call) ? Direction::kLeaves : IsReceive(call) ? Direction::kEnters : Direction::kNone;
}

bool IsNotYet(uint32_t error) { return error == EAGAIN || error == EINPROGRESS || error == EALREADY || error == EINTR; }

std::string ErrorInWords(Call call, uint32_t error) {
  if (error == EINPROGRESS || error == EALREADY) return "";
  if (error == EAGAIN) {
    if (call == CALL_ACCEPT || call == CALL_ACCEPT4) return "nobody has connected";
    switch (DirectionOf(call)) {
      case Direction::kEnters:
        return "nothing there yet";
      case Direction::kLeaves:
        return "no room yet";
      default:
        return "not now";
    }
  }
  if (call == CALL_CONNECT && error == EADDRNOTAVAIL) return "no local port is free";
  if (call == CALL_CONNECT && error == ENOENT) return "nothing has that path";
  for (const ErrorWords& row : kErrorWords) {
    if (row.error == error) return row.words;
  }
  const char* description = strerrordesc_np(static_cast<int>(error));
  return description != nullptr ? description : "";
}

}  // namespace socktale
