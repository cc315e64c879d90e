// SPDX-License-Identifier: Apache-2.0
//
// What kind of talk a socket type means: the one answer of the aggregator and of all who look at its tables.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_SOCKET_TYPE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_SOCKET_TYPE_H_

#include <sys/socket.h>

#include <cstdint>

namespace socktale {

// Whether sockets of a type (SOCK_* without flags, socket(2)) talk over a connection that begins and ends, rather than
// in datagrams that stand alone. 0, a type that nobody told, counts as one that does: most sockets that are met without
// their beginning are TCP.
constexpr bool IsStreamType(uint32_t type) { return type == SOCK_STREAM || type == SOCK_SEQPACKET || type == 0; }

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_SOCKET_TYPE_H_
