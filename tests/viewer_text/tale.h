// SPDX-License-Identifier: Apache-2.0
//
// A trace in a directory of its own, for tests of the commands that print traces.

#ifndef SOCKTALE_TESTS_VIEWER_TEXT_TALE_H_
#define SOCKTALE_TESTS_VIEWER_TEXT_TALE_H_

#include <errno.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/trace_builder.h"
#include "viewer/cli/library.h"

namespace socktale {

// Holds the file while it is looked at.
class Tale {
 public:
  Tale() {
    char name[] = "/tmp/socktale-tale-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~Tale() { std::filesystem::remove_all(directory_); }
  Tale(const Tale&) = delete;
  Tale& operator=(const Tale&) = delete;

  // Writes what was built and opens it as `name`.
  NamedTrace Open(const testing::TraceBuilder& builder, const std::string& name, bool sealed = true) {
    path_ = PathOf(name);
    const absl::Status written = builder.WriteTale(path_, sealed);
    EXPECT_TRUE(written.ok()) << written;
    if (!sealed) path_ += ".part";
    return Reopen(name);
  }

  NamedTrace Reopen(const std::string& name) {
    absl::StatusOr<Trace> trace = Trace::Open(path_);
    EXPECT_TRUE(trace.ok()) << trace.status();
    return NamedTrace{*std::move(trace), path_, name};
  }

  const std::string& path() const { return path_; }

  // Where a trace of that name goes that a test writes itself.
  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_, "/", name, ".tale"); }

 private:
  std::string directory_;
  std::string path_;
};

// curl asks httpd for a page, waits for it, and is refused elsewhere. Times are those of the documentation.
inline void BuildHello(testing::TraceBuilder& trace) {
  trace.At(100'000);
  testing::Image& httpd = trace.Start("httpd", 4100, {"httpd", "-p", "8080"});
  httpd.Socket(3, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
  httpd.Bind(3, testing::Inet("0.0.0.0", 8080));
  httpd.Listen(3);
  trace.At(1'000'000);
  testing::Image& curl = trace.Start("curl", 4242, {"curl", "-s", "localhost:8080/hello"});
  trace.At(1'200'000);
  curl.Socket(5, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
  trace.At(1'300'000);
  curl.Connect(5, testing::Inet("127.0.0.1", 8080), {.local = testing::Inet("127.0.0.1", 51544), .took_ns = 200'000});
  trace.At(1'250'000);
  httpd.Accept(
      3, 9, {.local = testing::Inet("127.0.0.1", 8080), .peer = testing::Inet("127.0.0.1", 51544), .took_ns = 300'000});
  trace.At(1'600'000);
  curl.Send(5, "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
  trace.At(1'700'000);
  httpd.Recv(9, "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
  trace.At(1'650'000);
  curl.Recv(5, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello, world\n", {.took_ns = 249'250'000});
  trace.At(250'700'000);
  httpd.Send(9, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello, world\n");
  trace.At(252'000'000);
  curl.Socket(6, AF_INET, SOCK_STREAM);
  curl.Connect(6, testing::Inet("127.0.0.1", 9999), {.error = ECONNREFUSED});
  curl.Close(6);
  trace.At(253'200'000);
  curl.Close(5);
  httpd.Recv(9, "");
  httpd.Close(9);
  curl.Exit(0);
}

}  // namespace socktale

#endif  // SOCKTALE_TESTS_VIEWER_TEXT_TALE_H_
