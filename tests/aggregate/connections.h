// SPDX-License-Identifier: Apache-2.0
//
// What tests of connections have in common.

#ifndef SOCKTALE_TESTS_AGGREGATE_CONNECTIONS_H_
#define SOCKTALE_TESTS_AGGREGATE_CONNECTIONS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "tests/support/trace_builder.h"

namespace socktale::testing {

inline const std::string kServer = Inet("127.0.0.1", 8080);
inline const std::string kClient = Inet("127.0.0.1", 51544);

// httpd listens on *:8080 with descriptor 3.
inline void Listen(Image& server, const std::string& address = Inet("0.0.0.0", 8080)) {
  server.Socket(3, AF_INET, SOCK_STREAM);
  server.Bind(3, address);
  server.Listen(3);
}

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_AGGREGATE_CONNECTIONS_H_
