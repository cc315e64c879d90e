// SPDX-License-Identifier: Apache-2.0
//
// Constants of sockets: families, types, protocols, message flags.

#ifndef SOCKTALE_VIEWER_NAMES_SOCKETS_H_
#define SOCKTALE_VIEWER_NAMES_SOCKETS_H_

#include <cstdint>
#include <string>

namespace socktale {

std::string FamilyName(uint32_t domain);                             // "AF_INET"; "99" for one without a name
std::string SocketTypeName(uint32_t type);                           // "SOCK_STREAM|SOCK_CLOEXEC"
std::string ProtocolNumberName(uint32_t domain, uint32_t protocol);  // "IPPROTO_TCP", "NETLINK_ROUTE"; else the number
std::string MessageFlagNames(uint32_t flags);                        // "MSG_PEEK|MSG_DONTWAIT"; "0"
std::string ShutdownName(uint32_t how);                              // "SHUT_WR"

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_SOCKETS_H_
