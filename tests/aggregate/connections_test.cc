// SPDX-License-Identifier: Apache-2.0
//
// What is counted on connections of any kind, connections over UDP, and the blocks that hold them.

#include "tests/aggregate/connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "collector/aggregate/aggregator.h"
#include "tests/aggregate/missing_count.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using testing::Image;
using testing::Inet;
using testing::kClient;
using testing::kServer;
using testing::MissingCount;
using testing::TraceBuilder;

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
