// SPDX-License-Identifier: Apache-2.0
//
// Socket addresses in a form that can be compared: an IPv4 address equals its v4-mapped IPv6 form, a relative UNIX path
// equals the absolute one.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_ADDRESS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_ADDRESS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace socktale {

// An IPv4 address stands in its v4-mapped form (::ffff:a.b.c.d), network byte order; the port in host byte order.
struct InternetAddress {
  std::array<uint8_t, 16> ip = {};
  uint16_t port = 0;

  bool operator==(const InternetAddress&) const = default;
  bool IsWildcard() const;  // 0.0.0.0 or ::
};

// AF_* of a struct sockaddr as recorded; 0 (AF_UNSPEC) when it is too short to have one.
uint16_t AddressFamily(absl::string_view sockaddr_bytes);

// No value for another family than AF_INET and AF_INET6, or when cut short.
std::optional<InternetAddress> ParseInternetAddress(absl::string_view sockaddr_bytes);

// Whether two addresses may be the same place: equal, or one of them is the wildcard. Ports are not looked at.
bool SameHost(const InternetAddress& a, const InternetAddress& b);

// Name of a UNIX socket: an absolute path without "." and empty parts, '\0' + name for the abstract namespace, empty
// for none (unnamed, or another family). cwd: what relative paths begin at; empty: they stay relative.
std::string UnixName(absl::string_view sockaddr_bytes, absl::string_view cwd);

// The same as users see it: "/run/x.sock", "@name".
std::string UnixLabel(absl::string_view unix_name);

// Bytes that are equal for equal addresses of any family; empty for none.
std::string AddressKey(absl::string_view sockaddr_bytes, absl::string_view cwd);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_ADDRESS_H_
