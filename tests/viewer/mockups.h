// SPDX-License-Identifier: Apache-2.0
//
// The recordings behind the pictures of the manual: curl and httpd, a worker on a socketpair, an api that never closes.

#ifndef SOCKTALE_TESTS_VIEWER_MOCKUPS_H_
#define SOCKTALE_TESTS_VIEWER_MOCKUPS_H_

#include <gtest/gtest.h>

#include <string>

#include "tests/support/trace_builder.h"
#include "viewer/cli/library.h"
#include "viewer/cli/output.h"

namespace socktale::testing {

inline constexpr char kRequest[] =
    "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";  // 83 bytes
inline constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nServer: httpd/1.0 (Debian; x86_64)\r\n"
    "Date: Sun, 01 Mar 2026 10:00:00 GMT\r\n\r\nhello, world\n";

enum class Recorded { kBoth, kClient, kServer };

// c1: curl[4242] asks httpd[4100] for /hello, which takes 248.9 ms; of these ends those are recorded that are asked
// for.
void AddHello(TraceBuilder& trace, Recorded recorded);

// c1 as above, c2 refused, c3 a socketpair, c4 to c16 short ones, c17 never closed by api[512].
void AddEverything(TraceBuilder& trace);

// A directory that goes with the test, and traces written to it.
class TraceTest : public ::testing::Test {
 protected:
  TraceTest();
  ~TraceTest() override;

  // Writes what was built as NAME.tale and opens it.
  NamedTrace Open(const TraceBuilder& builder, const std::string& name = "make-1", bool seal = true);

  std::string directory_;
};

// What a terminal of `width` columns shows; colour off.
inline Look Terminal(size_t width) { return {.terminal = true, .width = width, .height = 50}; }

// The widest line of a text, in columns.
size_t WidestLine(const std::string& text);

// Compares with tests/golden/NAME. With SOCKTALE_UPDATE_GOLDEN=1 in the environment writes the file instead (and the
// test fails, so that nobody forgets it set).
void ExpectGolden(const std::string& name, const std::string& text);

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_VIEWER_MOCKUPS_H_
