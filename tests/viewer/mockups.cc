// SPDX-License-Identifier: Apache-2.0
#include "tests/viewer/mockups.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace socktale::testing {
namespace {

constexpr uint64_t kUs = 1'000;
constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

Polled Readable(int fd) {
  Polled polled;
  polled.set_fd(fd);
  polled.set_events(POLLIN);
  polled.set_revents(POLLIN);
  return polled;
}

// Polls `fd` until `until_ns`.
void PollUntil(TraceBuilder& trace, Image& image, int fd, uint64_t until_ns) {
  image.Poll({Readable(fd)}, {.took_ns = until_ns - trace.now()});
}

void AddCurl(TraceBuilder& trace, Image& curl) {
  const std::string answer = kAnswer;
  trace.At(1250 * kUs);
  curl.Socket(5, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
  trace.At(1260 * kUs);
  curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544), .took_ns = 300 * kUs});
  trace.At(1560 * kUs);
  curl.Send(5, kRequest);
  trace.At(1561 * kUs);
  PollUntil(trace, curl, 5, 250'860 * kUs);
  trace.At(250'860 * kUs);
  curl.Recv(5, answer.substr(0, 100));
  trace.At(250'861 * kUs);
  curl.Recv(5, answer.substr(100), {.took_ns = 400 * kUs});
  trace.At(253'240 * kUs);
  curl.Close(5);
}

void AddHttpd(TraceBuilder& trace, Image& httpd) {
  trace.At(800 * kUs);
  PollUntil(trace, httpd, 3, 1550 * kUs);
  trace.At(1590 * kUs);
  httpd.Accept(3, 9, {.local = Inet("127.0.0.1", 8080), .peer = Inet("127.0.0.1", 51544)});
  trace.At(1759 * kUs);
  httpd.Recv(9, kRequest);
  trace.At(250'660 * kUs);
  httpd.Send(9, kAnswer);
  trace.At(250'700 * kUs);
  PollUntil(trace, httpd, 9, 253'250 * kUs);
  httpd.Recv(9, "");
  trace.At(253'260 * kUs);
  httpd.Close(9);
}

Image& StartHttpd(TraceBuilder& trace) {
  trace.At(100 * kUs);
  Image& httpd = trace.Start("httpd", 4100, {"httpd", "-p", "8080"});
  httpd.Socket(3, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
  httpd.Bind(3, Inet("0.0.0.0", 8080));
  httpd.Listen(3);
  return httpd;
}

Image& StartCurl(TraceBuilder& trace) {
  trace.At(900 * kUs);
  return trace.Start("curl", 4242, {"curl", "-s", "http://localhost:8080/hello"});
}

void AddRefused(TraceBuilder& trace, Image& curl) {
  trace.At(252'010 * kUs);
  curl.Socket(6, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
  curl.Connect(6, Inet("127.0.0.1", 9999), {.error = ECONNREFUSED, .took_ns = 100 * kUs});
  curl.Close(6);
}

void AddSocketpair(TraceBuilder& trace, Image& httpd) {
  trace.At(300 * kMs);
  httpd.SocketPair(7, 8, AF_UNIX, SOCK_STREAM);
  httpd.Call(CALL_FORK, 0, 4107).set_pid(4107);
  Image& worker = trace.Attach("worker", 4107, ATTACH_REASON_FORK, 4100, httpd.number);
  httpd.Close(7);
  worker.Close(8);
  trace.At(400 * kMs);
  worker.Send(7, std::string(4198, 'q'));
  trace.At(401 * kMs);
  httpd.Recv(8, std::string(4198, 'q'));
  trace.At(402 * kMs);
  PollUntil(trace, worker, 7, 11'402 * kMs);
  trace.At(11'400 * kMs);
  httpd.Send(8, std::string(9216, 'a'));
  trace.At(11'402 * kMs);
  worker.Recv(7, std::string(9216, 'a'));
}

void AddApi(TraceBuilder& trace) {
  trace.At(301 * kMs);
  Image& api = trace.Start("api", 512, {"/usr/bin/api", "--pool", "256"});
  api.Resolve("db.internal", {Inet("10.0.0.7", 0)});
  for (int i = 0; i < 13; ++i) {
    trace.At((305 + static_cast<uint64_t>(i)) * kMs);
    api.Socket(23, AF_INET, SOCK_STREAM);
    api.Connect(23, Inet("10.0.0.7", 5432), {.local = Inet("10.0.0.2", static_cast<uint16_t>(40000 + i))});
    api.Close(23);
  }
  trace.At(410 * kMs);
  api.Socket(23, AF_INET, SOCK_STREAM);
  api.Connect(23, Inet("10.0.0.7", 5432), {.local = Inet("10.0.0.2", 41000), .took_ns = kMs});
  api.Send(23, std::string(9421, 's'));
  api.Recv(23, std::string(600'000, 'r'), {.took_ns = 4'100 * kMs});
  api.Recv(23, std::string(658'291, 'r'));
  trace.At(410 * kMs + 58 * kSecond);
  api.Exit(0);
}

}  // namespace

void AddHello(TraceBuilder& trace, Recorded recorded) {
  trace.header.add_command("curl");
  if (recorded != Recorded::kClient) AddHttpd(trace, StartHttpd(trace));
  if (recorded != Recorded::kServer) AddCurl(trace, StartCurl(trace));
}

void AddEverything(TraceBuilder& trace) {
  trace.header.add_command("make");
  trace.header.add_command("test");
  Image& httpd = StartHttpd(trace);
  AddHttpd(trace, httpd);
  Image& curl = StartCurl(trace);
  AddCurl(trace, curl);
  AddRefused(trace, curl);
  AddSocketpair(trace, httpd);
  AddApi(trace);
}

TraceTest::TraceTest() {
  char name[] = "/tmp/socktale-test-XXXXXX";
  directory_ = mkdtemp(name);
}

TraceTest::~TraceTest() { std::filesystem::remove_all(directory_); }

NamedTrace TraceTest::Open(const TraceBuilder& builder, const std::string& name, bool seal) {
  const std::string path = directory_ + "/" + name + ".tale";
  const absl::Status written = builder.WriteTale(path, seal);
  EXPECT_TRUE(written.ok()) << written;
  absl::StatusOr<NamedTrace> opened = OpenNamedTrace(seal ? path : path + ".part");
  EXPECT_TRUE(opened.ok()) << opened.status();
  opened->name = name;
  return *std::move(opened);
}

size_t WidestLine(const std::string& text) {
  size_t widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, DisplayWidth(line));
  return widest;
}

void ExpectGolden(const std::string& name, const std::string& text) {
  const std::string path = std::string(SOCKTALE_GOLDEN_DIRECTORY) + "/" + name;
  if (const char* update = getenv("SOCKTALE_UPDATE_GOLDEN"); update != nullptr && *update == '1') {
    std::ofstream(path) << text;
    ADD_FAILURE() << path << " was written anew; run again without SOCKTALE_UPDATE_GOLDEN";
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file.good()) << path;
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str()) << "differs from " << path;
}

}  // namespace socktale::testing
