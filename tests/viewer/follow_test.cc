// SPDX-License-Identifier: Apache-2.0
//
// Conversations as text, JSON and bytes, with both ends recorded and with one.

#include "viewer/cli/follow.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <sstream>
#include <string>

#include "tests/viewer/mockups.h"
#include "viewer/cli/json.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FollowTest : public TraceTest {
 protected:
  FollowTest() { options_.connections = {"1"}; }

  std::string Print(const Look& look = {}) {
    NamedTrace trace = Open(builder_);
    std::string text;
    Output output(&text, look);
    const absl::Status printed = PrintFollow(trace, options_, common_, output);
    EXPECT_TRUE(printed.ok()) << printed;
    return text;
  }

  std::string Error() {
    NamedTrace trace = Open(builder_);
    std::string text;
    Output output(&text, {});
    const absl::Status printed = PrintFollow(trace, options_, common_, output);
    EXPECT_EQ(text, "");
    return std::string(printed.message());
  }

  std::vector<Json> PrintJson() {
    common_.json = true;
    std::vector<Json> objects;
    std::istringstream lines(Print());
    for (std::string line; std::getline(lines, line);) objects.push_back(Json::parse(line));
    return objects;
  }

  TraceBuilder builder_;
  FollowOptions options_;
  CommonOptions common_;
};

TEST_F(FollowTest, BothEndsLookAsInTheManual) {
  AddHello(builder_, Recorded::kBoth);
  ExpectGolden("follow.txt", Print());
}

TEST_F(FollowTest, OneEndLooksAsInTheManual) {
  AddHello(builder_, Recorded::kClient);
  ExpectGolden("follow_client_end.txt", Print());
}

TEST_F(FollowTest, TheServersEndAloneIsTheLeftColumn) {
  AddHello(builder_, Recorded::kServer);
  ExpectGolden("follow_server_end.txt", Print());
}

TEST_F(FollowTest, AsciiHasTheSameLayout) {
  AddHello(builder_, Recorded::kBoth);
  const std::string ascii = Print({.unicode = false});
  ExpectGolden("follow_ascii.txt", ascii);
  for (const char c : ascii) ASSERT_LT(static_cast<unsigned char>(c), 0x80) << ascii;
}

TEST_F(FollowTest, ShortPausesAreToldWhenAskedFor) {
  AddHello(builder_, Recorded::kClient);
  constexpr char kShortOne[] = "2 ms  idle: curl did not ask";
  EXPECT_THAT(Print(), Not(HasSubstr(kShortOne)));
  options_.pauses_ns = 1'000'000;
  EXPECT_THAT(Print(), HasSubstr(kShortOne));
}

TEST_F(FollowTest, DataThatLiesUnreadIsTheReadersPause) {
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544)});
  curl.Send(5, "ask\n");
  builder_.After(50'000'000);
  curl.Recv(5, "answer\n");
  curl.Close(5);
  EXPECT_THAT(Print(), HasSubstr("50 ms  curl did not read"));
}

// The server answers, shuts down and closes at once; the client closes two seconds later.
TEST_F(FollowTest, AnEndOfStreamIsToldOnceAndALateCloseIsNews) {
  Image& httpd = builder_.Start("httpd", 4100);
  httpd.Socket(3, AF_INET, SOCK_STREAM);
  httpd.Bind(3, Inet("127.0.0.1", 8080));
  httpd.Listen(3);
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544)});
  httpd.Accept(3, 9, {.local = Inet("127.0.0.1", 8080), .peer = Inet("127.0.0.1", 51544)});
  httpd.Send(9, "bye\n");
  curl.Recv(5, "bye\n");
  httpd.Shutdown(9, SHUT_WR);
  httpd.Close(9);
  curl.Recv(5, "");
  builder_.After(2'000'000'000);
  curl.Close(5);
  const std::string text = Print();
  const size_t end = text.find("recv end ←");
  ASSERT_NE(end, std::string::npos) << text;
  EXPECT_THAT(text.substr(end), HasSubstr("─ shutdown\n"));
  EXPECT_EQ(text.find("recv end", end + 1), std::string::npos) << text;
  const size_t pause = text.find("2 s  idle", end);
  ASSERT_NE(pause, std::string::npos) << text;
  EXPECT_EQ(text.find("close\n"), text.rfind("close\n")) << text;
  EXPECT_GT(text.find("close\n"), pause) << text;
}

// The client reads the beginning and goes; the server finds out by no call of its own.
TEST_F(FollowTest, WhatWasNotReceivedIsNotSaidToBe) {
  Image& httpd = builder_.Start("httpd", 4100);
  httpd.Socket(3, AF_INET, SOCK_STREAM);
  httpd.Bind(3, Inet("127.0.0.1", 8080));
  httpd.Listen(3);
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544)});
  httpd.Accept(3, 9, {.local = Inet("127.0.0.1", 8080), .peer = Inet("127.0.0.1", 51544)});
  httpd.Send(9, std::string(5000, 'x'));
  curl.Recv(5, std::string(10, 'x'));
  curl.Close(5);
  httpd.Close(9);
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("recv 10 B ←"));
  EXPECT_THAT(text, HasSubstr("─ send 4.9 KiB"));
  EXPECT_THAT(text, HasSubstr("4.9 KiB not received"));
  EXPECT_THAT(text, HasSubstr("close ─"));
  EXPECT_THAT(text, Not(HasSubstr("recv end")));
  for (const Json& object : PrintJson()) {
    if (object["type"] == "transfer") {
      EXPECT_EQ(object["len"], 5000);
      EXPECT_EQ(object["recv_len"], 10);
    } else if (object["type"] == "close") {
      EXPECT_EQ(object["end_received"], false);
    }
  }
}

TEST_F(FollowTest, ClosingADatagramSocketTellsNobody) {
  Image& server = builder_.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("127.0.0.1", 7));
  Image& client = builder_.Start("client", 2);
  client.Socket(5, AF_INET, SOCK_DGRAM);
  client.Connect(5, Inet("127.0.0.1", 7), {.local = Inet("127.0.0.1", 51544)});
  client.Send(5, "ping");
  server.Recv(3, "ping", {.peer = Inet("127.0.0.1", 51544)});
  client.Close(5);
  EXPECT_THAT(Print(), HasSubstr("close\n"));
}

TEST_F(FollowTest, AFailedCallIsNamedWithItsError) {
  AddHello(builder_, Recorded::kClient);
  builder_.At(251'500'000);
  Image& curl = builder_.Start("curl", 77);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 9));
  curl.Call(CALL_SETSOCKOPT, 5, -1, {.error = ENOPROTOOPT});
  options_.connections = {"2"};
  EXPECT_THAT(Print(), HasSubstr("setsockopt ✗ ENOPROTOOPT"));
  const std::vector<Json> objects = PrintJson();
  EXPECT_EQ(objects.back()["type"], "error");
  EXPECT_EQ(objects.back()["call"], "setsockopt");
}

TEST_F(FollowTest, InATraceThatDroppedEventsNoPauseHasACause) {
  AddHello(builder_, Recorded::kBoth);
  builder_.drops.emplace_back().set_events(2183);
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("248.9 ms  quiet, 2 183 events were dropped in this trace"));
  EXPECT_THAT(text, Not(HasSubstr("httpd was working")));
  bool told = false;
  for (const Json& object : PrintJson()) {
    if (object["type"] != "pause") continue;
    told = true;
    EXPECT_EQ(object["cause"], "unknown");
    EXPECT_EQ(object["dropped"], 2183);
  }
  EXPECT_TRUE(told);
}

TEST_F(FollowTest, ARefusedConnectionSaysWhy) {
  AddEverything(builder_);
  options_.connections = {"c2"};
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("✗ refused, one end recorded"));
  EXPECT_THAT(text, HasSubstr("ECONNREFUSED  nothing listens there"));
  EXPECT_THAT(text, HasSubstr("─✗"));
}

TEST_F(FollowTest, SeveralConnectionsFollowOneAnother) {
  AddEverything(builder_);
  options_.connections = {"17", "c1"};
  const std::string text = Print();
  EXPECT_LT(text.find("c17  tcp"), text.find("\n\nc1  tcp"));
  EXPECT_THAT(text, HasSubstr("⚠ never closed, one end recorded"));
}

TEST_F(FollowTest, AnUnknownConnectionSaysWhichThereAre) {
  AddHello(builder_, Recorded::kBoth);
  options_.connections = {"c7"};
  EXPECT_EQ(Error(), "no connection c7 in make-1: there is only c1");
  options_.connections = {"curl"};
  EXPECT_EQ(Error(), "'curl' is no connection: c17 or 17, as `socktale conns` lists them");
  builder_ = TraceBuilder();
  options_.connections = {"1"};
  EXPECT_EQ(Error(), "no connection c1 in make-1: there are none");
}

TEST_F(FollowTest, FitsEightyColumnsOnATerminal) {
  AddHello(builder_, Recorded::kBoth);
  const std::string text = Print(Terminal(80));
  EXPECT_LE(WidestLine(text), 80u) << text;
  EXPECT_THAT(text, HasSubstr("248.9 ms  httpd was working"));
}

TEST_F(FollowTest, LongLinesGoOnInTheNextLineOnATerminalAndAreWholeInAPipe) {
  const std::string line = "start " + std::string(300, 'x') + " end";
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080));
  curl.Send(5, line);
  options_.as = FollowAs::kText;
  EXPECT_THAT(Print(), HasSubstr("│ " + line + "\n"));
  const std::string text = Print(Terminal(100));
  EXPECT_LE(WidestLine(text), 100u) << text;
  EXPECT_THAT(text, HasSubstr(" end\n"));
}

TEST_F(FollowTest, RawIsByteForByteWhatASideSent) {
  AddHello(builder_, Recorded::kBoth);
  options_.as = FollowAs::kRaw;
  options_.side = FollowSide::kServer;
  EXPECT_EQ(Print(), kAnswer);
  options_.side = FollowSide::kClient;
  EXPECT_EQ(Print({.unicode = false}), kRequest);
  options_.side = FollowSide::kBoth;
  EXPECT_EQ(Print(), std::string(kRequest) + kAnswer);
}

TEST_F(FollowTest, RawOfOneEndIsBothSidesToo) {
  AddHello(builder_, Recorded::kClient);
  options_.as = FollowAs::kRaw;
  options_.side = FollowSide::kServer;
  EXPECT_EQ(Print(), kAnswer);
}

TEST_F(FollowTest, RawSaysOnStderrWhatTheTraceDoesNotHold) {
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080));
  Event& event = curl.Call(CALL_SEND, 5, 100);
  event.set_payload("kept");
  event.set_payload_size(100);
  event.set_size(100);
  event.set_notes(EVENT_NOTE_CUT);
  options_.as = FollowAs::kRaw;
  options_.side = FollowSide::kClient;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Print(), "kept");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "socktale: c1: 96 bytes of what the client sent are not in the trace and left out here\n");
  options_.as = FollowAs::kAuto;
  EXPECT_THAT(Print(), HasSubstr("(96 B not kept)"));
}

// More than is held in memory at a time.
TEST_F(FollowTest, ALargeTransferIsShownPartByPart) {
  Image& curl = builder_.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080));
  std::string all;
  for (int i = 0; i < 100; ++i) {
    std::string lines;
    for (int j = 0; j < 1000; ++j) lines += "line " + std::to_string(i * 1000 + j) + " of what was sent\n";
    curl.Send(5, lines);
    all += lines;
  }
  EXPECT_THAT(Print(), HasSubstr("│ line 1 of what was sent"));
  EXPECT_THAT(Print(), HasSubstr("(+2.7 MiB)"));
  options_.as = FollowAs::kText;
  const std::string text = Print();
  std::istringstream printed(text);
  int next = 0;
  for (std::string line; std::getline(printed, line);) {
    const size_t at = line.find("│ line ");
    if (at == std::string::npos) continue;
    EXPECT_EQ(line.substr(at + sizeof("│ ") - 1), "line " + std::to_string(next) + " of what was sent");
    ++next;
  }
  EXPECT_EQ(next, 100'000);
  options_.as = FollowAs::kRaw;
  EXPECT_TRUE(Print() == all);
}

TEST_F(FollowTest, HexShowsOffsetsInTheStream) {
  AddHello(builder_, Recorded::kBoth);
  options_.as = FollowAs::kHex;
  options_.side = FollowSide::kClient;
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("│ 0000  47 45 54 20 2f 68 65 6c  GET /hel\n"));
  EXPECT_THAT(text, HasSubstr("│ 0050  0a 0d 0a                 ...\n")) << text;
  EXPECT_THAT(text, Not(HasSubstr("HTTP/1.1 200")));
}

TEST_F(FollowTest, JsonHasTransfersAndPausesWithExactTimes) {
  AddHello(builder_, Recorded::kBoth);
  const std::vector<Json> objects = PrintJson();
  ASSERT_EQ(objects.size(), 8u);
  EXPECT_EQ(objects[0]["type"], "trace");
  EXPECT_EQ(objects[1]["type"], "conn");
  EXPECT_EQ(objects[1]["phases"]["wait_peer_ns"], 248'900'000);
  EXPECT_EQ(objects[2]["type"], "connect");
  const Json& request = objects[3];
  EXPECT_EQ(request["type"], "transfer");
  EXPECT_EQ(request["conn"], "c1");
  EXPECT_EQ(request["from"], "client");
  EXPECT_EQ(request["len"], 83);
  EXPECT_EQ(request["text"], kRequest);
  EXPECT_FALSE(request.contains("kept"));
  EXPECT_EQ(objects[4]["type"], "pause");
  EXPECT_EQ(objects[4]["cause"], "server_working");
  EXPECT_EQ(objects[5]["recvs"], 2);
  EXPECT_EQ(objects[6]["type"], "close");
  EXPECT_EQ(objects[6]["who"], "client");
  EXPECT_EQ(objects[7]["who"], "server");
}

TEST_F(FollowTest, ColoursTellTheDirection) {
  AddHello(builder_, Recorded::kBoth);
  const std::string text = Print({.color = true});
  EXPECT_THAT(text, HasSubstr("send 83 B \x1b[38;5;166m─"));
  EXPECT_THAT(text, HasSubstr("recv 151 B \x1b[38;5;32m←"));
}

}  // namespace
}  // namespace socktale::testing
