// SPDX-License-Identifier: Apache-2.0
//
// Connections over TCP: which ends belong together, attempts to connect, and how connections ended.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "collector/aggregate/aggregator.h"
#include "tests/aggregate/connections.h"
#include "tests/aggregate/missing_count.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using testing::Image;
using testing::Inet;
using testing::Inet6;
using testing::kClient;
using testing::kServer;
using testing::Listen;
using testing::MissingCount;
using testing::TraceBuilder;

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

}  // namespace
}  // namespace socktale
