// SPDX-License-Identifier: Apache-2.0
//
// One side of a conversation must come out byte for byte, however its calls were made and recorded.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <iterator>

#include "tests/model/scratch.h"
#include "tests/support/trace_builder.h"
#include "viewer/model/timeline.h"

namespace socktale {
namespace {

using testing::Image;
using testing::Inet;
using testing::Scratch;
using testing::TraceBuilder;

const std::string kServer = Inet("127.0.0.1", 8080);
const std::string kClient = Inet("127.0.0.1", 51544);

struct Side {
  std::string bytes;
  uint64_t missing = 0;
};

Side Read(Trace& trace, bool client, uint32_t id = 1) {
  Side side;
  const Connection* connection = trace.connection(id);
  if (connection == nullptr) {
    ADD_FAILURE() << "no connection c" << id;
    return side;
  }
  const absl::Status status = StreamBytes(
      trace, *connection, client,
      [&](absl::string_view bytes) {
        side.bytes.append(bytes.data(), bytes.size());
        return absl::OkStatus();
      },
      &side.missing);
  EXPECT_TRUE(status.ok()) << status;
  return side;
}

class StreamBytesTest : public ::testing::Test {
 protected:
  // A connection between curl's 5 and httpd's 9; with_server = false: only the client is recorded.
  void Connect(bool with_server = true) {
    if (with_server) {
      httpd_ = &builder_.Start("httpd", 4100);
      httpd_->Socket(3, AF_INET, SOCK_STREAM);
      httpd_->Bind(3, kServer);
      httpd_->Listen(3);
    }
    curl_ = &builder_.Start("curl", 4242);
    curl_->Socket(5, AF_INET, SOCK_STREAM);
    curl_->Connect(5, kServer, {.local = kClient});
    if (with_server) httpd_->Accept(3, 9, {.local = kServer, .peer = kClient});
  }
  void Open() {
    absl::StatusOr<Trace> trace = scratch_.Open(builder_);
    ASSERT_TRUE(trace.ok()) << trace.status();
    trace_ = std::make_unique<Trace>(*std::move(trace));
  }

  Scratch scratch_;
  TraceBuilder builder_;
  Image* httpd_ = nullptr;
  Image* curl_ = nullptr;
  std::unique_ptr<Trace> trace_;
};

TEST_F(StreamBytesTest, TheSendersCallsInOrder) {
  Connect();
  curl_->Send(5, "GET ");
  curl_->Send(5, "/ HTTP/1.1\r\n");
  httpd_->Recv(9, "GET / HTTP/1.1\r\n");
  httpd_->Send(9, "200");
  curl_->Recv(5, "200");
  Open();
  EXPECT_EQ(Read(*trace_, true).bytes, "GET / HTTP/1.1\r\n");
  EXPECT_EQ(Read(*trace_, false).bytes, "200");
  EXPECT_EQ(Read(*trace_, true).missing, 0u);
}

TEST_F(StreamBytesTest, TheReceiversCallsWhereTheSenderIsUnknown) {
  Connect(/*with_server=*/false);
  curl_->Recv(5, "200 ", {.notes = EVENT_NOTE_PEEK});
  curl_->Recv(5, "200 ");
  curl_->RecvFails(5, EAGAIN);
  curl_->Recv(5, "OK");
  curl_->Recv(5, "");
  Open();
  EXPECT_EQ(Read(*trace_, false).bytes, "200 OK");
}

// A payload larger than a chunk goes on in the thread's next events, here in another block with other calls between.
TEST_F(StreamBytesTest, PartsOfOneCallAreGluedAcrossBlocks) {
  Connect();
  Event& first = curl_->Call(CALL_WRITE, 5, 9, {.notes = EVENT_NOTE_MORE});
  first.set_payload("abc");
  first.set_payload_size(9);
  httpd_->Recv(9, "abcdefghi");
  builder_.NextBlock();
  Event& second = curl_->Call(CALL_WRITE, 5, 0, {.notes = EVENT_NOTE_MORE});
  second.set_payload("def");
  second.set_continuation(3);
  httpd_->Send(9, "x");
  builder_.NextBlock();
  Event& third = curl_->Call(CALL_WRITE, 5, 0);
  third.set_payload("ghi");
  third.set_continuation(6);
  curl_->Send(5, "jkl");
  Open();
  EXPECT_EQ(Read(*trace_, true).bytes, "abcdefghijkl");
}

// A damaged trace says one part twice, and leaves one out.
TEST_F(StreamBytesTest, APartThatIsRepeatedOrMissingDoesNotAddUpToMoreThanWasSent) {
  Connect();
  Event& first = curl_->Call(CALL_WRITE, 5, 9, {.notes = EVENT_NOTE_MORE});
  first.set_payload("abc");
  first.set_payload_size(9);
  for (const char* part : {"def", "def"}) {
    Event& again = curl_->Call(CALL_WRITE, 5, 0, {.notes = EVENT_NOTE_MORE});
    again.set_payload(part);
    again.set_continuation(3);
  }
  Event& last = curl_->Call(CALL_WRITE, 5, 0);
  last.set_payload("i");
  last.set_continuation(8);
  Open();
  const Side side = Read(*trace_, true);
  EXPECT_EQ(side.bytes, "abcdef");
  EXPECT_EQ(side.missing, 3u);
}

TEST_F(StreamBytesTest, SendsOfSeveralProcessesInOrderOfReturn) {
  Connect();
  Image& child = curl_->Fork(4243);
  const uint64_t now = builder_.now();
  curl_->Send(5, "first ", {.took_ns = 50'000});
  builder_.At(now + 1'000);
  child.Send(5, "second", {.took_ns = 80'000});
  Open();
  EXPECT_EQ(Read(*trace_, true).bytes, "first second");
}

TEST_F(StreamBytesTest, WhatTheSenderDidNotKeepComesFromTheReceiver) {
  Connect();
  httpd_->Send(9, "head:");
  Event& sendfile = httpd_->Call(CALL_SENDFILE, 9, 6, {.notes = EVENT_NOTE_NOT_SEEN});
  sendfile.set_payload_size(6);
  httpd_->Send(9, ":tail");
  curl_->Recv(5, "head:bo");
  curl_->Recv(5, "dy!!:tai");
  curl_->Recv(5, "l");
  Open();
  const Side side = Read(*trace_, false);
  EXPECT_EQ(side.bytes, "head:body!!:tail");
  EXPECT_EQ(side.missing, 0u);
}

// stdio calls write inside libc, where no hook sees it.
TEST_F(StreamBytesTest, WhatTheSenderSentUnseenBetweenItsSendsComesFromTheReceiver) {
  Connect();
  httpd_->Send(9, "seen");
  curl_->Recv(5, "unseen ");
  curl_->Recv(5, "seen, unseen");
  Open();
  EXPECT_EQ(Read(*trace_, false).bytes, "unseen seen, unseen");
}

TEST_F(StreamBytesTest, WhatNobodyReceivedComesFromTheSender) {
  Connect();
  httpd_->Send(9, "read, not read");
  curl_->Recv(5, "read");
  Open();
  EXPECT_EQ(Read(*trace_, false).bytes, "read, not read");
}

TEST_F(StreamBytesTest, WhatNobodyKeptIsCounted) {
  Connect(/*with_server=*/false);
  Event& cut = curl_->Call(CALL_SEND, 5, 100, {.notes = EVENT_NOTE_CUT});
  cut.set_payload("kept");
  cut.set_payload_size(100);
  curl_->Send(5, "more");
  Open();
  const Side side = Read(*trace_, true);
  EXPECT_EQ(side.bytes, "keptmore");
  EXPECT_EQ(side.missing, 96u);
}

TEST_F(StreamBytesTest, ASocketpairsHalves) {
  Image& sh = builder_.Start("sh", 10);
  sh.SocketPair(3, 4, AF_UNIX, SOCK_STREAM, {.cookie = 1});
  Image& child = sh.Fork(11);
  sh.Send(3, "ping");
  child.Recv(4, "ping");
  child.Send(4, "pong");
  sh.Recv(3, "pong");
  Open();
  EXPECT_EQ(Read(*trace_, true).bytes, "ping");
  EXPECT_EQ(Read(*trace_, false).bytes, "pong");
}

TEST_F(StreamBytesTest, AServersDatagramsByPeer) {
  Image& server = builder_.Start("echo", 1);
  server.Socket(3, AF_INET, SOCK_DGRAM);
  server.Bind(3, Inet("0.0.0.0", 7));
  const std::string a = Inet("127.0.0.1", 1001);
  const std::string b = Inet("127.0.0.1", 1002);
  server.Recv(3, "from a", {.peer = a});
  Event& both = server.Call(CALL_RECVMMSG, 3, 3, {.notes = EVENT_NOTE_MORE});
  both.set_payload("bb");
  both.set_payload_size(8);
  for (const auto& [size, address] : std::vector<std::pair<uint64_t, std::string>>{{2, b}, {3, a}, {3, b}}) {
    Datagram& datagram = *both.add_datagram();
    datagram.set_size(size);
    datagram.set_address(address);
  }
  Event& rest = server.Call(CALL_RECVMMSG, 3, 0);
  rest.set_payload("aaaBBB");
  rest.set_continuation(2);
  server.Send(3, "to b", {.peer = b});
  Open();
  ASSERT_EQ(trace_->tables().connection_size(), 2);
  EXPECT_EQ(Read(*trace_, true, 1).bytes, "from aaaa");
  EXPECT_EQ(Read(*trace_, true, 2).bytes, "bbBBB");
  EXPECT_EQ(Read(*trace_, false, 2).bytes, "to b");
}

TEST_F(StreamBytesTest, TenMegabytesInSmallCalls) {
  Connect();
  std::string all;
  for (int i = 0; i < 2560; ++i) {
    std::string part(4096, static_cast<char>('a' + i % 26));
    part[static_cast<size_t>(i) % 4096] = static_cast<char>(i);
    httpd_->Send(9, part);
    curl_->Recv(5, part);
    all += part;
    if (i % 64 == 63) builder_.NextBlock();
  }
  Open();
  EXPECT_TRUE(Read(*trace_, false).bytes == all);
}

// A client asks A, then B, then A again, by the same socket and without naming them in its calls.
TEST_F(StreamBytesTest, ADatagramSocketThatConnectsAgainTalksToWhomItIsConnected) {
  const std::string a = Inet("127.0.0.1", 53), b = Inet("127.0.0.1", 54);
  curl_ = &builder_.Start("dig", 4242);
  curl_->Socket(5, AF_INET, SOCK_DGRAM);
  curl_->Connect(5, a, {.local = kClient});
  curl_->Send(5, "qA");
  curl_->Recv(5, "rA");
  curl_->Connect(5, b, {.local = kClient});
  curl_->Send(5, "qB");
  curl_->Recv(5, "rB");
  curl_->Connect(5, a, {.local = kClient});
  curl_->Send(5, "qA2");
  curl_->Recv(5, "rA2");
  curl_->Connect(5, std::string(16, '\0'));  // AF_UNSPEC
  curl_->Recv(5, "from anybody");
  for (const bool seal : {true, false}) {
    absl::StatusOr<Trace> trace = scratch_.Open(builder_, seal);
    ASSERT_TRUE(trace.ok()) << trace.status();
    ASSERT_EQ(trace->tables().connection_size(), 3);
    EXPECT_EQ(trace->tables().connection(0).server().address(), a);
    EXPECT_EQ(trace->tables().connection(1).server().address(), b);
    EXPECT_EQ(Read(*trace, true, 1).bytes, "qAqA2");
    EXPECT_EQ(Read(*trace, false, 1).bytes, "rArA2");
    EXPECT_EQ(Read(*trace, true, 2).bytes, "qB");
    EXPECT_EQ(Read(*trace, false, 2).bytes, "rB");
    EXPECT_EQ(Read(*trace, true, 2).missing, 0u);
    EXPECT_EQ(Read(*trace, true, 3).bytes + Read(*trace, false, 3).bytes, "from anybody");
  }
}

// The kernel moves bytes from the socket into a pipe, and from the pipe into the socket.
TEST_F(StreamBytesTest, WhatIsSplicedIsPartOfTheStreamAndMissingWhereItWasNotSeen) {
  Connect(/*with_server=*/false);
  curl_->Pipe(6, 7);
  curl_->Send(5, "8 bytes:");
  Event& out = curl_->Call(CALL_SPLICE, 5, 12, {.notes = EVENT_NOTE_NOT_SEEN});
  out.set_new_fd(6);
  out.set_size(4096);
  out.set_payload_size(12);
  curl_->Send(5, "four");
  curl_->Recv(5, "header");
  Event& in = curl_->Call(CALL_SPLICE, 7, 21, {.notes = EVENT_NOTE_NOT_SEEN});
  in.set_new_fd(5);
  in.set_size(4096);
  in.set_payload_size(21);
  curl_->Call(CALL_SPLICE, 7, 0).set_new_fd(5);
  Open();
  const Side sent = Read(*trace_, true);
  EXPECT_EQ(sent.bytes, "8 bytes:four");
  EXPECT_EQ(sent.missing, 12u);
  const Side received = Read(*trace_, false);
  EXPECT_EQ(received.bytes, "header");
  EXPECT_EQ(received.missing, 21u);
}

// Where both ends were recorded the other end's calls have the bytes that splice moved unseen.
TEST_F(StreamBytesTest, WhatWasSplicedIsTakenFromTheCallsThatReceivedIt) {
  Connect();
  curl_->Pipe(6, 7);
  curl_->Send(5, "head ");
  Event& out = curl_->Call(CALL_SPLICE, 5, 4, {.notes = EVENT_NOTE_NOT_SEEN});
  out.set_new_fd(6);
  out.set_payload_size(4);
  httpd_->Recv(9, "head body");
  httpd_->Send(9, "answer");
  Event& in = curl_->Call(CALL_SPLICE, 7, 6, {.notes = EVENT_NOTE_NOT_SEEN});
  in.set_new_fd(5);
  in.set_payload_size(6);
  Open();
  EXPECT_EQ(Read(*trace_, true).bytes, "head body");
  EXPECT_EQ(Read(*trace_, true).missing, 0u);
  absl::StatusOr<Timeline> timeline = BuildTimeline(*trace_, *trace_->connection(1), 0, 1'000'000'000);
  ASSERT_TRUE(timeline.ok());
  ASSERT_EQ(timeline->transfers.size(), 3u);
  EXPECT_TRUE(timeline->transfers[1].not_seen);
  EXPECT_EQ(timeline->transfers[2].received_size, 6u) << "splice received it";
}

// A block of the sealed file that holds calls of the connection cannot be read; the tables say what they moved.
TEST_F(StreamBytesTest, BytesInADamagedPartOfTheFileAreMissing) {
  Connect(/*with_server=*/false);
  curl_->Send(5, "first ");
  builder_.NextBlock();
  curl_->Send(5, "in the damaged block");
  builder_.NextBlock();
  curl_->Send(5, "last");
  const std::string path = scratch_.File("t.tale");
  ASSERT_TRUE(builder_.WriteTale(path).ok());
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t at = bytes.find("damaged block");
  ASSERT_NE(at, std::string::npos);
  file.seekp(static_cast<std::streamoff>(at));
  file.put('D');
  file.close();
  absl::StatusOr<Trace> trace = Trace::Open(path);
  ASSERT_TRUE(trace.ok()) << trace.status();
  const Side sent = Read(*trace, true);
  EXPECT_EQ(sent.bytes, "first last");
  EXPECT_EQ(sent.missing, std::string("in the damaged block").size());
}

}  // namespace
}  // namespace socktale
