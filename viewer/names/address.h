// SPDX-License-Identifier: Apache-2.0
//
// Socket addresses as text.

#ifndef SOCKTALE_VIEWER_NAMES_ADDRESS_H_
#define SOCKTALE_VIEWER_NAMES_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace socktale {

// Formats a socket address as ss(8) prints it: "192.0.2.1:443", "[2001:db8::1]:443",
// "/run/x.sock", "@name" for the abstract namespace (unix(7)), "-" for none.
// Bytes of a name that cannot be printed become \x1b and the like.
// sockaddr_bytes: a struct sockaddr as recorded, port and address in network byte order; may be cut short.
// Returns "family 38" for a family without a formatter; kDataLoss when shorter than its family needs.
absl::StatusOr<std::string> FormatAddress(absl::string_view sockaddr_bytes);

// As FormatAddress, in the words of a reader: "localhost:8080" for 127.0.0.1 and ::1 (127.0.0.53 and its like are told
// apart, so they stay), "*:8080" for "every address", an IPv4-mapped IPv6 address as the IPv4 address that it is. What
// cannot be read is "?".
std::string DescribeAddress(absl::string_view sockaddr_bytes);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_ADDRESS_H_
