// SPDX-License-Identifier: Apache-2.0
//
// What a test expects of a recorded call, in words.

#ifndef SOCKTALE_TESTS_PRELOAD_EVENT_MATCHERS_H_
#define SOCKTALE_TESTS_PRELOAD_EVENT_MATCHERS_H_

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "event.pb.h"

namespace socktale {

MATCHER_P2(Returned, result, error, "") {
  return arg.result() == result && arg.error() == static_cast<uint32_t>(error);
}

MATCHER_P(HasPayload, payload, "") { return arg.payload() == payload; }

// A call that succeeded or failed, whatever it returned.
MATCHER(Succeeded, "") { return arg.error() == 0; }
MATCHER_P(FailedWith, error, "") { return arg.error() == static_cast<uint32_t>(error); }

// For events of which an entry of `polled` is expected. asked, ready: POLL* bits.
MATCHER_P3(IsPolled, fd, asked, ready, "") {
  return arg.fd() == fd && arg.events() == static_cast<uint32_t>(asked) &&
         arg.revents() == static_cast<uint32_t>(ready);
}

// The port of an IP address as recorded; -1 when it is none.
inline int PortOf(const std::string& address) {
  sockaddr_in in;
  if (address.size() < sizeof in) return -1;
  std::memcpy(&in, address.data(), sizeof in);
  return in.sin_family == AF_INET || in.sin_family == AF_INET6 ? ntohs(in.sin_port) : -1;
}

// Its family; AF_UNSPEC when there is none.
inline int FamilyOf(const std::string& address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size() >= sizeof family) std::memcpy(&family, address.data(), sizeof family);
  return family;
}

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_EVENT_MATCHERS_H_
