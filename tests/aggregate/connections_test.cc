// SPDX-License-Identifier: Apache-2.0
//
// Which connections the aggregator makes of events: both ends joined, one-ended ones, and how they ended.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "collector/aggregate/aggregator.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using testing::Image;
using testing::Inet;
using testing::Inet6;
using testing::TraceBuilder;
using testing::Unix;

const std::string kServer = Inet("127.0.0.1", 8080);
const std::string kClient = Inet("127.0.0.1", 51544);

uint64_t MissingCount(const Tables& tables, const std::string& kind) {
  uint64_t count = 0;
  for (const Missing& missing : tables.missing()) count += missing.kind() == kind ? missing.count() : 0;
  return count;
}

// httpd listens on *:8080 with descriptor 3.
void Listen(Image& server, const std::string& address = Inet("0.0.0.0", 8080)) {
  server.Socket(3, AF_INET, SOCK_STREAM);
  server.Bind(3, address);
  server.Listen(3);
}

TEST(TcpJoinTest, BothEndsBecomeOneConnectionWithItsTotals) {
  TraceBuilder trace;
  Image& httpd = trace.Start("httpd", 4100);
  Listen(httpd);
  Image& curl = trace.Start("curl", 4242);
  trace.At(1'000'000);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient, .took_ns = 300'000});
  httpd.Accept(3, 9, {.local = kServer, .peer = kClient});
  curl.Send(5, "GET / HTTP/1.1\r\n\r\n");
  httpd.Recv(9, "GET / HTTP/1.1\r\n\r\n");
  httpd.Send(9, "HTTP/1.1 200 OK\r\n\r\n");
  curl.Recv(5, "HTTP/1.1 200 OK\r\n\r\n");
  curl.Close(5);
  httpd.Recv(9, "");
  httpd.Close(9);
  const Tables tables = trace.Aggregate();

  ASSERT_EQ(tables.connection_size(), 1);
  const Connection& c = tables.connection(0);
  EXPECT_EQ(c.join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(c.end(), CONNECTION_END_CLOSED_BY_CLIENT);
  EXPECT_TRUE(c.client().ended_first());
  EXPECT_FALSE(c.server().ended_first());
  EXPECT_EQ(tables.process(static_cast<int>(c.client().process()) - 1).name(), "curl");
  EXPECT_EQ(tables.process(static_cast<int>(c.server().process()) - 1).name(), "httpd");
  EXPECT_EQ(c.client().fd(), 5);
  EXPECT_EQ(c.server().fd(), 9);
  EXPECT_EQ(c.client().address(), kClient);
  EXPECT_EQ(c.server().address(), kServer);
  EXPECT_EQ(c.client().sent(), 18u);
  EXPECT_EQ(c.server().received(), 18u);
  EXPECT_EQ(c.client().received(), 19u);
  EXPECT_EQ(c.client().kept_received(), 19u);
  EXPECT_EQ(c.client().established_ns() - c.client().start_ns(), 300'000u);
  EXPECT_NE(c.end_ns(), 0u);
  EXPECT_EQ(tables.missing_size(), 0) << tables.missing(0).DebugString();
}

TEST(TcpJoinTest, MappedIpv6AddressesEqualIpv4) {
  TraceBuilder trace;
  Image& server = trace.Start("java", 1);
  Image& client = trace.Start("curl", 2);
  server.Socket(3, AF_INET6, SOCK_STREAM);
  server.Bind(3, Inet6("::", 8080));
  server.Listen(3);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 4, {.local = Inet6("::ffff:127.0.0.1", 8080), .peer = Inet6("::ffff:127.0.0.1", 51544)});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_OPEN);
}

TEST(TcpJoinTest, AnAcceptThatSaysNoLocalAddressIsMatchedByTheListenersWildcard) {
  TraceBuilder trace;
  Image& server = trace.Start("httpd", 1);
  Listen(server);
  Image& client = trace.Start("curl", 2);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 4, {.peer = kClient});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(tables.connection(0).server().address(), kServer);
}

TEST(TcpJoinTest, PortsUsedAgainJoinTheNearestInTime) {
  TraceBuilder trace;
  Image& server = trace.Start("httpd", 1);
  Listen(server);
  Image& client = trace.Start("curl", 2);
  for (int i = 0; i < 3; ++i) {
    trace.After(1'000'000);
    client.Socket(5, AF_INET, SOCK_STREAM);
    client.Connect(5, kServer, {.local = kClient});
    server.Accept(3, 9, {.local = kServer, .peer = kClient});
    client.Send(5, std::string(static_cast<size_t>(i) + 1, 'x'));
    server.Recv(9, std::string(static_cast<size_t>(i) + 1, 'x'));
    client.Close(5);
    server.Close(9);
  }
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(tables.connection(i).client().sent(), static_cast<uint64_t>(i) + 1);
    EXPECT_EQ(tables.connection(i).server().received(), static_cast<uint64_t>(i) + 1);
  }
}

TEST(TcpJoinTest, OtherNetworkNamespacesDoNotJoin) {
  TraceBuilder trace;
  Image& server = trace.Start("httpd", 1);
  Listen(server);
  Image& client = trace.Start("curl", 2);
  client.Call(CALL_ATTACHED, 0, 0).set_network_namespace(77);  // as another machine's
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 4, {.local = kServer, .peer = kClient});
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(MissingCount(tables, "one_ended"), 2u);
}

TEST(TcpConnectTest, EachFailedAttemptIsAConnection) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient, .error = ECONNREFUSED});
  curl.Connect(5, kServer, {.local = kClient, .error = ETIMEDOUT});
  curl.Close(5);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_REFUSED);
  EXPECT_EQ(tables.connection(0).error(), static_cast<uint32_t>(ECONNREFUSED));
  EXPECT_NE(tables.connection(0).end_ns(), 0u);
  EXPECT_EQ(tables.connection(1).end(), CONNECTION_END_TIMED_OUT);
  EXPECT_EQ(tables.missing_size(), 0) << "nothing is missing of what never was";
}

TEST(TcpConnectTest, WithoutBlockingItIsEstablishedByTheFirstSignOfIt) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  curl.Connect(5, kServer, {.local = kClient, .error = EINPROGRESS});
  const uint64_t polled_ns = trace.now() + 1000;
  Polled writable;
  writable.set_fd(5);
  writable.set_events(POLLOUT);
  writable.set_revents(POLLOUT);
  curl.Poll({writable});
  curl.GetSockError(5, 0);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).client().established_ns(), polled_ns);
}

TEST(TcpConnectTest, ConnectingOnceMoreToAskHowItWentIsTheSameConnection) {
  TraceBuilder trace;
  Image& redis_cli = trace.Start("redis-cli", 2);
  redis_cli.Socket(3, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  redis_cli.Connect(3, kServer, {.local = kClient, .error = EINPROGRESS});
  Polled writable;
  writable.set_fd(3);
  writable.set_events(POLLOUT);
  writable.set_revents(POLLOUT);
  redis_cli.Poll({writable});
  redis_cli.Connect(3, kServer, {.local = kClient});
  redis_cli.Send(3, "PING");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).client().sent(), 4u);
}

TEST(TcpConnectTest, WithoutBlockingRefusedIsToldBySoError) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  curl.Connect(5, kServer, {.local = kClient, .error = EINPROGRESS});
  Polled writable;
  writable.set_fd(5);
  writable.set_revents(POLLOUT);
  curl.Poll({writable});
  curl.GetSockError(5, ECONNREFUSED);
  curl.Close(5);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_REFUSED);
  EXPECT_EQ(tables.connection(0).client().established_ns(), 0u);
}

// The server accepts, and resets before the client asks how its connect went.
TEST(TcpConnectTest, ResetBeforeItIsKnownToBeEstablishedHasBothEnds) {
  TraceBuilder trace;
  Image& httpd = trace.Start("httpd", 4100);
  Listen(httpd);
  Image& curl = trace.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  curl.Connect(5, kServer, {.local = kClient, .error = EINPROGRESS});
  httpd.Accept(3, 9, {.local = kServer, .peer = kClient});
  httpd.Send(9, "bye");
  httpd.Close(9);
  curl.GetSockError(5, ECONNRESET);
  curl.Close(5);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  const Connection& c = tables.connection(0);
  EXPECT_EQ(c.join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(c.end(), CONNECTION_END_RESET);
  EXPECT_EQ(c.client().fd(), 5);
  EXPECT_EQ(c.server().fd(), 9);
  EXPECT_EQ(c.server().sent(), 3u);
  EXPECT_EQ(MissingCount(tables, "one_ended"), 0u);
}

// The same ports twice: what was accepted belongs to the attempt that was established.
TEST(TcpConnectTest, AResetAttemptTakesNoServerFromTheNextOne) {
  TraceBuilder trace;
  Image& httpd = trace.Start("httpd", 4100);
  Listen(httpd);
  Image& curl = trace.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient, .error = ECONNRESET});
  curl.Close(5);
  curl.Socket(6, AF_INET, SOCK_STREAM);
  curl.Connect(6, kServer, {.local = kClient});
  httpd.Accept(3, 9, {.local = kServer, .peer = kClient});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ONE_END);
  EXPECT_EQ(tables.connection(1).join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(tables.connection(1).client().fd(), 6);
}

TEST(ConnectionEndTest, ResetIsToldFromClosed) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient});
  curl.Send(5, "x");
  curl.RecvFails(5, ECONNRESET);
  curl.Close(5);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_RESET);
  EXPECT_EQ(MissingCount(tables, "one_ended"), 1u);
}

TEST(ConnectionEndTest, EndOfStreamReadFirstMeansTheOtherSideClosed) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient});
  curl.Recv(5, "bye");
  curl.Recv(5, "");
  curl.Close(5);
  EXPECT_EQ(trace.Aggregate().connection(0).end(), CONNECTION_END_CLOSED_BY_SERVER);
}

TEST(ConnectionEndTest, ADuplicateKeepsTheConnectionOpen) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient});
  curl.Dup(5, 6);
  curl.Close(5);
  EXPECT_EQ(trace.Aggregate().connection(0).end(), CONNECTION_END_OPEN);
  curl.Send(6, "still here");
  curl.Close(6);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
  EXPECT_EQ(tables.connection(0).client().sent(), 10u);
  EXPECT_EQ(tables.connection(0).client().fd(), 6) << "the descriptor that talked most";
}

// accept, pass it on, close it here; the worker goes on with it.
TEST(ConnectionEndTest, ASocketOnItsWayToAnotherProcessIsNotOver) {
  for (const bool closed_first : {false, true}) {
    TraceBuilder trace;
    Image& server = trace.Start("httpd", 1);
    Image& worker = trace.Start("worker", 3);
    Listen(server);
    server.SocketPair(6, 7, AF_UNIX, SOCK_STREAM);
    Image& client = trace.Start("curl", 2);
    client.Socket(5, AF_INET, SOCK_STREAM);
    client.Connect(5, kServer, {.local = kClient});
    server.Accept(3, 9, {.local = kServer, .peer = kClient, .cookie = 900});
    server.Send(6, "x", {.passed = {9}});
    server.Close(9);
    trace.After(100'000);
    if (closed_first) client.Close(5);
    worker.Recv(7, "x", {.passed = {4}});
    worker.FoundSocket(4, AF_INET, SOCK_STREAM, {.cookie = 900});
    worker.Send(4, "late");
    if (!closed_first) {
      EXPECT_EQ(trace.Aggregate().connection(0).end(), CONNECTION_END_OPEN);
      EXPECT_EQ(trace.Aggregate().connection(0).server().end_ns(), 0u);
    }
    trace.After(100'000);
    const uint64_t closed_ns = trace.now();
    worker.Close(4);
    const Tables tables = trace.Aggregate();
    const Connection& c = tables.connection(0);
    EXPECT_EQ(c.join(), JOIN_KIND_ADDRESSES);
    EXPECT_EQ(c.server().end_ns(), closed_ns);
    EXPECT_EQ(c.end(), closed_first ? CONNECTION_END_CLOSED_BY_CLIENT : CONNECTION_END_CLOSED_BY_SERVER);
  }
}

TEST(ConnectionEndTest, ConnectingToNobodyEndsTheConnection) {
  TraceBuilder trace;
  Image& client = trace.Start("curl", 2);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  client.Send(5, "one");
  client.Connect(5, std::string(16, '\0'));
  client.Connect(5, Inet("127.0.0.1", 9090), {.local = Inet("127.0.0.1", 51545)});
  client.Send(5, "four");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
  EXPECT_EQ(tables.connection(0).client().sent(), 3u);
  EXPECT_EQ(tables.connection(1).end(), CONNECTION_END_OPEN);
  EXPECT_EQ(tables.connection(1).server().address(), Inet("127.0.0.1", 9090));
  EXPECT_EQ(tables.connection(1).client().sent(), 4u);
}

TEST(ConnectionEndTest, NeverClosedEndsWithItsProcessAndStaysOpen) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 512);
  api.Socket(23, AF_INET, SOCK_STREAM);
  api.Connect(23, kServer, {.local = kClient});
  api.Exit(0);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_OPEN);
  EXPECT_EQ(tables.connection(0).end_ns(), tables.process(0).end_ns());
  EXPECT_EQ(tables.life(0).end(), LIFE_END_PROCESS);
}

TEST(ConnectionEndTest, AProcessThatLeavesWithoutClosingEndedFirstWhenThePeerSawIt) {
  TraceBuilder trace;
  Image& server = trace.Start("redis-server", 1);
  Listen(server);
  Image& client = trace.Start("redis-cli", 2);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 9, {.local = kServer, .peer = kClient});
  client.Exit(0);
  server.Recv(9, "");
  server.Close(9);
  EXPECT_EQ(trace.Aggregate().connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
}

// The end of a process is noticed when its arena is looked at, which may be after the peer has read the end and closed.
TEST(ConnectionEndTest, WhatThePeerReadSaysWhoEndedFirstHoweverLateTheExitIsNoticed) {
  TraceBuilder trace;
  Image& server = trace.Start("redis-server", 1);
  Listen(server);
  Image& client = trace.Start("redis-cli", 2);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 9, {.local = kServer, .peer = kClient});
  server.Recv(9, "");
  server.Close(9);
  trace.After(1'000'000);
  client.Exit(0);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
  EXPECT_TRUE(tables.connection(0).client().ended_first());
}

TEST(ConnectionEndTest, TheEndThatAShutdownForReadingMakesIsNotThePeers) {
  TraceBuilder trace;
  Image& server = trace.Start("redis-server", 1);
  Listen(server);
  Image& client = trace.Start("redis-cli", 2);
  client.Socket(5, AF_INET, SOCK_STREAM);
  client.Connect(5, kServer, {.local = kClient});
  server.Accept(3, 9, {.local = kServer, .peer = kClient});
  server.Shutdown(9, SHUT_RD);
  server.Recv(9, "");
  server.Close(9);
  client.Recv(5, "");
  client.Close(5);
  EXPECT_EQ(trace.Aggregate().connection(0).end(), CONNECTION_END_CLOSED_BY_SERVER);
}

// The continuation that the first part announces is not in the file.
TEST(ConnectionTest, APayloadThatBreaksOffIsNotTakenForOneThatWasCutByTheLimit) {
  TraceBuilder trace;
  Image& wget = trace.Start("wget", 2);
  wget.Socket(5, AF_INET, SOCK_STREAM);
  wget.Connect(5, kServer, {.local = kClient});
  Event& dropped = wget.Call(CALL_RECV, 5, 30, {.notes = EVENT_NOTE_MORE});
  dropped.set_payload("01234");
  dropped.set_payload_size(30);
  Event& cut = wget.Call(CALL_RECV, 5, 100, {.notes = EVENT_NOTE_CUT | EVENT_NOTE_MORE});
  cut.set_payload("abc");
  cut.set_payload_size(100);
  Event& rest_of_it = wget.Call(CALL_RECV, 5, 0, {.notes = EVENT_NOTE_CUT});
  rest_of_it.set_payload("def");
  rest_of_it.set_continuation(3);
  Event& last = wget.Call(CALL_RECV, 5, 10, {.notes = EVENT_NOTE_MORE});
  last.set_payload("0");
  last.set_payload_size(10);
  Event& next = wget.Call(CALL_RECV, 5, 0, {.notes = EVENT_NOTE_MORE});
  next.set_payload("123");
  next.set_continuation(1);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(MissingCount(tables, "payload_cut"), 94u);
  EXPECT_EQ(MissingCount(tables, "payload_broken_off"), 25u + 6u);
}

TEST(ConnectionTest, PeekedBytesDoNotCountAndPartsOfOneCallDo) {
  TraceBuilder trace;
  Image& wget = trace.Start("wget", 2);
  wget.Socket(5, AF_INET, SOCK_STREAM);
  wget.Connect(5, kServer, {.local = kClient});
  wget.Recv(5, "peeked", {.notes = EVENT_NOTE_PEEK});
  Event& first = wget.Call(CALL_RECV, 5, 10, {.notes = EVENT_NOTE_MORE});
  first.set_payload("01234");
  first.set_payload_size(10);
  trace.NextBlock();
  Event& second = wget.Call(CALL_RECV, 5, 0);
  second.set_payload("56789");
  second.set_continuation(5);
  Event& cut = wget.Call(CALL_RECV, 5, 100, {.notes = EVENT_NOTE_CUT});
  cut.set_payload("abc");
  cut.set_payload_size(100);
  Event& sent = wget.Call(CALL_SENDFILE, 5, 50, {.notes = EVENT_NOTE_NOT_SEEN});
  sent.set_payload_size(50);
  const Tables tables = trace.Aggregate();
  const Endpoint& end = tables.connection(0).client();
  EXPECT_EQ(end.received(), 110u);
  EXPECT_EQ(end.kept_received(), 13u);
  EXPECT_EQ(end.sent(), 50u);
  EXPECT_EQ(MissingCount(tables, "payload_cut"), 97u);
  EXPECT_EQ(MissingCount(tables, "payload_not_seen"), 50u);
}

TEST(ConnectionTest, WhatIsSplicedCountsAtTheEndThatIsASocket) {
  TraceBuilder trace;
  Image& proxy = trace.Start("proxy", 2);
  proxy.Socket(5, AF_INET, SOCK_STREAM);
  proxy.Connect(5, kServer, {.local = kClient});
  Event& pipe = proxy.Call(CALL_PIPE, 6, 0);
  pipe.set_new_fd(7);
  Event& in = proxy.Call(CALL_SPLICE, 7, 30, {.notes = EVENT_NOTE_NOT_SEEN});
  in.set_new_fd(5);
  in.set_payload_size(30);
  Event& out = proxy.Call(CALL_SPLICE, 5, 20, {.notes = EVENT_NOTE_NOT_SEEN});
  out.set_new_fd(6);
  out.set_payload_size(20);
  Event& at_its_place = proxy.Call(CALL_PWRITEV2, 5, 2);
  at_its_place.set_payload("ab");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).client().received(), 30u);
  EXPECT_EQ(tables.connection(0).client().sent(), 22u);
  EXPECT_EQ(tables.connection(0).client().kept_sent(), 2u);
}

TEST(ConnectionTest, TheNameResolvedLastIsTheConnectionsHost) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Resolve("old.example", {Inet("10.0.0.7", 0)});
  curl.Resolve("db.internal", {Inet("10.0.0.7", 80)});
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("10.0.0.7", 5432), {.local = kClient});
  curl.Resolve("later.example", {Inet("10.0.0.7", 0)});
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection(0).host(), "db.internal");
  EXPECT_EQ(tables.name_size(), 3);
  EXPECT_EQ(tables.name(1).address(), Inet("10.0.0.7", 0));
}

TEST(ConnectionTest, WaitIsTimeAskedForNotTimeIdle) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, kServer, {.local = kClient});
  curl.Send(5, "a");
  curl.Poll({}, {.took_ns = 40'000'000});  // for the answer
  curl.Recv(5, "b");
  curl.Poll({}, {.took_ns = 900'000'000});  // for whatever may come: its own next request came first
  curl.Send(5, "c");
  curl.Recv(5, "d", {.took_ns = 7'000'000});  // blocked
  EXPECT_EQ(trace.Aggregate().connection(0).client().wait_ns(), 47'000'000u);
}

TEST(ConnectionTest, ASocketFoundConnectedIsAOneEndedConnectionAndJoins) {
  TraceBuilder trace;
  Image& server = trace.Start("sshd", 1);
  Event& found = server.FoundSocket(4, AF_INET, SOCK_STREAM, {.local = kServer, .peer = kClient, .cookie = 71});
  EXPECT_EQ(found.peer_address(), kClient);
  server.Send(4, "SSH-2.0");
  Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ONE_END);
  EXPECT_EQ(tables.connection(0).server().sent(), 7u) << "the lower port is the server's";
  Image& client = trace.Start("ssh", 2);
  client.FoundSocket(3, AF_INET, SOCK_STREAM, {.local = kClient, .peer = kServer, .cookie = 72});
  client.Recv(3, "SSH-2.0");
  tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(tables.connection(0).client().received(), 7u);
}

TEST(ConnectionTest, NetlinkIsNoConnection) {
  TraceBuilder trace;
  Image& ip = trace.Start("ip", 2);
  ip.Socket(3, AF_NETLINK, SOCK_RAW);
  ip.Send(3, "request", {.peer = std::string("\x10\0\0\0\0\0\0\0\0\0\0\0", 12)});
  ip.Recv(3, "answer");
  EXPECT_EQ(trace.Aggregate().connection_size(), 0);
}

TEST(UdpTest, OneServerSocketServesAConnectionPerPeer) {
  const std::string bound = Inet("0.0.0.0", 5353);
  const std::string server_address = Inet("127.0.0.1", 5353);
  TraceBuilder trace;
  Image& server = trace.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, bound);
  Image& one = trace.Start("one", 2);
  Image& two = trace.Start("two", 3);
  const std::string one_address = Inet("127.0.0.1", 40001);
  const std::string two_address = Inet("127.0.0.1", 40002);
  one.Socket(5, AF_INET, SOCK_DGRAM);
  one.Connect(5, server_address, {.local = one_address});
  two.Socket(5, AF_INET, SOCK_DGRAM);
  one.Send(5, "first");
  two.Send(5, "the second", {.local = Inet("0.0.0.0", 40002), .peer = server_address});
  server.Recv(3, "first", {.peer = one_address});
  server.Send(3, "FIRST", {.peer = one_address});
  server.Recv(3, "the second", {.peer = two_address});
  server.Send(3, "THE SECOND", {.peer = two_address});
  one.Recv(5, "FIRST");
  two.Recv(5, "THE SECOND", {.peer = server_address});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  for (int i = 0; i < 2; ++i) {
    const Connection& c = tables.connection(i);
    const uint64_t size = i == 0 ? 5 : 10;
    EXPECT_EQ(c.join(), JOIN_KIND_ADDRESSES);
    EXPECT_EQ(c.client().sent(), size);
    EXPECT_EQ(c.server().received(), size);
    EXPECT_EQ(c.server().sent(), size);
    EXPECT_EQ(c.client().received(), size);
    EXPECT_EQ(c.server().fd(), 3);
  }
  EXPECT_EQ(tables.object(0).connection(), 0u) << "serves several";
}

TEST(UdpTest, EachMessageOfOneCallGoesToItsPeer) {
  TraceBuilder trace;
  Image& server = trace.Start("dns", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("0.0.0.0", 53));
  Event& event = server.Call(CALL_RECVMMSG, 3, 3);
  event.set_payload("aabbbc");
  for (const auto& [size, port] : std::vector<std::pair<uint64_t, uint16_t>>{{2, 1001}, {3, 1002}, {1, 1001}}) {
    Datagram& datagram = *event.add_datagram();
    datagram.set_size(size);
    datagram.set_address(Inet("127.0.0.1", port));
  }
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(tables.connection(0).server().received(), 3u);
  EXPECT_EQ(tables.connection(0).server().kept_received(), 3u);
  EXPECT_EQ(tables.connection(1).server().received(), 3u);
}

// Anyone can send from any address: beyond a number of them peers are one.
TEST(UdpTest, PeersWithoutEndBecomeOneConnection) {
  TraceBuilder trace;
  Image& server = trace.Start("dns", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("0.0.0.0", 53));
  for (uint16_t port = 1; port <= 100; ++port) server.Recv(3, "query", {.peer = Inet("127.0.0.1", port)});
  server.Recv(3, "again", {.peer = Inet("127.0.0.1", 1)});
  Aggregator aggregator(Limits{.peers = 10});
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.connection_size(), 11);
  EXPECT_EQ(tables.connection(0).server().received(), 10u) << "the first are still told apart";
  EXPECT_EQ(tables.connection(10).server().received(), 90u * 5);
  EXPECT_EQ(tables.connection(10).client().address(), "");
  EXPECT_EQ(MissingCount(tables, "many_peers"), 90u);
}

TEST(UdpTest, ASocketThatNeverSentMakesNoConnection) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 1);
  curl.Socket(3, AF_INET, SOCK_DGRAM);
  curl.Connect(3, Inet("8.8.8.8", 53), {.local = Inet("10.0.0.1", 4000)});
  curl.Close(3);
  EXPECT_EQ(trace.Aggregate().connection_size(), 0);
}

TEST(UnixTest, CredentialsAndOrderJoinConnectsWithAccepts) {
  TraceBuilder trace;
  Image& server = trace.Start("dbd", 10);
  server.Socket(3, AF_UNIX, SOCK_STREAM);
  server.Bind(3, Unix("db.sock"));  // relative to /home/user
  server.Listen(3);
  Image& a = trace.Start("a", 20);
  Image& b = trace.Start("b", 30);
  b.Socket(5, AF_UNIX, SOCK_STREAM);
  b.Connect(5, Unix("/home/user/db.sock"));
  a.Socket(5, AF_UNIX, SOCK_STREAM);
  a.Connect(5, Unix("/home/user/./db.sock"));
  a.Socket(6, AF_UNIX, SOCK_STREAM);
  a.Connect(6, Unix("db.sock"));
  server.Accept(3, 7, {.peer = Unix(""), .peer_pid = 30});
  server.Accept(3, 8, {.peer = Unix(""), .peer_pid = 20});
  server.Accept(3, 9, {.peer = Unix(""), .peer_pid = 20});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 3);
  const std::vector<std::pair<int, int>> fds = {{5, 7}, {5, 8}, {6, 9}};
  for (int i = 0; i < 3; ++i) {
    const Connection& c = tables.connection(i);
    EXPECT_EQ(c.join(), JOIN_KIND_ORDER);
    EXPECT_EQ(c.client().fd(), fds[static_cast<size_t>(i)].first);
    EXPECT_EQ(c.server().fd(), fds[static_cast<size_t>(i)].second);
    EXPECT_EQ(c.unix_path(), "/home/user/db.sock");
  }
}

TEST(UnixTest, TwoCandidatesAtTheSameTimeAreAGuess) {
  TraceBuilder trace;
  Image& server = trace.Start("dbd", 10);
  server.Socket(3, AF_UNIX, SOCK_STREAM);
  server.Bind(3, Unix("@db"));
  server.Listen(3);
  Image& a = trace.Start("a", 20);
  a.Socket(5, AF_UNIX, SOCK_STREAM);
  a.Socket(6, AF_UNIX, SOCK_STREAM);
  const uint64_t now = trace.now();
  a.Connect(5, Unix("@db"), {.took_ns = 50'000});
  trace.At(now + 100);
  a.tid = 21;
  a.Connect(6, Unix("@db"), {.took_ns = 50'000});
  server.Accept(3, 7, {.peer_pid = 20});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 2);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_GUESSED);
  EXPECT_EQ(tables.connection(0).unix_path(), "@db");
  EXPECT_EQ(MissingCount(tables, "guessed_join"), 1u);
}

// Connects that nobody accepted, many of them, do not hide those that came later.
TEST(UnixTest, ConnectsToAnEarlierListenerAreNotWeighed) {
  TraceBuilder trace;
  Image& first = trace.Start("redis", 1);
  first.Socket(3, AF_UNIX, SOCK_STREAM);
  first.Bind(3, Unix("/run/r.sock"));
  first.Listen(3);
  Image& client = trace.Start("cli", 2);
  for (int i = 0; i < 300; ++i) {
    client.Socket(5, AF_UNIX, SOCK_STREAM);
    client.Connect(5, Unix("/run/r.sock"), {.peer_pid = 1});
    client.Close(5);
  }
  first.Exit(0);
  Image& server = trace.Start("redis", 9);
  server.Socket(3, AF_UNIX, SOCK_STREAM);
  server.Bind(3, Unix("/run/r.sock"));
  server.Listen(3);
  for (const uint32_t peer_pid : {2u, 0u, 2u, 0u, 2u}) {
    client.Socket(5, AF_UNIX, SOCK_STREAM);
    client.Connect(5, Unix("/run/r.sock"), {.peer_pid = 9});
    server.Accept(3, 4, {.peer_pid = peer_pid});
    client.Close(5);
    server.Close(4);
  }
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection_size(), 305);
  EXPECT_EQ(MissingCount(tables, "one_ended"), 300u);
}

// SO_PEERCRED counts in the namespace of who asks: from outside a container and from within.
TEST(UnixTest, CredentialsFitInAnyPidNamespace) {
  for (const uint32_t seen : {1u, 77u}) {
    TraceBuilder trace;
    Image& server = trace.Start("redis", 9);
    server.Socket(3, AF_UNIX, SOCK_STREAM);
    server.Bind(3, Unix("/run/r.sock"));
    server.Listen(3);
    Image& other = trace.Start("cli", 3);
    other.Socket(5, AF_UNIX, SOCK_STREAM);
    other.Connect(5, Unix("/run/r.sock"));
    const uint64_t fork_ns = trace.now();
    server.Call(CALL_FORK, 0, 77).set_pid(77);
    trace.At(fork_ns);
    Image& inside = trace.Unattached(50);
    Event& attached = inside.Call(CALL_ATTACHED, 0, 0);
    attached.set_pid(1);
    attached.set_reason(ATTACH_REASON_FORK);
    attached.set_parent_process(server.number);
    attached.set_pid_namespace(500);
    inside.Socket(5, AF_UNIX, SOCK_STREAM);
    inside.Connect(5, Unix("/run/r.sock"));
    server.Accept(3, 4, {.peer_pid = seen});
    const Tables tables = trace.Aggregate();
    ASSERT_EQ(tables.connection_size(), 2);
    EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ONE_END);
    EXPECT_EQ(tables.connection(1).join(), JOIN_KIND_ORDER);
    EXPECT_EQ(tables.process(static_cast<int>(tables.connection(1).client().process()) - 1).pid(), 77u);
  }
}

// Senders without a name look alike to the socket that they send to.
TEST(UnixTest, DatagramsOfManyNamelessSendersAreNotGuessed) {
  TraceBuilder trace;
  Image& log = trace.Start("syslog", 1);
  log.Socket(3, AF_UNIX, SOCK_DGRAM);
  log.Bind(3, Unix("/dev/log"));
  Image& app = trace.Start("app", 2);
  for (int fd = 10; fd < 1010; ++fd) {
    app.Socket(fd, AF_UNIX, SOCK_DGRAM);
    app.Send(fd, "x", {.peer = Unix("/dev/log")});
    log.Recv(3, "x");
  }
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection_size(), 1001);
  EXPECT_EQ(MissingCount(tables, "one_ended"), 1001u);
}

TEST(UnixTest, DatagramsJoinByTheNamesOfBothSockets) {
  TraceBuilder trace;
  Image& log = trace.Start("logd", 10);
  log.Socket(3, AF_UNIX, SOCK_DGRAM);
  log.Bind(3, Unix("/run/log"));
  Image& a = trace.Start("a", 20);
  a.Socket(5, AF_UNIX, SOCK_DGRAM);
  a.Bind(5, Unix("/run/a"));
  a.Send(5, "hello", {.peer = Unix("/run/log")});
  log.Recv(3, "hello", {.peer = Unix("/run/a")});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  EXPECT_EQ(tables.connection(0).join(), JOIN_KIND_ADDRESSES);
  EXPECT_EQ(tables.connection(0).unix_path(), "/run/log");
}

TEST(UnixTest, ASocketpairIsAConnectionOfItsTwoHalves) {
  TraceBuilder trace;
  Image& parent = trace.Start("sh", 10);
  parent.SocketPair(3, 4, AF_UNIX, SOCK_STREAM);
  Image& child = parent.Fork(11);
  parent.Close(4);
  child.Close(3);
  parent.Send(3, "ping");
  child.Recv(4, "ping");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.connection_size(), 1);
  const Connection& c = tables.connection(0);
  EXPECT_EQ(c.join(), JOIN_KIND_PAIR);
  EXPECT_EQ(tables.process(static_cast<int>(c.client().process()) - 1).pid(), 10u);
  EXPECT_EQ(tables.process(static_cast<int>(c.server().process()) - 1).pid(), 11u);
  EXPECT_EQ(c.server().received(), 4u);
}

TEST(UnixTest, ASocketpairThatAProcessKeepsToWakeItselfIsNoConnection) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 10);
  curl.SocketPair(3, 4, AF_UNIX, SOCK_STREAM);
  curl.Send(4, "!");  // wakes a poll; nobody reads it
  curl.Close(3);
  curl.Close(4);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.connection_size(), 0);
  EXPECT_EQ(tables.object(0).pair(), 2u);
  EXPECT_EQ(tables.missing_size(), 0);
}

// A server of a hundred peers: the calls on its socket that belong to none of them are not repeated for each.
TEST(BlocksTest, ASocketsOwnBlocksAreNotCopiedToEachOfItsManyPeers) {
  TraceBuilder trace;
  Image& server = trace.Start("dns", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("0.0.0.0", 53));
  for (uint16_t port = 1; port <= 100; ++port) {
    trace.NextBlock();
    server.RecvFails(3, EAGAIN);
    server.Recv(3, "query", {.peer = Inet("127.0.0.1", port)});
  }
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  aggregator.Snapshot(trace.now());
  const std::vector<ConnectionBlocks> blocks = aggregator.BlocksOfConnections();
  ASSERT_EQ(blocks.size(), 100u);
  for (const ConnectionBlocks& entry : blocks) EXPECT_LE(entry.block_size(), 5);
  EXPECT_THAT(blocks.back().block(), ::testing::AllOf(::testing::Contains(1u), ::testing::Contains(101u)));
}

TEST(BlocksTest, AConnectionKnowsTheBlocksOfItsEvents) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 2);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  trace.NextBlock();
  curl.Open(6, "/etc/hosts");
  trace.NextBlock();
  curl.Connect(5, kServer, {.local = kClient});
  trace.NextBlock();
  curl.Close(6);
  trace.NextBlock();
  curl.Send(5, "x");
  curl.Close(5);
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  aggregator.Snapshot(trace.now());
  const std::vector<ConnectionBlocks> blocks = aggregator.BlocksOfConnections();
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].connection(), 1u);
  EXPECT_THAT(blocks[0].block(), ElementsAre(1, 3, 5));
}

}  // namespace
}  // namespace socktale
