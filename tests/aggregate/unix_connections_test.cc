// SPDX-License-Identifier: Apache-2.0
//
// Connections over UNIX sockets: which ends belong together, where addresses say little.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "collector/aggregate/aggregator.h"
#include "tests/aggregate/connections.h"
#include "tests/aggregate/missing_count.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using testing::Image;
using testing::MissingCount;
using testing::TraceBuilder;
using testing::Unix;

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

}  // namespace
}  // namespace socktale
