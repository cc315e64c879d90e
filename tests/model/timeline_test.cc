// SPDX-License-Identifier: Apache-2.0
//
// Who waited for whom: transfers, steps, pauses and phases of one connection.

#include "viewer/model/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "tests/model/scratch.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using testing::Image;
using testing::Inet;
using testing::Scratch;
using testing::TraceBuilder;

constexpr uint64_t kMs = 1'000'000;
const std::string kServer = Inet("127.0.0.1", 8080);
const std::string kClient = Inet("127.0.0.1", 51544);

class TimelineTest : public ::testing::Test {
 protected:
  void Connect(bool with_server = true) {
    if (with_server) {
      httpd_ = &builder_.Start("httpd", 4100);
      httpd_->Socket(3, AF_INET, SOCK_STREAM);
      httpd_->Bind(3, kServer);
      httpd_->Listen(3);
    }
    curl_ = &builder_.Start("curl", 4242);
    curl_->Socket(5, AF_INET, SOCK_STREAM);
    builder_.At(kMs);
    curl_->Connect(5, kServer, {.local = kClient, .took_ns = 300'000});
    if (with_server) httpd_->Accept(3, 9, {.local = kServer, .peer = kClient});
  }

  const Timeline& Build(uint64_t merge_ns = kMs, uint64_t pause_ns = kMs, uint32_t id = 1) {
    absl::StatusOr<Trace> trace = scratch_.Open(builder_);
    EXPECT_TRUE(trace.ok()) << trace.status();
    trace_ = std::make_unique<Trace>(*std::move(trace));
    absl::StatusOr<Timeline> timeline = BuildTimeline(*trace_, *trace_->connection(id), merge_ns, pause_ns);
    EXPECT_TRUE(timeline.ok()) << timeline.status();
    timeline_ = *std::move(timeline);
    return timeline_;
  }
  std::string Payload(size_t transfer, uint64_t from = 0, uint64_t limit = UINT64_MAX) {
    const absl::StatusOr<std::string> payload = ReadPayload(*trace_, timeline_.transfers[transfer], from, limit);
    EXPECT_TRUE(payload.ok()) << payload.status();
    return payload.ok() ? *payload : "";
  }
  std::vector<Step> Steps(StepKind kind) const {
    std::vector<Step> steps;
    for (const Step& step : timeline_.steps) {
      if (step.kind == kind) steps.push_back(step);
    }
    return steps;
  }

  Scratch scratch_;
  TraceBuilder builder_;
  Image* httpd_ = nullptr;
  Image* curl_ = nullptr;
  std::unique_ptr<Trace> trace_;
  Timeline timeline_;
};

TEST_F(TimelineTest, BothEndsTellHowLongEachTransferWasOnTheWayAndWhoWorked) {
  Connect();
  builder_.At(2 * kMs);
  curl_->Send(5, "request");
  builder_.At(2 * kMs);
  httpd_->Recv(9, "request", {.took_ns = 200'000});  // blocked until it came
  builder_.At(3 * kMs);
  const uint64_t asked = builder_.now();
  curl_->Recv(5, "response", {.took_ns = 250 * kMs});  // blocked until it came
  builder_.At(asked + 249 * kMs);
  httpd_->Send(9, "response");
  const Timeline& t = Build();

  ASSERT_EQ(t.transfers.size(), 2u);
  EXPECT_TRUE(t.transfers[0].from_client);
  EXPECT_EQ(Payload(0), "request");
  EXPECT_EQ(t.transfers[0].received_ns - t.transfers[0].sent_ns, 199'000u);
  EXPECT_TRUE(t.transfers[1].receiver_recorded);
  EXPECT_EQ(Payload(1), "response");
  const std::vector<Step> pauses = Steps(StepKind::kPause);
  ASSERT_EQ(pauses.size(), 1u);
  EXPECT_EQ(pauses[0].pause, PauseCause::kServerWorking);
  EXPECT_NEAR(static_cast<double>(pauses[0].duration_ns), 249.8 * kMs, 0.1 * kMs);
  EXPECT_EQ(t.phases.connect_ns, 300'000u);
  EXPECT_NEAR(static_cast<double>(t.phases.wait_peer_ns), 249 * kMs, kMs);
  EXPECT_EQ(t.phases.wait_ns, t.phases.wait_peer_ns + t.phases.wait_network_ns);
  const std::vector<Step> connects = Steps(StepKind::kConnect);
  ASSERT_EQ(connects.size(), 1u);
  EXPECT_EQ(connects[0].at_ns, kMs);
  EXPECT_EQ(connects[0].duration_ns, 300'000u);
}

TEST_F(TimelineTest, PhasesAddUpToTheLife) {
  Connect();
  builder_.After(5 * kMs);
  curl_->Send(5, "a", {.took_ns = 2 * kMs});
  curl_->Poll({}, {.took_ns = 30 * kMs});
  httpd_->Recv(9, "a");
  httpd_->Send(9, "b");
  curl_->Recv(5, "b");
  builder_.After(4 * kMs);
  curl_->Close(5);
  httpd_->Close(9);
  const Timeline& t = Build();
  const Phases& p = t.phases;
  const Endpoint& client = t.connection->client();
  EXPECT_EQ(p.connect_ns + p.send_ns + p.wait_ns + p.recv_ns + p.idle_ns, t.connection->end_ns() - client.start_ns());
  EXPECT_EQ(p.send_ns, 2 * kMs);
  EXPECT_EQ(p.wait_ns, 30 * kMs);
}

TEST_F(TimelineTest, WithOneEndThePauseIsWaitingOrNotReading) {
  Connect(/*with_server=*/false);
  curl_->Send(5, "a");
  curl_->Recv(5, "b", {.took_ns = 249 * kMs});
  builder_.After(20 * kMs);
  curl_->Recv(5, "c");
  builder_.After(50 * kMs);
  curl_->Send(5, "d");
  Build();
  const std::vector<Step> pauses = Steps(StepKind::kPause);
  ASSERT_EQ(pauses.size(), 3u);
  EXPECT_EQ(pauses[0].pause, PauseCause::kWaitingForPeer);
  EXPECT_TRUE(pauses[0].from_client);
  EXPECT_NEAR(static_cast<double>(pauses[0].duration_ns), 249 * kMs, 10'000);
  EXPECT_EQ(pauses[1].pause, PauseCause::kNotReading);
  EXPECT_TRUE(pauses[1].from_client);
  EXPECT_EQ(pauses[2].pause, PauseCause::kIdle);
}

TEST_F(TimelineTest, DataThatLiesUnreadIsTheReadersPause) {
  Connect();
  curl_->Send(5, "request");
  builder_.After(80 * kMs);
  httpd_->Recv(9, "request");
  httpd_->Send(9, "response");
  curl_->Recv(5, "response");
  Build();
  const std::vector<Step> pauses = Steps(StepKind::kPause);
  ASSERT_EQ(pauses.size(), 1u);
  EXPECT_EQ(pauses[0].pause, PauseCause::kNotReading);
  EXPECT_FALSE(pauses[0].from_client) << "the server did not read";
}

TEST_F(TimelineTest, SendsInARowBecomeOneTransferUnlessThereIsAPauseOrAnAnswer) {
  Connect();
  curl_->Send(5, "one ");
  curl_->Send(5, "two ");
  builder_.After(10 * kMs);
  curl_->Send(5, "three");
  httpd_->Recv(9, "one two thr");
  httpd_->Send(9, "answer");
  curl_->Send(5, "four");
  httpd_->Recv(9, "eefour");
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 4u);
  EXPECT_EQ(Payload(0), "one two ");
  EXPECT_EQ(t.transfers[0].sends, 2u);
  EXPECT_EQ(t.transfers[0].receives, 1u);
  EXPECT_EQ(Payload(1), "three");
  EXPECT_EQ(t.transfers[1].offset, 8u);
  EXPECT_EQ(t.transfers[1].receives, 2u);
  EXPECT_FALSE(t.transfers[2].from_client);
  EXPECT_EQ(Payload(3), "four");
}

TEST_F(TimelineTest, AHalfCloseAndTheClosesAreSteps) {
  Connect();
  curl_->Send(5, "x");
  curl_->Shutdown(5, SHUT_WR);
  httpd_->Recv(9, "x");
  httpd_->Recv(9, "");
  httpd_->Close(9);
  curl_->RecvFails(5, ECONNRESET);
  curl_->Close(5);
  Build();
  const std::vector<Step> shutdowns = Steps(StepKind::kShutdown);
  ASSERT_EQ(shutdowns.size(), 1u);
  EXPECT_TRUE(shutdowns[0].from_client);
  const std::vector<Step> closes = Steps(StepKind::kClose);
  ASSERT_EQ(closes.size(), 2u);
  EXPECT_FALSE(closes[0].from_client);
  EXPECT_TRUE(closes[1].from_client);
  const std::vector<Step> errors = Steps(StepKind::kError);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].error, static_cast<uint32_t>(ECONNRESET));
}

// The socket of a stream ends by fclose, whatever that returns.
TEST_F(TimelineTest, AStreamThatIsClosedIsTheCloseOfItsSocket) {
  Connect();
  curl_->Send(5, "x");
  curl_->Call(CALL_FCLOSE, 5, -1, {.error = ECONNRESET});
  Build();
  const std::vector<Step> closes = Steps(StepKind::kClose);
  ASSERT_EQ(closes.size(), 1u);
  EXPECT_TRUE(closes[0].from_client);
  EXPECT_NE(closes[0].event, 0u);
  EXPECT_TRUE(Steps(StepKind::kError).empty());
}

TEST_F(TimelineTest, ARefusedConnectIsAStepWithItsError) {
  curl_ = &builder_.Start("curl", 4242);
  curl_->Socket(5, AF_INET, SOCK_STREAM);
  curl_->Connect(5, kServer, {.local = kClient, .error = ECONNREFUSED, .took_ns = 100'000});
  curl_->Close(5);
  const Timeline& t = Build();
  ASSERT_EQ(t.steps.size(), 1u);
  EXPECT_EQ(t.steps[0].kind, StepKind::kConnect);
  EXPECT_EQ(t.steps[0].error, static_cast<uint32_t>(ECONNREFUSED));
  EXPECT_EQ(t.steps[0].duration_ns, 100'000u);
}

TEST_F(TimelineTest, DatagramsAreMatchedBySizeAndBytesAndOneMayBeLost) {
  Image& server = builder_.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("127.0.0.1", 7));
  curl_ = &builder_.Start("client", 2);
  curl_->Socket(5, AF_INET, SOCK_DGRAM);
  curl_->Connect(5, Inet("127.0.0.1", 7), {.local = kClient});
  curl_->Send(5, "lost!");
  curl_->Send(5, "12345");
  curl_->Send(5, "third");
  server.Recv(3, "12345", {.peer = kClient});
  server.Recv(3, "third", {.peer = kClient});
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 3u);
  EXPECT_FALSE(t.transfers[0].receiver_recorded);
  EXPECT_TRUE(t.transfers[1].receiver_recorded);
  EXPECT_TRUE(t.transfers[2].receiver_recorded);
}

// A log daemon that is down for a while: thousands of datagrams are lost, those behind them are not.
TEST_F(TimelineTest, ThousandsOfLostDatagramsDoNotHideTheNextOne) {
  Image& server = builder_.Start("syslog", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("127.0.0.1", 514));
  curl_ = &builder_.Start("client", 2);
  curl_->Socket(5, AF_INET, SOCK_DGRAM);
  curl_->Connect(5, Inet("127.0.0.1", 514), {.local = kClient});
  curl_->Send(5, "first");
  server.Recv(3, "first", {.peer = kClient});
  for (int i = 0; i < 3000; ++i) curl_->Send(5, "lost!");
  curl_->Send(5, "heard");
  server.Recv(3, "heard", {.peer = kClient});
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 3002u);
  EXPECT_TRUE(t.transfers[0].receiver_recorded);
  EXPECT_FALSE(t.transfers[1].receiver_recorded);
  EXPECT_FALSE(t.transfers[3000].receiver_recorded);
  EXPECT_TRUE(t.transfers[3001].receiver_recorded);
}

// Two threads receive: the second is back from its call first.
TEST_F(TimelineTest, ADatagramThatAnotherOvertookIsNotLost) {
  Image& server = builder_.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("127.0.0.1", 7));
  curl_ = &builder_.Start("client", 2);
  curl_->Socket(5, AF_INET, SOCK_DGRAM);
  curl_->Connect(5, Inet("127.0.0.1", 7), {.local = kClient});
  curl_->Send(5, "one..");
  curl_->Send(5, "two..");
  server.Recv(3, "two..", {.peer = kClient});
  server.Recv(3, "one..", {.peer = kClient});
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 2u);
  EXPECT_TRUE(t.transfers[0].receiver_recorded);
  EXPECT_TRUE(t.transfers[1].receiver_recorded);
}

// Of datagrams that look alike, what comes after the third cannot be the first.
TEST_F(TimelineTest, ADatagramIsNotTakenForAnEarlierOneThatLooksAlike) {
  Image& server = builder_.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("127.0.0.1", 7));
  curl_ = &builder_.Start("client", 2);
  curl_->Socket(5, AF_INET, SOCK_DGRAM);
  curl_->Connect(5, Inet("127.0.0.1", 7), {.local = kClient});
  curl_->Send(5, "ping");
  curl_->Send(5, "other");
  server.Recv(3, "other", {.peer = kClient});
  curl_->Send(5, "ping");
  server.Recv(3, "ping", {.peer = kClient});
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 3u);
  EXPECT_FALSE(t.transfers[0].receiver_recorded);
  EXPECT_TRUE(t.transfers[1].receiver_recorded);
  EXPECT_TRUE(t.transfers[2].receiver_recorded);
}

TEST_F(TimelineTest, AnyRangeOfATransferCanBeRead) {
  Connect();
  curl_->Send(5, "abc");
  curl_->Send(5, "defg");
  curl_->Send(5, "h");
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 1u);
  EXPECT_EQ(t.transfers[0].kept, 8u);
  EXPECT_EQ(Payload(0), "abcdefgh");
  EXPECT_EQ(Payload(0, 2, 4), "cdef");
  EXPECT_EQ(Payload(0, 3, 1), "d");
  EXPECT_EQ(Payload(0, 7), "h");
  EXPECT_EQ(Payload(0, 8), "");
  EXPECT_EQ(Payload(0, 0, 0), "");
}

TEST_F(TimelineTest, AReceiverThatReadsAPartHasReceivedAPart) {
  Connect();
  httpd_->Send(9, std::string(5000, 'x'));
  curl_->Recv(5, std::string(10, 'x'));
  curl_->Close(5);
  const Timeline& t = Build();
  ASSERT_EQ(t.transfers.size(), 1u);
  EXPECT_EQ(t.transfers[0].size, 5000u);
  EXPECT_EQ(t.transfers[0].received_size, 10u);
}

TEST_F(TimelineTest, AnEndIsReceivedByACallThatSaysSo) {
  Connect();
  curl_->Send(5, "x");
  httpd_->Recv(9, "x");
  curl_->Close(5);
  httpd_->Close(9);
  Build();
  std::vector<Step> closes = Steps(StepKind::kClose);
  ASSERT_EQ(closes.size(), 2u);
  EXPECT_FALSE(closes[0].end_received) << "the server never asked";

  builder_ = TraceBuilder();
  Connect();
  curl_->Close(5);
  httpd_->Recv(9, "");
  Build();
  closes = Steps(StepKind::kClose);
  ASSERT_EQ(closes.size(), 1u);
  EXPECT_TRUE(closes[0].end_received);
}

TEST_F(TimelineTest, AFailedCallIsNamed) {
  Connect();
  curl_->Call(CALL_SETSOCKOPT, 5, -1, {.error = ENOPROTOOPT});
  Build();
  const std::vector<Step> errors = Steps(StepKind::kError);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].call, CALL_SETSOCKOPT);
}

TEST_F(TimelineTest, TheResolutionBeforeTheConnectIsAPhase) {
  curl_ = &builder_.Start("curl", 2);
  curl_->Resolve("localhost", {Inet("127.0.0.1", 0)}, {.took_ns = 12 * kMs});
  builder_.NextBlock();
  curl_->Socket(5, AF_INET, SOCK_STREAM);
  curl_->Connect(5, kServer, {.local = kClient});
  EXPECT_EQ(Build().phases.resolve_ns, 12 * kMs);
}

TEST_F(TimelineTest, SoIsAResolutionByGethostbyname) {
  curl_ = &builder_.Start("curl", 2);
  Event& resolution = curl_->Call(CALL_GETHOSTBYNAME, 0, 0, {.took_ns = 7 * kMs});
  resolution.set_host("localhost");
  resolution.add_answer(Inet("127.0.0.1", 0));
  curl_->Socket(5, AF_INET, SOCK_STREAM);
  curl_->Connect(5, kServer, {.local = kClient});
  EXPECT_EQ(Build().phases.resolve_ns, 7 * kMs);
}

}  // namespace
}  // namespace socktale
