// SPDX-License-Identifier: Apache-2.0
//
// A trace opened: sealed, left by a killed recorder, still growing; its events in order.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "proto/trace_file_writer.h"
#include "tests/model/scratch.h"
#include "tests/support/trace_builder.h"
#include "viewer/names/ids.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Image;
using testing::Inet;
using ::testing::Pair;
using testing::Scratch;
using testing::TraceBuilder;
using ::testing::UnorderedElementsAre;

const std::string kServer = Inet("127.0.0.1", 8080);

std::string Client(int n) { return Inet("127.0.0.1", static_cast<uint16_t>(50000 + n)); }

// Two connections of one server, the second one's events in blocks of their own.
void TwoConnections(TraceBuilder& trace) {
  Image& httpd = trace.Start("httpd", 4100);
  httpd.Socket(3, AF_INET, SOCK_STREAM);
  httpd.Bind(3, kServer);
  httpd.Listen(3);
  Image& curl = trace.Start("curl", 4242);
  for (const int n : {1, 2}) {
    trace.NextBlock();
    curl.Socket(5, AF_INET, SOCK_STREAM);
    curl.Connect(5, kServer, {.local = Client(n)});
    httpd.Accept(3, 9, {.local = kServer, .peer = Client(n)});
    trace.NextBlock();
    curl.Send(5, n == 1 ? "one" : "two");
    httpd.Recv(9, n == 1 ? "one" : "two");
    curl.Close(5);
    httpd.Close(9);
  }
}

std::vector<Call> CallsOf(Trace& trace, const Connection& connection, bool client) {
  std::vector<Call> calls;
  EXPECT_TRUE(trace
                  .ForEachEventOf(connection,
                                  [&](const TracedEvent& traced) {
                                    EXPECT_EQ(traced.connection, &connection);
                                    if (traced.from_client == client) calls.push_back(traced.event->call);
                                    return true;
                                  })
                  .ok());
  return calls;
}

TEST(TraceTest, ASealedTraceHasItsTablesAndItsEventsByConnection) {
  for (const bool sealed : {true, false}) {
    TraceBuilder builder;
    TwoConnections(builder);
    Scratch scratch;
    absl::StatusOr<Trace> trace = scratch.Open(builder, sealed);
    ASSERT_TRUE(trace.ok()) << trace.status();
    EXPECT_EQ(trace->tables().sealed(), sealed);
    EXPECT_EQ(trace->tables().missing_size(), sealed ? 0 : 1);
    if (!sealed) {
      EXPECT_EQ(trace->tables().missing(0).kind(), "cut_off");
    }
    ASSERT_EQ(trace->tables().connection_size(), 2);
    for (const uint32_t id : {1u, 2u}) {
      const Connection* c = trace->connection(id);
      ASSERT_NE(c, nullptr);
      EXPECT_EQ(c->join(), JOIN_KIND_ADDRESSES);
      EXPECT_THAT(CallsOf(*trace, *c, true), ElementsAre(CALL_SOCKET, CALL_CONNECT, CALL_SENDTO, CALL_CLOSE));
      EXPECT_THAT(CallsOf(*trace, *c, false), ElementsAre(CALL_ACCEPT, CALL_RECVFROM, CALL_CLOSE));
    }
  }
}

TEST(TraceTest, EventsKnowTheirSurroundings) {
  TraceBuilder builder;
  TwoConnections(builder);
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  std::vector<std::string> accepts;
  uint64_t last_ns = 0;
  std::vector<bool> seen(trace->tables().event_count() + 1, false);
  ASSERT_TRUE(trace
                  ->ForEachEvent([&](const TracedEvent& traced) {
                    EXPECT_GE(traced.event->start_ns, last_ns);
                    last_ns = traced.event->start_ns;
                    EXPECT_FALSE(seen.at(traced.number));
                    seen.at(traced.number) = true;
                    if (traced.event->call == CALL_ACCEPT) {
                      accepts.push_back(ProcessLabel(*traced.process) + "/" + std::to_string(traced.life->fd()) + "#" +
                                        std::to_string(traced.life->generation()) + " c" +
                                        std::to_string(traced.connection->id()));
                    }
                    return true;
                  })
                  .ok());
  EXPECT_THAT(accepts, ElementsAre("httpd[4100]/9#1 c1", "httpd[4100]/9#2 c2"));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<ptrdiff_t>(trace->tables().event_count()));
}

TEST(TraceTest, AVisitorCanStop) {
  TraceBuilder builder;
  TwoConnections(builder);
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  int visited = 0;
  ASSERT_TRUE(trace->ForEachEvent([&](const TracedEvent&) { return ++visited < 3; }).ok());
  EXPECT_EQ(visited, 3);
}

// Threads are drained one after another: the file has them behind each other, the model in order of time. A long call
// stands in a later block than short ones that began after it.
TEST(TraceTest, EventsOfOverlappingBlocksComeInOrderOfTime) {
  TraceBuilder builder;
  Image& api = builder.Start("api", 10);
  const uint64_t begin = builder.now();
  for (int i = 0; i < 100; ++i) {
    api.Open(3 + i, "/x");
    if (i % 10 == 9) builder.NextBlock();
  }
  builder.At(begin + 500);
  api.tid = 11;
  api.Poll({}, {.took_ns = 1'000'000});
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  uint64_t last_ns = 0;
  std::vector<Call> calls;
  ASSERT_TRUE(trace
                  ->ForEachEvent([&](const TracedEvent& traced) {
                    EXPECT_GE(traced.event->start_ns, last_ns);
                    last_ns = traced.event->start_ns;
                    calls.push_back(traced.event->call);
                    return true;
                  })
                  .ok());
  ASSERT_EQ(calls.size(), 102u);
  EXPECT_EQ(calls[2], CALL_POLL);
}

TEST(TraceTest, DescriptorsAreFoundByTime) {
  TraceBuilder builder;
  TwoConnections(builder);
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  const Connection& first = *trace->connection(1);
  const DescriptorLife* life = trace->LifeAt(first.client().process(), 5, first.client().start_ns());
  ASSERT_NE(life, nullptr);
  EXPECT_EQ(life->generation(), 1u);
  EXPECT_EQ(trace->LifeAt(first.client().process(), 5, life->end_ns()), life) << "the moment of its end counts";
  EXPECT_EQ(trace->LifeAt(first.client().process(), 5, life->end_ns() + 1), nullptr);
  EXPECT_EQ(trace->LifeAt(first.client().process(), 77, 5), nullptr);
}

TEST(TraceTest, AGrowingTraceGivesItsNewEventsOnce) {
  TraceBuilder builder;
  Image& api = builder.Start("api", 10);
  api.Open(3, "/a");
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder, /*seal=*/false);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->tables().life_size(), 1);

  // The recorder goes on: the same file, longer.
  const std::string path = scratch.File("t.tale.part");
  absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Resume(scratch.File("t.tale"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  Events events;
  socktale::Run& run = *events.add_run();
  run.set_image(1);
  run.set_tid(10);
  run.set_thread_start_ns(1);
  run.set_base_ns(builder.now());
  for (const int fd : {4, 5}) {
    Event& event = *run.add_event();
    event.set_call(CALL_OPEN);
    event.set_result(fd);
    event.set_start_ns(static_cast<uint64_t>(fd));
  }
  EventBlockInfo info;
  info.first_ns = builder.now();
  info.last_ns = builder.now() + 10;
  info.event_count = 2;
  ASSERT_TRUE(writer->AppendEvents(events.SerializeAsString(), info, false).ok());

  std::vector<int64_t> results;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(trace
                    ->ForEachNewEvent([&](const TracedEvent& traced) {
                      EXPECT_NE(traced.life, nullptr);
                      results.push_back(traced.event->result);
                      return true;
                    })
                    .ok());
  }
  EXPECT_THAT(results, ElementsAre(4, 5));
  EXPECT_EQ(trace->tables().life_size(), 3);
}

// One thread's recv reaches the file a block before the accept of another thread that made its socket.
TEST(TraceTest, WhatARecordedTraceLearnsLateIsNotGuessedBefore) {
  TraceBuilder builder;
  Image& api = builder.Start("api", 10);
  api.Socket(3, AF_INET, SOCK_STREAM);
  api.Bind(3, kServer);
  api.Listen(3);
  const uint64_t begin_ns = 100'000'000;
  builder.At(begin_ns);
  api.Open(4, "/a");
  Scratch scratch;
  ASSERT_TRUE(builder.WriteTale(scratch.File("t.tale"), /*seal=*/false).ok());
  absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Resume(scratch.File("t.tale"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto append = [&](uint32_t tid, Call call, int fd, int64_t result, uint64_t after_ns) {
    Events events;
    socktale::Run& run = *events.add_run();
    run.set_image(1);
    run.set_tid(tid);
    run.set_thread_start_ns(tid);
    run.set_base_ns(begin_ns);
    Event& event = *run.add_event();
    event.set_call(call);
    event.set_fd(fd);
    event.set_result(result);
    event.set_start_ns(after_ns);
    event.set_duration_ns(1000);
    if (call == CALL_ACCEPT) event.set_address(Client(1));
    EventBlockInfo info;
    info.first_ns = begin_ns + after_ns;
    info.last_ns = info.first_ns + 1000;
    info.event_count = 1;
    ASSERT_TRUE(writer->AppendEvents(events.SerializeAsString(), info, false).ok());
  };
  append(11, CALL_RECV, 9, 0, 3'000'000);

  absl::StatusOr<Trace> trace = Trace::Open(scratch.File("t.tale.part"));
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->tables().missing_size(), 0) << "its recorder lives";
  EXPECT_EQ(trace->LifeAt(1, 9, begin_ns + 5'000'000), nullptr);

  append(12, CALL_ACCEPT, 3, 9, 1'000'000);
  std::vector<Call> calls;
  const auto note = [&calls](const TracedEvent& traced) {
    if (traced.event->start_ns > begin_ns) calls.push_back(traced.event->call);
    return true;
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(trace->ForEachNewEvent(note).ok());
  EXPECT_THAT(calls, ElementsAre(CALL_ACCEPT, CALL_RECV));
  const DescriptorLife* life = trace->LifeAt(1, 9, begin_ns + 5'000'000);
  ASSERT_NE(life, nullptr);
  EXPECT_EQ(life->begin(), LIFE_BEGIN_ACCEPTED);
  EXPECT_EQ(life->generation(), 1u);
}

// What a trace lacks is told by its calls, and by its recorder where no call tells; a row that both tell stands once.
TEST(TraceTest, RowsOfTheRecorderStandBesideThoseOfTheCalls) {
  TraceBuilder builder;
  Image& uses_ring = builder.Start("uses_ring", 10);
  uses_ring.Call(CALL_SYSCALL, 5, 5).set_option(SYS_io_uring_setup);
  builder.Start("maps_ring", 11).Open(3, "/a");
  Scratch scratch;
  ASSERT_TRUE(builder.WriteTale(scratch.File("t.tale"), /*seal=*/false).ok());
  {
    absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Resume(scratch.File("t.tale"));
    ASSERT_TRUE(writer.ok()) << writer.status();
    Tables interim;
    for (const uint32_t process : {1, 2}) {
      Missing& row = *interim.add_missing();
      row.set_kind("io_uring");
      row.set_count(1);
      row.set_process(process);
    }
    ASSERT_TRUE(writer->AppendTables(interim).ok());
  }
  const absl::StatusOr<Trace> trace = Trace::Open(scratch.File("t.tale.part"));
  ASSERT_TRUE(trace.ok()) << trace.status();
  std::vector<std::pair<std::string, uint32_t>> rows;
  for (const Missing& row : trace->tables().missing()) rows.emplace_back(row.kind(), row.process());
  EXPECT_THAT(rows, UnorderedElementsAre(Pair("io_uring", 1u), Pair("io_uring", 2u), Pair("cut_off", 0u)));
}

// A socket made before recording began, of a type that nobody told, is taken for a stream by whoever looks at it: its
// second attempt to connect does not take the calls of the first.
TEST(TraceTest, CallsOnASocketOfUnknownTypeBelongToTheAttemptOfTheirTime) {
  const Scratch scratch;
  TraceBuilder builder;
  Image& curl = builder.Start("curl", 4242);
  curl.FoundSocket(5, AF_INET, 0);
  curl.Connect(5, Inet("127.0.0.1", 9999), {.error = EINPROGRESS});
  curl.GetSockError(5, ECONNREFUSED);
  curl.Connect(5, kServer);
  curl.Send(5, "second");
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  std::vector<uint32_t> connections;
  ASSERT_TRUE(trace
                  ->ForEachEvent([&](const TracedEvent& traced) {
                    const bool found = traced.event->call == CALL_FOUND;
                    if (traced.connection != nullptr && !found) connections.push_back(traced.connection->id());
                    return true;
                  })
                  .ok());
  EXPECT_THAT(connections, ElementsAre(1, 1, 2, 2));
}

TEST(TraceTest, TwoTracesInOneFileAreNotTakenForOne) {
  TraceBuilder builder;
  TwoConnections(builder);
  const Scratch scratch;
  ASSERT_TRUE(scratch.Open(builder).ok());
  const std::string one = scratch.File("t.tale"), both = scratch.File("both.tale");
  const auto contents = [](const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string bytes = contents(one);
  std::ofstream(both, std::ios::binary) << bytes << bytes;
  const absl::Status status = Trace::Open(both).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  // Doing as it says gives two traces that can be read.
  const std::string size = std::to_string(bytes.size());
  EXPECT_THAT(std::string(status.message()), HasSubstr("head -c " + size + " FILE"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("tail -c +" + std::to_string(bytes.size() + 1) + " FILE"));
  // Also where the second one's header is gone.
  const std::string second = scratch.File("second.tale");
  const auto reader = TraceFileReader::Open(one);
  ASSERT_TRUE(reader.ok());
  std::ofstream(second, std::ios::binary) << bytes << bytes.substr(reader->blocks()[1].offset());
  EXPECT_TRUE(absl::IsInvalidArgument(Trace::Open(second).status()));
}

// A name server has one socket, and a connection with each of its peers, however their addresses are written.
TEST(TraceTest, ADatagramBelongsToTheConnectionOfItsAddress) {
  const Scratch scratch;
  TraceBuilder builder;
  Image& dns = builder.Start("dns", 53);
  dns.Socket(3, AF_INET, SOCK_DGRAM);
  dns.Bind(3, Inet("0.0.0.0", 53));
  std::vector<uint32_t> expected;
  for (const int round : {1, 2}) {
    for (int peer = 1; peer <= 200; ++peer) {
      dns.Recv(3, "question", {.peer = Client(peer)});
      expected.push_back(static_cast<uint32_t>(peer));
      if (round == 1) continue;
      dns.Send(3, "answer", {.peer = testing::Inet6("::ffff:127.0.0.1", static_cast<uint16_t>(50000 + peer))});
      expected.push_back(static_cast<uint32_t>(peer));
    }
  }
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->tables().connection_size(), 200);
  std::vector<uint32_t> connections;
  ASSERT_TRUE(trace
                  ->ForEachEvent([&](const TracedEvent& traced) {
                    if (traced.event->payload.empty()) return true;
                    connections.push_back(traced.connection == nullptr ? 0 : traced.connection->id());
                    return true;
                  })
                  .ok());
  EXPECT_EQ(connections, expected);
}

TEST(TraceTest, AVforkChildsEventsAreItsOwn) {
  TraceBuilder builder;
  Image& make = builder.Start("make", 10);
  make.vfork_child = 11;
  make.Open(3, "/x");
  Scratch scratch;
  absl::StatusOr<Trace> trace = scratch.Open(builder);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_TRUE(trace
                  ->ForEachEvent([&](const TracedEvent& traced) {
                    EXPECT_EQ(traced.process->pid(), traced.event->call == CALL_OPEN ? 11u : 10u);
                    return true;
                  })
                  .ok());
}

}  // namespace
}  // namespace socktale
