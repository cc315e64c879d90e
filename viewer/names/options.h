// SPDX-License-Identifier: Apache-2.0
//
// Constants of socket options: levels, and the options of each level.

#ifndef SOCKTALE_VIEWER_NAMES_OPTIONS_H_
#define SOCKTALE_VIEWER_NAMES_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace socktale {

std::string OptionLevelName(uint32_t level);              // "SOL_SOCKET", "IPPROTO_TCP"; else the number
std::string OptionName(uint32_t level, uint32_t option);  // "SO_REUSEADDR", "TCP_NODELAY"; else the number

// An option's value as setsockopt gives or getsockopt gets it: "1" for an int, "{1, 10}" for SO_LINGER, "5 s" for a
// struct timeval, an errno's name for SO_ERROR, a family's or a type's name for SO_DOMAIN and SO_TYPE, one
// hexadecimal number for SO_COOKIE and SO_NETNS_COOKIE, quoted text for TCP_CONGESTION and SO_BINDTODEVICE; a byte
// alone as a number from 0 to 255; else the bytes in hexadecimal, and "" for none.
std::string OptionValue(uint32_t level, uint32_t option, absl::string_view value);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_OPTIONS_H_
