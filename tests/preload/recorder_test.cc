// SPDX-License-Identifier: Apache-2.0
//
// What the recorder itself promises: bytes as they moved, per-thread order, signals, forks, jumps, a full arena, a
// collector that dies; and what the hooks of descriptors and transfers record.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "preload/abi/arena_abi.h"
#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Events = std::vector<Event>;

ShimRun RunWorkload(std::vector<std::string> command, const ArenaSetup& setup = {}) {
  ShimRun run = RunUnderShim(std::move(command), {"PATH=/usr/bin:/bin"}, setup);
  EXPECT_EQ(run.exit_status, 0) << run.output << " signal " << run.signal;
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(run.damage, "");
  return run;
}

template <typename Predicate>
Events Those(const ShimRun& run, Predicate predicate) {
  Events events;
  for (const RecordedEvent& recorded : run.events) {
    if (predicate(recorded.event)) events.push_back(recorded.event);
  }
  return events;
}

MATCHER_P(HasNotes, notes, "") { return arg.notes() == static_cast<uint32_t>(notes); }
MATCHER_P(OnDescriptor, fd, "") { return arg.fd() == fd; }

// ---- Transfers -------------------------------------------------------------------------------------------------

class TransferTest : public testing::Test {
 protected:
  static const ShimRun& Transfers() {
    static const ShimRun run = RunWorkload({"transfers"});
    return run;
  }
  static Events Of(Call call) { return Transfers().Of(call); }
};

TEST_F(TransferTest, RecordsBytesReceivedAndTheErrnoTheProgramSaw) {
  EXPECT_THAT(Of(CALL_READ), Contains(AllOf(Returned(5, 0), HasPayload("hello"))));
  EXPECT_THAT(Of(CALL_WRITE), Contains(AllOf(Returned(5, 0), HasPayload("hello"))));
  EXPECT_THAT(Of(CALL_READ), Contains(AllOf(Returned(-1, EBADF), OnDescriptor(-1), HasPayload(""))));
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(-1, EAGAIN), HasPayload(""))));
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(-1, ENOTSOCK), OnDescriptor(0))));
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(-1, EFAULT), HasPayload(""))));
  EXPECT_THAT(Of(CALL_SEND), Contains(AllOf(Returned(-1, EFAULT), HasPayload(""))));
  EXPECT_THAT(Of(CALL_SEND), Contains(Returned(-1, EPIPE)));
  // Two bytes came where 4096 were asked for.
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(2, 0), HasPayload("he"), testing::Property(&Event::size, 4096u))));
}

TEST_F(TransferTest, MarksWhatWasOnlyPeekedAt) {
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(HasPayload("hello"), HasNotes(EVENT_NOTE_PEEK))));
}

TEST_F(TransferTest, GathersTheBytesOfParts) {
  EXPECT_THAT(Of(CALL_WRITEV), Contains(AllOf(Returned(7, 0), HasPayload("abcdefg"))));
  EXPECT_THAT(Of(CALL_READV), Contains(AllOf(Returned(7, 0), HasPayload("abcdefg"))));
  EXPECT_THAT(Of(CALL_SENDMSG), Contains(AllOf(Returned(7, 0), HasPayload("abcdefg"))));
  EXPECT_THAT(Of(CALL_RECVMSG), Contains(AllOf(Returned(7, 0), HasPayload("abcdefg"))));
  EXPECT_THAT(Of(CALL_WRITEV), Contains(Returned(-1, EFAULT)));
}

// One call of 1 MiB is more than a chunk: its payload goes on in events that follow, and nothing is missing.
TEST_F(TransferTest, SplitsALargePayloadAndLosesNothing) {
  constexpr uint64_t kSize = 1 << 20;
  std::string received;
  uint32_t receiver = 0;
  bool more = false;
  for (const RecordedEvent& recorded : Transfers().events) {
    const Event& e = recorded.event;
    if (e.call() == CALL_RECV && e.result() == kSize) {
      ASSERT_EQ(e.payload_size(), kSize);
      ASSERT_EQ(e.continuation(), 0u);
      received = e.payload();
      receiver = recorded.tid;
      more = (e.notes() & EVENT_NOTE_MORE) != 0;
    } else if (more && recorded.tid == receiver) {
      ASSERT_EQ(e.call(), CALL_RECV);
      ASSERT_EQ(e.continuation(), received.size());
      received += e.payload();
      more = (e.notes() & EVENT_NOTE_MORE) != 0;
    }
  }
  ASSERT_EQ(received.size(), kSize);
  EXPECT_FALSE(more);
  for (size_t i = 0; i < kSize; ++i) ASSERT_EQ(received[i], static_cast<char>(i * 31 >> 3)) << i;
}

TEST_F(TransferTest, KeepsTheAddressesOfDatagrams) {
  const Events sent = Of(CALL_SENDTO);
  const auto ping = std::find_if(sent.begin(), sent.end(), [](const Event& e) { return e.payload() == "ping"; });
  ASSERT_NE(ping, sent.end());
  EXPECT_GT(PortOf(ping->address()), 0);
  // The first datagram gave the client its address, which was asked once. (The server's was asked at bind.)
  EXPECT_GT(PortOf(ping->local_address()), 0);
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), [](const Event& e) { return !e.local_address().empty(); }), 1);
  const Events received = Of(CALL_RECVFROM);
  const auto pong =
      std::find_if(received.begin(), received.end(), [](const Event& e) { return e.payload() == "ping"; });
  ASSERT_NE(pong, received.end());
  EXPECT_EQ(PortOf(pong->address()), PortOf(ping->local_address()));
  // Offered no room for an address: none was written, none is kept.
  EXPECT_THAT(received, Contains(AllOf(HasPayload("x"), testing::Property(&Event::address, ""))));
  EXPECT_THAT(sent, Contains(AllOf(Returned(-1, EFAULT), testing::Property(&Event::address, ""))));
}

TEST_F(TransferTest, TellsDatagramsThatWereCut) {
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(10, 0), HasPayload("01234567"), HasNotes(EVENT_NOTE_TRUNCATED))));
  const Events messages = Of(CALL_RECVMSG);
  const auto cut = std::find_if(messages.begin(), messages.end(),
                                [](const Event& e) { return (e.notes() & EVENT_NOTE_TRUNCATED) != 0; });
  ASSERT_NE(cut, messages.end());
  EXPECT_EQ(cut->payload(), "01234567");
  EXPECT_EQ(cut->address().size(), 4u) << "as much of the address as there was room for";
}

TEST_F(TransferTest, TellsBatchesDatagramByDatagram) {
  const Events sent = Of(CALL_SENDMMSG);
  const auto three = std::find_if(sent.begin(), sent.end(), [](const Event& e) { return e.result() == 3; });
  ASSERT_NE(three, sent.end());
  EXPECT_EQ(three->payload(), "onetwothree");
  ASSERT_EQ(three->datagram_size(), 3);
  EXPECT_EQ(three->datagram(2).size(), 5u);
  EXPECT_GT(PortOf(three->datagram(2).address()), 0);
  const Events received = Of(CALL_RECVMMSG);
  const auto got = std::find_if(received.begin(), received.end(), [](const Event& e) { return e.result() == 3; });
  ASSERT_NE(got, received.end());
  EXPECT_EQ(got->payload(), "onetwothre");
  EXPECT_EQ(got->notes() & EVENT_NOTE_TRUNCATED, static_cast<uint32_t>(EVENT_NOTE_TRUNCATED));
  ASSERT_EQ(got->datagram_size(), 3);
  EXPECT_GT(PortOf(got->datagram(0).address()), 0);
  EXPECT_THAT(received, Contains(Returned(-1, EAGAIN)));
  EXPECT_THAT(sent, Contains(Returned(-1, EFAULT)));
}

TEST_F(TransferTest, SaysThatTcpThrewBytesAwayUnseen) {
  EXPECT_THAT(Of(CALL_RECV), Contains(AllOf(Returned(10, 0), HasPayload(""), HasNotes(EVENT_NOTE_NOT_SEEN),
                                            testing::Property(&Event::payload_size, 10u))));
}

TEST_F(TransferTest, ReadsBackWhatSendfileSent) {
  const Events sent = Of(CALL_SENDFILE);
  EXPECT_THAT(sent, Contains(AllOf(Returned(4, 0), HasPayload("2345"), HasNotes(EVENT_NOTE_READ_BACK),
                                   testing::Property(&Event::offset, 2u))));
  EXPECT_THAT(sent, Contains(AllOf(Returned(3, 0), HasPayload("789"), testing::Property(&Event::offset, 7u))));
  EXPECT_THAT(sent, Contains(AllOf(Returned(1, 0), HasPayload("0"))));
  EXPECT_THAT(sent, Contains(Returned(-1, EFAULT)));
}

TEST_F(TransferTest, FindsDescriptorsThatArrivedAndKnowsTheirSocket) {
  const Events pairs = Of(CALL_SOCKETPAIR);
  ASSERT_THAT(pairs, SizeIs(2));
  EXPECT_NE(pairs[1].socket_id(), 0u);
  EXPECT_NE(pairs[1].new_socket_id(), 0u);
  const Events received =
      Those(Transfers(), [](const Event& e) { return e.call() == CALL_RECVMSG && e.passed_size() > 0; });
  ASSERT_THAT(received, SizeIs(2));
  ASSERT_EQ(received[0].passed_size(), 1);
  EXPECT_THAT(Of(CALL_FOUND), Contains(AllOf(OnDescriptor(received[0].passed(0)),
                                             testing::Property(&Event::socket_id, pairs[1].socket_id()))));
  EXPECT_THAT(Of(CALL_WRITE), Contains(AllOf(HasPayload("over"), OnDescriptor(received[0].passed(0)))));
  // 100 descriptors in one message: as many as are kept, and a note.
  EXPECT_EQ(received[1].passed_size(), 64);
  EXPECT_EQ(received[1].notes(), static_cast<uint32_t>(EVENT_NOTE_CONTROL_CUT));
}

TEST(PayloadLimitTest, KeepsSoMuchOfALifeAndDirection) {
  const ShimRun run = RunWorkload({"transfers"}, {.payload_limit = 12});
  // The first pair's writer: three times "hello", of which twelve bytes are kept; then the true size alone.
  const Events pairs = run.Of(CALL_SOCKETPAIR);
  ASSERT_FALSE(pairs.empty());
  const int writer = pairs[0].fd();  // the number depends on what the caller left open
  const Events sent = Those(run, [&](const Event& e) {
    return (e.call() == CALL_WRITE || e.call() == CALL_SEND) && e.result() == 5 && e.fd() == writer;
  });
  ASSERT_THAT(sent, SizeIs(Ge(4u)));
  EXPECT_EQ(sent[0].payload(), "hello");
  EXPECT_EQ(sent[2].payload(), "he");
  EXPECT_EQ(sent[2].payload_size(), 5u);
  EXPECT_EQ(sent[2].notes(), static_cast<uint32_t>(EVENT_NOTE_CUT));
  EXPECT_EQ(sent[3].payload(), "");
  EXPECT_EQ(sent[3].payload_size(), 5u);
  // A new life of a number begins anew: the passed socket's.
  EXPECT_THAT(run.Of(CALL_WRITE), Contains(HasPayload("over")));
}

// ---- Descriptors -----------------------------------------------------------------------------------------------

TEST(LifecycleTest, TellsWhatWasMadeCopiedAndClosed) {
  const ShimRun run = RunWorkload({"lifecycle"});
  EXPECT_EQ(run.drops, 0u);
  const Events sockets = run.Of(CALL_SOCKET);
  ASSERT_THAT(sockets, SizeIs(Ge(4u)));
  EXPECT_EQ(sockets[0].domain(), static_cast<uint32_t>(AF_INET));
  EXPECT_NE(sockets[0].socket_id(), 0u);
  EXPECT_EQ(sockets[1].type(), static_cast<uint32_t>(SOCK_DGRAM | SOCK_CLOEXEC));
  EXPECT_THAT(sockets[3], Returned(-1, EINVAL));
  EXPECT_THAT(run.Of(CALL_LISTEN), ElementsAre(AllOf(Returned(-1, ENOTSOCK), OnDescriptor(0))));
  EXPECT_THAT(run.Of(CALL_SHUTDOWN), ElementsAre(Returned(0, 0), Returned(-1, EBADF)));
  EXPECT_THAT(run.Of(CALL_OPEN), Contains(AllOf(Returned(-1, EFAULT), testing::Property(&Event::path, ""))));
  EXPECT_THAT(run.Of(CALL_OPEN), Contains(testing::Property(&Event::path, "/dev/null")));
  EXPECT_THAT(run.Of(CALL_OPENAT), Contains(AllOf(Returned(-1, EBADF), OnDescriptor(-7))));
  EXPECT_THAT(run.Of(CALL_MEMFD_CREATE), Contains(testing::Property(&Event::path, "/dev/null")));
  EXPECT_THAT(run.Of(CALL_CREAT), SizeIs(2));
  const Events pipes = run.Of(CALL_PIPE);
  ASSERT_THAT(pipes, SizeIs(3));
  EXPECT_EQ(pipes[0].new_fd(), pipes[0].fd() + 1);
  EXPECT_NE(pipes[0].inode(), 0u);
  EXPECT_THAT(run.Of(CALL_DUP2), Contains(AllOf(Returned(-1, EBADF), OnDescriptor(999))));
  // fcntl: all of them, one that does not exist, too.
  std::set<uint32_t> commands;
  for (const Event& e : run.Of(CALL_FCNTL)) commands.insert(e.flags());
  EXPECT_THAT(commands, ElementsAre(F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, 9999));
  // What the program was given at its start.
  EXPECT_THAT(run.Of(CALL_FOUND), Contains(AllOf(OnDescriptor(0), testing::Property(&Event::path, "/dev/null"),
                                                 testing::Property(&Event::kind, DESCRIPTOR_KIND_CHARACTER_DEVICE))));
  EXPECT_THAT(run.Of(CALL_FOUND),
              Contains(AllOf(OnDescriptor(1), testing::Property(&Event::kind, DESCRIPTOR_KIND_PIPE))));
}

TEST(EarlyTest, RecordsCallsMadeBeforeAllConstructors) {
  const ShimRun run = RunWorkload({"early"});
  EXPECT_EQ(run.drops, 0u);
  EXPECT_THAT(run.Of(CALL_SOCKETPAIR), SizeIs(4));
  EXPECT_THAT(run.Of(CALL_RECV), AllOf(SizeIs(4), Each(HasPayload("early"))));
}

// ---- Threads, signals, forks -----------------------------------------------------------------------------------

TEST(ThreadsTest, LoseNothingAndKeepEachThreadsOrder) {
  constexpr uint32_t kThreads = 8;
  constexpr uint32_t kPairs = 16;
  constexpr uint32_t kCalls = 400;
  const ShimRun run = RunWorkload({"threads", std::to_string(kThreads), std::to_string(kPairs), std::to_string(kCalls)},
                                  {.drain = true});
  EXPECT_EQ(run.drops, 0u);
  std::map<uint32_t, std::pair<uint32_t, uint32_t>> next;  // thread's number → pair, message
  uint64_t calls = 0;
  for (const RecordedEvent& recorded : run.events) {
    const Event& e = recorded.event;
    if (e.call() != CALL_SEND && e.call() != CALL_RECV) continue;
    ++calls;
    if (e.call() != CALL_SEND) continue;
    uint32_t message[4];
    ASSERT_EQ(e.payload().size(), sizeof message);
    std::memcpy(message, e.payload().data(), sizeof message);
    auto& [pair, n] = next[message[0]];
    ASSERT_EQ(message[1], pair);
    ASSERT_EQ(message[2], n);
    pair = (pair + 1) % kPairs;
    if (pair == 0) ++n;
  }
  EXPECT_EQ(calls, uint64_t{kThreads} * kPairs * kCalls);
  EXPECT_THAT(next, SizeIs(kThreads));
}

TEST(SignalsTest, RecordEveryCallOfHandlersAmidCalls) {
  const ShimRun run = RunWorkload({"signals"}, {.drain = true});
  // The handlers' messages: one counter, sent and received in turn.
  std::map<uint32_t, uint32_t> levels;
  for (const RecordedEvent& recorded : run.events) ++levels[recorded.level];
  EXPECT_GT(levels[0], 10000u);
  // Children of forks in handlers, at least 20, each with its one message. A handler that came amid the writing of an
  // event makes a child that does not attach: its send and its _exit are counted.
  const size_t forks = Those(run, [](const Event& e) { return e.call() == CALL_FORK && e.result() > 0; }).size();
  EXPECT_GE(forks, 20u);
  const size_t children = run.images - 1;
  ASSERT_LE(children, forks);
  EXPECT_EQ(run.drops, 2 * (forks - children));
  EXPECT_THAT(Those(run, [](const Event& e) { return e.call() == CALL_SEND && e.payload() == "kid"; }),
              SizeIs(children));
  EXPECT_THAT(Those(run, [](const Event& e) { return e.call() == CALL_ATTACHED && e.reason() == ATTACH_REASON_FORK; }),
              SizeIs(children));
}

TEST(ForksTest, GiveEveryChildItsOwnEventsOnceWhileThreadsRecord) {
  const ShimRun run = RunWorkload({"forks"}, {.drain = true});
  EXPECT_EQ(run.drops, 0u);
  EXPECT_EQ(run.images, 1u + 30 + 6);
  std::map<uint32_t, int> sent;  // image → its messages
  uint64_t busy_sends = 0;
  uint64_t busy_receives = 0;
  for (const RecordedEvent& recorded : run.events) {
    const Event& e = recorded.event;
    if (e.call() == CALL_SEND && e.payload() == "child") ++sent[recorded.image];
    if (e.call() == CALL_SEND && e.payload() == "b") ++busy_sends;
    if (e.call() == CALL_RECV && e.payload() == "b") ++busy_receives;
    if (e.payload() == "b") {
      EXPECT_EQ(recorded.image, 1u);
    }
  }
  EXPECT_THAT(sent, SizeIs(36));
  for (const auto& [image, messages] : sent) EXPECT_EQ(messages, 1) << image;
  EXPECT_EQ(busy_sends, busy_receives);
  EXPECT_GT(busy_sends, 100u);
  // Also those of the bare clone, which no hook saw, know whose children they are.
  for (const Event& e : run.Of(CALL_ATTACHED)) {
    if (e.reason() == ATTACH_REASON_FORK) {
      EXPECT_NE(e.parent_process(), 0u);
    }
  }
}

// ---- A full arena ----------------------------------------------------------------------------------------------

uint64_t BytesKept(const ShimRun& run) {
  uint64_t kept = 0;
  for (const RecordedEvent& recorded : run.events) kept += recorded.event.payload().size();
  return kept;
}

constexpr uint64_t kFloodMib = 100;
constexpr uint64_t kFloodBytes = 2 * (kFloodMib << 20);  // sent and received
constexpr uint64_t kFloodCalls = 2 * kFloodMib * 32;

TEST(SlotsTest, AProcessThatOthersOvertookFindsAFreeSlot) {
  // They were counted after it, and took the slots that it looks at first.
  const ShimRun run = RunWorkload({"flood", "0"}, {.taken_slots = 5});
  EXPECT_EQ(run.drops, 0u);
  EXPECT_THAT(run.Of(CALL_SOCKETPAIR), testing::SizeIs(1));
}

TEST(FullArenaTest, WritersWaitForACollectorThatDrainsAndLoseNothing) {
  const ShimRun run = RunWorkload({"flood", std::to_string(kFloodMib)}, {.drain = true});
  EXPECT_EQ(run.drops, 0u);
  EXPECT_EQ(BytesKept(run), kFloodBytes);
}

TEST(FullArenaTest, AWriterInAHurryWakesTheCollectorAndOneInNoHurryDoesNot) {
  EXPECT_EQ(RunWorkload({"flood", "4"}, {.asleep = true}).collector_sleep, uint32_t{abi::kCollectorCalled});
  EXPECT_EQ(RunWorkload({"flood", "0"}, {.asleep = true}).collector_sleep, uint32_t{abi::kCollectorAsleep});
}

TEST(FullArenaTest, DropsAreCountedWhenAskedToDrop) {
  const ShimRun run = RunWorkload({"flood", std::to_string(kFloodMib)}, {.options = abi::kOptionDropWhenFull});
  EXPECT_GT(BytesKept(run), 60u << 20);
  EXPECT_EQ(BytesKept(run) + run.dropped_bytes, kFloodBytes);
  EXPECT_GT(run.drops, 0u);
}

TEST(FullArenaTest, AProgramOutlivesADeadCollector) {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const ShimRun run = RunWorkload({"flood", std::to_string(kFloodMib)}, {.collector_pid = static_cast<uint32_t>(dead)});
  EXPECT_EQ(run.collector_state, static_cast<uint32_t>(abi::kCollectorDead));
  EXPECT_GT(run.drops, 0u);
  EXPECT_GT(BytesKept(run), 60u << 20);
}

TEST(FullArenaTest, AStoppedCollectorIsWaitedForOnceAndNotForEver) {
  const auto begin = std::chrono::steady_clock::now();
  const ShimRun run = RunWorkload({"flood", std::to_string(kFloodMib)});
  EXPECT_GT(run.drops, 0u);
  EXPECT_EQ(run.collector_state, static_cast<uint32_t>(abi::kCollectorRunning));
  EXPECT_EQ(BytesKept(run) + run.dropped_bytes, kFloodBytes);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace socktale
