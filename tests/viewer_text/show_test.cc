// SPDX-License-Identifier: Apache-2.0
//
// `show` of whole traces: lines in the order of return, payloads put together, ranges and limits, JSON.

#include "viewer/cli/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "proto/call_families.h"
#include "proto/trace_file_writer.h"
#include "tests/viewer_text/tale.h"
#include "viewer/model/lookup.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Show(Trace& trace, const ShowOptions& options = {}, const CommonOptions& common = {}) {
  std::string text;
  Output output(&text, {});
  const absl::Status status = PrintShow(trace, options, common, output);
  EXPECT_TRUE(status.ok()) << status;
  output.Flush();
  return text;
}

std::vector<nlohmann::json> ShowJson(Trace& trace, CommonOptions common = {}, const ShowOptions& options = {}) {
  common.json = true;
  std::vector<nlohmann::json> lines;
  for (absl::string_view line : absl::StrSplit(Show(trace, options, common), '\n', absl::SkipEmpty())) {
    lines.push_back(nlohmann::json::parse(line.begin(), line.end()));
  }
  return lines;
}

// A line's calls, without their layout: text from the call on.
std::vector<std::string> Calls(const std::string& text) {
  std::vector<std::string> calls;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    calls.emplace_back(line.substr(std::min<size_t>(line.size(), 26), 12));
  }
  return calls;
}

TEST(ShowTest, TellsTheFirstConversationOfTheDocumentation) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  NamedTrace named = tale.Open(builder, "hello");
  EXPECT_EQ(Show(named.trace), R"(+0.0001 httpd[4100]       starts: httpd -p 8080
+0.0001 httpd[4100]       socket(INET, STREAM|CLOEXEC)                            = 3
+0.0001 httpd[4100]       bind(3, *:8080)                                         = 0
+0.0001 httpd[4100]       listen(3, 128)                                          = 0
+0.0010 curl[4242]        starts: curl -s localhost:8080/hello
+0.0012 curl[4242]   c1   socket(INET, STREAM|CLOEXEC)                            = 5
+0.0015 curl[4242]   c1   connect(5, localhost:8080)                              = 0
+0.0015 httpd[4100]  c1   accept(3, localhost:51544)                              = 9
+0.0016 curl[4242]   c1 → sendto(5, "GET /hello HTTP/1.1\r\nHost: local"…)        = 45
+0.0017 httpd[4100]  c1 ← recvfrom(9, "GET /hello HTTP/1.1\r\nHost: local"…)      = 45
+0.2507 httpd[4100]  c1 → sendto(9, "HTTP/1.1 200 OK\r\nContent-Type: t"…)        = 58
+0.2509 curl[4242]   c1 ← recvfrom(5, "HTTP/1.1 200 OK\r\nContent-Type: t"…)      = 58            waited 249 ms
+0.2520 curl[4242]   c2   socket(INET, STREAM)                                    = 6
+0.2520 curl[4242]   c2   connect(6, localhost:9999)                              ✗ ECONNREFUSED  nothing listens there
+0.2520 curl[4242]   c2   close(6)                                                = 0
+0.2532 curl[4242]   c1   close(5)                                                = 0
+0.2532 httpd[4100]  c1 ← recvfrom(9, 65536)                                      = 0             the end: nothing more will come
+0.2532 httpd[4100]  c1   close(9)                                                = 0
+0.2532 curl[4242]        _exit(0)
)");
}

TEST(ShowTest, APayloadInSeveralEventsIsOneCall) {
  testing::TraceBuilder builder;
  testing::Image& curl = builder.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  builder.At(5'000'000);
  Event& first = curl.Call(CALL_SEND, 5, 9, {.notes = EVENT_NOTE_MORE});
  first.set_payload("abc");
  first.set_payload_size(9);
  for (uint64_t at : {3, 6}) {
    builder.At(5'000'000);
    Event& next = curl.Call(CALL_SEND, 5, 9, {.notes = at == 3 ? uint32_t{EVENT_NOTE_MORE} : 0});
    next.set_continuation(at);
    next.set_payload(at == 3 ? "def" : "ghi");
  }
  Tale tale;
  NamedTrace named = tale.Open(builder, "split");
  EXPECT_THAT(Show(named.trace), HasSubstr("send(5, \"abcdefghi\")"));
  ShowOptions four;
  four.payload_bytes = 4;
  EXPECT_THAT(Show(named.trace, four), HasSubstr("send(5, \"abcd\"…)"));
  const std::vector<nlohmann::json> lines = ShowJson(named.trace);
  EXPECT_EQ(lines.back()["text"], "abcdefghi");
  EXPECT_EQ(lines.back()["len"], 9);
  EXPECT_FALSE(lines.back().contains("kept"));
}

TEST(ShowTest, CallsComeInTheOrderOfTheirReturn) {
  testing::TraceBuilder builder;
  testing::Image& a = builder.Start("a", 1);
  testing::Image& b = builder.Start("b", 2);
  builder.At(10'000'000);
  a.Call(CALL_RECV, 5, 0, {.took_ns = 50'000'000});
  builder.At(20'000'000);
  b.Call(CALL_CLOSE, 6, 0);
  builder.At(70'000'000);
  b.Call(CALL_CLOSE, 7, 0);
  Tale tale;
  NamedTrace named = tale.Open(builder, "order");
  const std::string text = Show(named.trace);
  EXPECT_LT(text.find("close(6)"), text.find("recv(5"));
  EXPECT_LT(text.find("recv(5"), text.find("close(7)"));
}

TEST(ShowTest, ARangeKeepsTheCallsThatReachIntoIt) {
  testing::TraceBuilder builder;
  testing::Image& a = builder.Start("a", 1);
  for (int fd = 1; fd <= 5; ++fd) {
    builder.At(static_cast<uint64_t>(fd) * 10'000'000);
    a.Call(CALL_CLOSE, fd, 0, {.took_ns = fd == 1 ? uint64_t{15'000'000} : 1000});
  }
  Tale tale;
  NamedTrace named = tale.Open(builder, "range");
  CommonOptions common;
  common.from_ns = 20'000'500;
  common.to_ns = 30'000'000;
  const std::string text = Show(named.trace, {}, common);
  EXPECT_THAT(text, HasSubstr("close(1)"));  // returned at 25 ms
  EXPECT_THAT(text, HasSubstr("close(3)"));
  EXPECT_EQ(text.find("close(4)"), std::string::npos);
  EXPECT_THAT(Calls(text), SizeIs(3));
}

TEST(ShowTest, ALimitStopsEarly) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  NamedTrace named = tale.Open(builder, "hello");
  CommonOptions common;
  common.limit = 4;
  EXPECT_THAT(Calls(Show(named.trace, {}, common)), SizeIs(4));
}

TEST(ShowTest, JsonStartsWithTheTraceAndHasEveryFieldOfAnEvent) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  NamedTrace named = tale.Open(builder, "hello");
  const std::vector<nlohmann::json> lines = ShowJson(named.trace);
  EXPECT_EQ(lines.front()["type"], "trace");
  const nlohmann::json* recv = nullptr;
  for (const nlohmann::json& line : lines) {
    if (line["type"] == "event" && line["call"] == "recvfrom" && line["pid"] == 4242) recv = &line;
  }
  ASSERT_NE(recv, nullptr);
  EXPECT_EQ((*recv)["process"], "curl");
  EXPECT_EQ((*recv)["fd"], "4242/5");
  EXPECT_EQ((*recv)["conn"], "c1");
  EXPECT_EQ((*recv)["from_client"], true);
  EXPECT_EQ((*recv)["t_ns"], 1'650'000);
  EXPECT_EQ((*recv)["dur_ns"], 249'250'000);
  EXPECT_EQ((*recv)["text"], "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello, world\n");
  EXPECT_THAT((*recv)["id"].get<std::string>(), ::testing::MatchesRegex("e[0-9]+"));
  for (const nlohmann::json& line : lines) {
    if (line.value("err", "") == "ECONNREFUSED") {
      EXPECT_EQ(line["address"], nlohmann::json({{"ip", "127.0.0.1"}, {"port", 9999}}));
      EXPECT_EQ(line["ret"], -1);
    }
  }
}

TEST(ShowTest, PayloadThatIsNoTextIsBase64AndTellsWhatWasNotKept) {
  testing::TraceBuilder builder;
  testing::Image& curl = builder.Start("curl", 4242);
  Event& event = curl.Call(CALL_SEND, 5, 100, {.notes = EVENT_NOTE_CUT});
  event.set_payload(std::string("\0\xff", 2));
  event.set_payload_size(100);
  Tale tale;
  NamedTrace named = tale.Open(builder, "binary");
  const nlohmann::json line = ShowJson(named.trace).back();
  EXPECT_EQ(line["b64"], "AP8=");
  EXPECT_EQ(line["len"], 100);
  EXPECT_EQ(line["kept"], 2);
  EXPECT_THAT(line["notes"], ElementsAre("cut"));
}

// Numbers are used again: what a call made, and what ended it, are one life.
TEST(ShowTest, ACallThatMakesADescriptorNamesItsNewLife) {
  testing::TraceBuilder builder;
  testing::Image& tool = builder.Start("tool", 7);
  int calls = 0;
  for (int value = Call_MIN; value <= Call_MAX; ++value) {
    const auto call = static_cast<Call>(value);
    if (!Call_IsValid(value) || WorksOnDescriptor(call)) continue;
    if (call != CALL_OPENPTY && !ReturnsNewDescriptor(call)) continue;
    Event& made = tool.Call(call, 3, call == CALL_OPENPTY ? 0 : 3);
    if (call == CALL_OPENPTY) made.set_new_fd(4);
    tool.Close(3);
    ++calls;
  }
  Tale tale;
  NamedTrace named = tale.Open(builder, "made");
  std::string made;
  int lives = 0;
  for (const nlohmann::json& line : ShowJson(named.trace)) {
    if (!line.contains("fd")) continue;
    if (line["call"] != "close") {
      made = line["fd"];
      continue;
    }
    EXPECT_EQ(line["fd"], made);
    EXPECT_EQ(made, ++lives == 1 ? "7/3" : "7/3#" + std::to_string(lives));
  }
  EXPECT_EQ(lives, calls);
  EXPECT_GT(lives, 20);
}

// The number that a call works on has its own life, whatever the call returned.
TEST(ShowTest, ACallThatReturnsADescriptorNamesTheOneItWorkedOn) {
  testing::TraceBuilder builder;
  testing::Image& server = builder.Start("server", 7);
  server.Open(3, "/a");
  server.Close(3);
  server.Socket(3, AF_INET, SOCK_STREAM);
  server.Listen(3);
  server.Accept(3, 5, {.peer = testing::Inet("127.0.0.1", 51544)});
  Tale tale;
  NamedTrace named = tale.Open(builder, "accepted");
  const nlohmann::json line = ShowJson(named.trace).back();
  EXPECT_EQ(line["fd"], "7/3#2");
  EXPECT_EQ(line["ret"], 5);
  EXPECT_EQ(line["conn"], "c1");
}

TEST(ShowTest, ASpliceBelongsToTheConnectionOfTheSocketThatItReadFrom) {
  testing::TraceBuilder builder;
  testing::Image& proxy = builder.Start("proxy", 1);
  proxy.Socket(5, AF_INET, SOCK_STREAM);
  proxy.Connect(5, testing::Inet("127.0.0.1", 80));
  proxy.Pipe(6, 7);
  proxy.Call(CALL_SPLICE, 7, 30, {.notes = EVENT_NOTE_NOT_SEEN}).set_new_fd(5);
  Tale tale;
  NamedTrace named = tale.Open(builder, "spliced");
  EXPECT_EQ(ShowJson(named.trace).back()["conn"], "c1");
  EXPECT_THAT(Show(named.trace), HasSubstr("c1 ← splice(5, 7, "));
}

uint64_t PeakBytes() {
  rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

// How much memory the first line of a trace takes that holds one event `count` times, which packs into nearly nothing.
uint64_t BytesForFirstLine(absl::string_view event, uint64_t count) {
  std::string run = "\x08\x01";  // image: 1
  for (uint64_t i = 0; i < count; ++i) {
    run.push_back('\x1a');
    run.push_back(static_cast<char>(event.size()));
    run.append(event.data(), event.size());
  }
  std::string events = "\x0a";
  for (size_t size = run.size(); size > 0; size >>= 7) {
    events.push_back(static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
  }
  events += run;
  run = std::string();
  Tale tale;
  {
    absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Create(tale.PathOf("made"), TraceHeader(), true);
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(writer->AppendEvents(events, {.event_count = count, .images = {1}}, true).ok());
    Tables tables;
    tables.set_sealed(true);
    EXPECT_TRUE(writer->Seal(tables, {}).ok());
  }
  absl::StatusOr<Trace> trace = Trace::Open(tale.PathOf("made"));
  EXPECT_TRUE(trace.ok()) << trace.status();
  EXPECT_LT(trace->file().file_size(), 100'000u);
  const uint64_t before = PeakBytes();
  CommonOptions common;
  common.limit = 1;
  EXPECT_THAT(Show(*trace, {}, common), HasSubstr("unknown()"));
  return PeakBytes() - before;
}

TEST(ShowTest, EventsWithoutEndTakeBoundedMemory) {
  constexpr uint64_t kMost = 128 << 20;
  EXPECT_LT(BytesForFirstLine("", 6'000'000), kMost) << "all of them at one moment";
  // duration_ns: 2^62, so that none has returned when the last one begins
  EXPECT_LT(BytesForFirstLine("\x20\x80\x80\x80\x80\x80\x80\x80\x80\x40", 2'000'000), kMost) << "for ever";
}

// `number` of a call that works on no descriptor would be a false 0.
TEST(ShowTest, ACallInProgressNamesTheDescriptorThatItWorksOnIfAny) {
  Tale tale;
  {
    absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Create(tale.PathOf("made"), TraceHeader(), true);
    ASSERT_TRUE(writer.ok()) << writer.status();
    Tables tables;
    tables.set_sealed(true);
    tables.add_process()->set_id(1);
    for (const Call call : {CALL_POLL, CALL_OPEN, CALL_ACCEPT}) {
      Thread* thread = tables.add_thread();
      thread->set_process(1);
      thread->set_in_call(call);
    }
    ASSERT_TRUE(writer->Seal(tables, {}).ok());
  }
  absl::StatusOr<Trace> trace = Trace::Open(tale.PathOf("made"));
  ASSERT_TRUE(trace.ok()) << trace.status();
  const std::string text = Show(*trace);
  EXPECT_THAT(text, HasSubstr(" is still in poll() since "));
  EXPECT_THAT(text, HasSubstr(" is still in open() since "));
  EXPECT_THAT(text, HasSubstr(" is still in accept(0) since "));
  const std::vector<nlohmann::json> lines = ShowJson(*trace);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_FALSE(lines[1].contains("fd") || lines[1].contains("number"));
  EXPECT_EQ(lines[3]["number"], 0);
}

TEST(ShowTest, TheTimeOfACallInProgressHasTheFormThatWasAskedFor) {
  Tale tale;
  TraceHeader header;
  header.set_start_wall_ns(1'700'000'000'000'000'000);
  {
    absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Create(tale.PathOf("made"), header, true);
    ASSERT_TRUE(writer.ok()) << writer.status();
    Tables tables;
    tables.set_sealed(true);
    tables.add_process()->set_id(1);
    Thread* thread = tables.add_thread();
    thread->set_process(1);
    thread->set_in_call(CALL_RECV);
    thread->set_in_fd(5);
    thread->set_in_since_ns(23'000'000);
    ASSERT_TRUE(writer->Seal(tables, {}).ok());
  }
  absl::StatusOr<Trace> trace = Trace::Open(tale.PathOf("made"));
  ASSERT_TRUE(trace.ok()) << trace.status();
  const auto show = [&trace](TimeForm form) {
    std::string text;
    CommonOptions common;
    common.time = form;
    Output output(&text, {});
    EXPECT_TRUE(PrintShow(*trace, {}, common, output).ok());
    output.Flush();
    return text;
  };
  EXPECT_THAT(show(TimeForm::kUtc), HasSubstr("since 2023-11-14T22:13:20.0230Z"));
  EXPECT_THAT(show(TimeForm::kNs), HasSubstr("since 23000000"));
  EXPECT_THAT(show(TimeForm::kDelta), HasSubstr("since +0.0230"));
}

}  // namespace
}  // namespace socktale
