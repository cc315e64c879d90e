// SPDX-License-Identifier: Apache-2.0
//
// The event writer and the table of descriptors, in this process and under sanitizers: what they write is read back by
// libprotobuf. One arena serves all tests; each looks at the events it wrote itself.

#include "preload/arena_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "preload/arena_map.h"
#include "preload/attach.h"
#include "preload/fd_table.h"
#include "preload/found.h"
#include "preload/raw_syscall.h"
#include "proto/event.pb.h"
#include "proto/event_view.h"
#include "tests/preload/memory_arena.h"

namespace socktale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// An event with what its chunk says of it.
struct Written {
  uint32_t level;
  uint64_t start_ns;  // CLOCK_MONOTONIC
  Event event;
};

class ArenaWriterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    memory_ = new MemoryArena;
    abi::ArenaHeader& header = memory_->header();
    header.base_ns = Now();
    header.payload_limit = 100;
    header.options = abi::kOptionDropWhenFull;
    uint8_t wrong_token[16] = {9};
    ASSERT_FALSE(arena::Map(memory_->fd(), wrong_token));
    ASSERT_TRUE(arena::Map(memory_->fd(), MemoryArena::kToken));
    ASSERT_TRUE(BecomeWriter(7, 0));
    process_mode.store(kModeRecording);
    fds::Configure(0, header.payload_limit);
  }
  static void TearDownTestSuite() {
    process_mode.store(kModeQuiet);
    delete memory_;
  }

  // Empties all chunks, as a collector would: the events of the tests before.
  void SetUp() override { Take(); }

  static abi::ChunkHeader& HeaderAt(uint32_t index) { return memory_->chunk(index); }

  // The events written since the last call, of all threads, each in order. Open chunks are sealed first.
  static std::vector<Written> Take() {
    SealThreadChunks();
    std::map<std::tuple<uint32_t, uint32_t, uint64_t>, uint32_t> chunks;
    for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) {
      const abi::ChunkHeader& chunk = HeaderAt(i);
      if (chunk.state.load() == abi::kChunkFree) continue;
      EXPECT_EQ(chunk.image, 7u);
      EXPECT_TRUE(chunks.emplace(std::tuple(chunk.tid, chunk.level, chunk.sequence), i).second);
    }
    std::vector<Written> written;
    for (const auto& [key, index] : chunks) {
      abi::ChunkHeader& chunk = HeaderAt(index);
      absl::string_view rest(memory_->data(index), chunk.committed.load());
      for (;;) {
        absl::string_view bytes;
        bool found = false;
        EXPECT_TRUE(NextEvent(rest, bytes, found).ok());
        if (!found) break;
        Written one;
        one.level = chunk.level;
        EXPECT_TRUE(one.event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
        one.start_ns = arena::header->base_ns + chunk.base_ns + one.event.start_ns();
        written.push_back(std::move(one));
      }
      chunk.state.store(abi::kChunkFree);
    }
    return written;
  }

  static uint64_t Drops(abi::DropCause cause) { return arena::header->drops[cause].load(); }

  static EventHead Head(int fd) {
    EventHead head;
    head.call = field::CALL_RECV;
    head.fd = fd;
    head.start_ns = Now();
    head.end_ns = head.start_ns + 5;
    return head;
  }

 private:
  static MemoryArena* memory_;
};
MemoryArena* ArenaWriterTest::memory_ = nullptr;

TEST_F(ArenaWriterTest, WritesEveryFieldOfTheHeadAndWhatFollows) {
  EventHead head = Head(-3);
  const char address[] = "an address";
  head.result = -1;
  head.error = 11;
  head.size = 1 << 20;
  head.flags = 0x80000001;
  head.address = {address, sizeof address};
  head.notes = field::EVENT_NOTE_TRUNCATED;
  head.new_fd = -100;
  char bytes[] = "payload";
  const iovec part = {bytes, 7};
  head.payload = {.parts = &part, .size = 7};
  head.moved = 9;
  EventWriter writer(head, 2 * wire::kMaxNumberField);
  ASSERT_TRUE(writer.ok());
  writer.tail().Uint<field::event::kSocketId>(~uint64_t{0});
  writer.tail().Uint<field::event::kInode>(5);
  writer.Commit();

  const std::vector<Written> written = Take();
  ASSERT_THAT(written, SizeIs(1));
  const Event& e = written[0].event;
  EXPECT_EQ(written[0].start_ns, head.start_ns);
  EXPECT_EQ(e.call(), CALL_RECV);
  EXPECT_EQ(e.fd(), -3);
  EXPECT_EQ(e.duration_ns(), 5u);
  EXPECT_EQ(e.result(), -1);
  EXPECT_EQ(e.error(), 11u);
  EXPECT_EQ(e.payload(), "payload");
  EXPECT_EQ(e.payload_size(), 9u);
  EXPECT_EQ(e.size(), uint64_t{1} << 20);
  EXPECT_EQ(e.flags(), 0x80000001u);
  EXPECT_EQ(e.address(), std::string(address, sizeof address));
  EXPECT_EQ(e.notes(), static_cast<uint32_t>(EVENT_NOTE_TRUNCATED | EVENT_NOTE_CUT));
  EXPECT_EQ(e.new_fd(), -100);
  EXPECT_EQ(e.socket_id(), ~uint64_t{0});
  EXPECT_EQ(e.inode(), 5u);
}

// Payloads of all sizes, wherever the chunk's end comes, arrive whole and in order.
TEST_F(ArenaWriterTest, CarriesPayloadsOverTheEndsOfChunks) {
  std::string bytes(200'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 >> 4);
  std::vector<size_t> sizes;
  for (size_t size = 0; size < 9000; size += 61) sizes.push_back(size);
  for (const size_t size : {16384, 65535, 65536, 65537, 200000}) sizes.push_back(size);
  for (const size_t size : sizes) {
    // In three places, one of them empty.
    const iovec parts[] = {{bytes.data(), size / 3}, {nullptr, 0}, {bytes.data() + size / 3, size - size / 3}};
    EventHead head = Head(4);
    head.result = static_cast<int64_t>(size);
    head.payload = {.parts = parts, .size = size};
    head.moved = size;
    WriteEvent(head);
  }
  size_t at = 0;
  std::string payload;
  for (const Written& one : Take()) {
    ASSERT_LT(at, sizes.size());
    EXPECT_EQ(one.event.continuation(), payload.size());
    payload += one.event.payload();
    if ((one.event.notes() & EVENT_NOTE_MORE) != 0) continue;
    ASSERT_EQ(payload, bytes.substr(0, sizes[at])) << sizes[at];
    payload.clear();
    ++at;
  }
  EXPECT_EQ(at, sizes.size());
}

TEST_F(ArenaWriterTest, JoinsTheDatagramsOfABatch) {
  char text[] = "onetwothree";
  iovec parts[] = {{text, 3}, {text + 3, 2}, {text + 5, 1}, {text + 6, 5}};
  mmsghdr messages[4] = {};
  messages[0].msg_hdr.msg_iov = &parts[0];
  messages[0].msg_hdr.msg_iovlen = 1;
  messages[0].msg_len = 3;
  messages[1].msg_hdr.msg_iov = &parts[1];
  messages[1].msg_hdr.msg_iovlen = 2;
  messages[1].msg_len = 3;
  messages[3].msg_hdr.msg_iov = &parts[3];  // after an empty one
  messages[3].msg_hdr.msg_iovlen = 1;
  messages[3].msg_len = 9;  // was longer than its buffer
  EXPECT_EQ(MessageBytes(messages[3]), 5u);
  EventHead head = Head(4);
  head.payload = {.size = 11, .messages = messages};
  head.moved = 11;
  WriteEvent(head);
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(1));
  EXPECT_EQ(written[0].event.payload(), "onetwothree");
}

TEST_F(ArenaWriterTest, ReadsAFileAndSaysWhenItHasShrunk) {
  const int file = memfd_create("file", MFD_CLOEXEC);
  const std::string content(100'000, 'f');
  ASSERT_EQ(pwrite(file, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
  EventHead head = Head(4);
  head.notes = field::EVENT_NOTE_READ_BACK;
  head.payload = {.size = 150'000, .file = file, .offset = 10};
  head.moved = 150'000;
  WriteEvent(head);
  close(file);
  uint64_t kept = 0;
  const auto written = Take();
  for (const Written& one : written) kept += one.event.payload().size();
  EXPECT_EQ(kept, content.size() - 10);
  EXPECT_EQ(written[0].event.payload_size(), 150'000u);
  EXPECT_EQ(written.back().event.notes(), static_cast<uint32_t>(EVENT_NOTE_READ_BACK | EVENT_NOTE_CUT));
}

TEST_F(ArenaWriterTest, FitsTheLargestTailAndRefusesWhatFitsNoChunk) {
  const std::string path(kMaxTail - wire::kMaxBytesOverhead, 'p');
  EventHead head = Head(4);
  EventWriter writer(head, kMaxTail);
  ASSERT_TRUE(writer.ok());
  writer.tail().Bytes<field::event::kPath>(path.data(), path.size());
  writer.Commit();
  const uint64_t before = Drops(abi::kDropTooBig);
  EXPECT_FALSE(EventWriter(head, 70'000).ok());
  EXPECT_EQ(Drops(abi::kDropTooBig), before + 1);
  WriteEvent(head);
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(2));
  EXPECT_EQ(written[0].event.path(), path);
}

// A call that began before the chunk's first event is told in a chunk of its own: times never run backwards from a
// base.
TEST_F(ArenaWriterTest, KeepsTimesOfCallsThatBeganLongAgo) {
  const uint64_t long_ago = Now();
  EventHead first = Head(1);
  first.start_ns += 1'000'000'000;
  first.end_ns = first.start_ns;
  WriteEvent(first);
  EventHead second = Head(2);
  second.start_ns = long_ago;
  second.end_ns = first.end_ns;
  WriteEvent(second);
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(2));
  EXPECT_EQ(written[0].start_ns, first.start_ns);
  EXPECT_EQ(written[1].start_ns, long_ago);
}

// ---- Handlers amid an event, played by calls amid an event -----------------------------------------------------

__attribute__((noinline)) void Interrupt(int depth, bool finish) {
  EventHead head;
  head.call = field::CALL_SEND;
  head.fd = depth;
  head.start_ns = head.end_ns = Now();
  EventWriter writer(head, 0);
  if (depth > 0) Interrupt(depth - 1, finish);
  if (finish && writer.ok()) writer.Commit();
}

TEST_F(ArenaWriterTest, GivesEachHandlerAmidAnEventALevelOfItsOwn) {
  Interrupt(3, true);
  std::map<uint32_t, int> fd_of_level;
  for (const Written& one : Take()) fd_of_level[one.level] = one.event.fd();
  EXPECT_THAT(fd_of_level,
              ElementsAre(testing::Pair(0, 3), testing::Pair(1, 2), testing::Pair(2, 1), testing::Pair(3, 0)));
}

TEST_F(ArenaWriterTest, CountsWhatIsNestedDeeper) {
  const uint64_t before = Drops(abi::kDropNested);
  Interrupt(5, true);
  EXPECT_EQ(Drops(abi::kDropNested), before + 2);
  EXPECT_THAT(Take(), SizeIs(4));
}

// Handlers that jump away leave their levels raised; the next event finds that their frames are gone.
TEST_F(ArenaWriterTest, TakesBackLevelsThatWereJumpedOutOf) {
  const uint64_t before = Drops(abi::kDropNested);
  for (int i = 0; i < 20; ++i) Interrupt(2, false);
  WriteEvent(Head(1));
  EXPECT_EQ(Drops(abi::kDropNested), before);
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(1));
  EXPECT_EQ(written[0].level, 0u);
}

// ---- Handlers between any two instructions ------------------------------------------------------------------------

#if defined(__x86_64__)
// Runs calls one instruction at a time, by the processor's trap flag, and a handler after the n-th or after each.
class Stepper {
 public:
  Stepper() {
    struct sigaction action = {};
    action.sa_sigaction = &OnTrap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &old_);
  }
  ~Stepper() { sigaction(SIGTRAP, &old_, nullptr); }

  // False: the call has fewer than `n` instructions.
  static bool Nth(long n, void (*call)(), void (*handler)()) {
    steps_left_ = n;
    handler_ = handler;
    Step(call);
    return steps_left_ <= 0;
  }
  static void Each(void (*call)(), void (*handler)()) {
    steps_left_ = kEach;
    handler_ = handler;
    Step(call);
  }

 private:
  static constexpr long kEach = -1;
  static constexpr long kTrapFlag = 0x100;

  static __attribute__((noinline)) void Step(void (*call)()) {
    asm volatile("subq $128, %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp" ::"i"(kTrapFlag)
                 : "cc", "memory");
    call();
    asm volatile("subq $128, %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp" ::"i"(~kTrapFlag)
                 : "cc", "memory");
  }
  static void OnTrap(int, siginfo_t*, void* context) {
    if (steps_left_ != kEach) {
      steps_left_ = steps_left_ - 1;
      if (steps_left_ > 0) return;
      static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
    }
    handler_();
  }

  static inline volatile long steps_left_ = 0;
  static inline void (*handler_)() = nullptr;
  struct sigaction old_ = {};
};

void WriteOne() {
  EventHead head;
  head.call = field::CALL_SEND;
  head.start_ns = head.end_ns = Now();
  WriteEvent(head);
}

sigjmp_buf jumped_to;

TEST_F(ArenaWriterTest, AHandlerMayJumpOutOfAnEventAfterAnyInstruction) {
  const Stepper stepper;
  const uint64_t before = Drops(abi::kDropNested);
  volatile long n = 1;
  volatile bool more = true;
  while (more) {
    WriteOne();  // there is an open chunk
    if (sigsetjmp(jumped_to, 1) == 0) more = Stepper::Nth(n, &WriteOne, [] { siglongjmp(jumped_to, 1); });
    ASSERT_FALSE(ForkedAmidWriting()) << "after " << n << " instructions";
    WriteOne();
    const auto written = Take();
    ASSERT_THAT(written, testing::AllOf(SizeIs(testing::Ge(2u)), SizeIs(testing::Le(3u))))
        << "after " << n << " instructions";
    for (const Written& one : written) ASSERT_EQ(one.level, 0u) << "after " << n << " instructions";
    n = n + 1;
  }
  EXPECT_GT(n, 50);
  EXPECT_EQ(Drops(abi::kDropNested), before);
}

volatile size_t written_by_handler = 0;

TEST_F(ArenaWriterTest, AHandlerMayRecordAfterAnyInstructionOfTheSealing) {
  const Stepper stepper;
  const uint64_t before = Drops(abi::kDropNested);
  written_by_handler = 0;
  WriteOne();
  Stepper::Each(&SealThreadChunks, [] {
    WriteOne();
    written_by_handler = written_by_handler + 1;
  });
  EXPECT_GT(written_by_handler, 30u);
  EXPECT_THAT(Take(), SizeIs(1 + written_by_handler));
  EXPECT_EQ(Drops(abi::kDropNested), before);
}
#endif

// Two stacks that a program switches between by hand: the addresses on the one say nothing of the other.
ucontext_t lower, upper, main_context;

TEST_F(ArenaWriterTest, CountsTheEventOfALevelThatWasTakenForAbandonedAndLives) {
  constexpr size_t kStack = 512 << 10;
  std::vector<char> stacks(2 * kStack);
  getcontext(&lower);
  getcontext(&upper);
  lower.uc_stack.ss_sp = stacks.data();
  upper.uc_stack.ss_sp = stacks.data() + kStack;
  lower.uc_stack.ss_size = upper.uc_stack.ss_size = kStack;
  lower.uc_link = &main_context;
  upper.uc_link = &lower;
  makecontext(
      &lower,
      [] {
        char bytes[] = "lost";
        const iovec part = {bytes, 4};
        EventHead head = Head(1);
        head.payload = {.parts = &part, .size = 4};
        head.moved = 4;
        EventWriter event(head, 0);
        swapcontext(&lower, &upper);
        if (event.ok()) event.Commit();
      },
      0);
  makecontext(
      &upper, [] { WriteEvent(Head(2)); }, 0);
  const uint64_t before = Drops(abi::kDropNested);
  const uint64_t bytes_before = arena::header->dropped_bytes[abi::kDropNested].load();
  swapcontext(&main_context, &lower);
  EXPECT_EQ(Drops(abi::kDropNested), before + 1);
  EXPECT_EQ(arena::header->dropped_bytes[abi::kDropNested].load(), bytes_before + 4);
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(1));
  EXPECT_EQ(written[0].event.fd(), 2);
}

class CallsInProgressTest : public ArenaWriterTest {
 protected:
  // The one open chunk of this process.
  static abi::ChunkHeader& OpenChunk() {
    abi::ChunkHeader* open = nullptr;
    for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) {
      if (HeaderAt(i).state.load() != abi::kChunkOpen) continue;
      EXPECT_EQ(open, nullptr);
      open = &HeaderAt(i);
    }
    EXPECT_NE(open, nullptr);
    return *open;
  }

  static EventHead HeadOf(uint32_t call, uint64_t start_ns) {
    EventHead head = Head(9);
    head.call = call;
    head.start_ns = start_ns;
    head.end_ns = start_ns + 10;
    return head;
  }
};

constexpr uintptr_t kFrame = 0x1000;  // of a hook; deeper ones lie below

TEST_F(CallsInProgressTest, NotesTheCallInProgress) {
  const uint64_t now = Now();
  WriteEvent(HeadOf(field::CALL_SEND, now));
  const abi::ChunkHeader& chunk = OpenChunk();
  EnterCall(field::CALL_ACCEPT, 9, now + 1234, kFrame);
  EXPECT_EQ(chunk.in_call.load(), static_cast<uint32_t>(CALL_ACCEPT));
  EXPECT_EQ(chunk.in_fd.load(), 9);
  EXPECT_EQ(chunk.in_start_ns.load(), now + 1234u);
  LeaveCall(field::CALL_ACCEPT, now);  // another one
  EXPECT_EQ(chunk.in_call.load(), static_cast<uint32_t>(CALL_ACCEPT));
  LeaveCall(field::CALL_ACCEPT, now + 1234);
  EXPECT_EQ(chunk.in_call.load(), 0u);
}

TEST_F(CallsInProgressTest, TheCallInProgressEndsWithItsEventAndNoOther) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  const abi::ChunkHeader& chunk = OpenChunk();
  EnterCall(field::CALL_SEND, 9, now + 1, kFrame - 8);  // a handler's
  WriteEvent(HeadOf(field::CALL_SEND, now + 1));
  EXPECT_EQ(chunk.in_call.load(), static_cast<uint32_t>(CALL_RECV));
  WriteEvent(HeadOf(field::CALL_RECV, now));
  EXPECT_EQ(chunk.in_call.load(), 0u);
  EnterCall(field::CALL_SEND, 9, now + 20, kFrame);
  LeaveCall(field::CALL_SEND, now + 20);
  EXPECT_THAT(Take(), SizeIs(2));  // nothing was left
}

TEST_F(CallsInProgressTest, ACallWhoseFrameIsGoneWasLeft) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  EnterCall(field::CALL_SEND, 7, now + 50, kFrame);
  WriteEvent(HeadOf(field::CALL_SEND, now + 50));
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(2));
  const Event& left = written[0].event;
  EXPECT_EQ(left.call(), CALL_LEFT);
  EXPECT_EQ(left.option(), static_cast<uint32_t>(CALL_RECV));
  EXPECT_EQ(left.fd(), 9);
  EXPECT_EQ(left.duration_ns(), 50u);
  EXPECT_EQ(written[1].event.call(), CALL_SEND);
}

TEST_F(CallsInProgressTest, CallsDeeperThanOneThatWasLeftAreNotedToo) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  EnterCall(field::CALL_SEND, 8, now + 50, kFrame - 16);  // left as well
  EnterCall(field::CALL_POLL, 7, now + 60, kFrame - 16);
  LeaveCall(field::CALL_POLL, now + 60);
  EnterCall(field::CALL_CLOSE, 6, now + 70, kFrame);
  LeaveCall(field::CALL_CLOSE, now + 70);
  std::vector<uint32_t> left;
  for (const auto& each : Take()) left.push_back(each.event.option());
  EXPECT_THAT(left, testing::ElementsAre(CALL_SEND, CALL_RECV));
}

TEST_F(CallsInProgressTest, ACallThatEndsTellsThoseLeftWithinIt) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  EnterCall(field::CALL_SEND, 8, now + 50, kFrame - 16);  // a handler's, which is left within the handler
  WriteEvent(HeadOf(field::CALL_RECV, now));
  std::vector<Call> written;
  for (const auto& each : Take()) written.push_back(each.event.call());
  EXPECT_THAT(written, testing::ElementsAre(CALL_LEFT, CALL_RECV));
}

TEST_F(CallsInProgressTest, ACallToldAsLeftThatComesBackSaysSo) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  EnterCall(field::CALL_SEND, 7, now + 50, 2 * kFrame);  // on another stack
  WriteEvent(HeadOf(field::CALL_SEND, now + 50));
  WriteEvent(HeadOf(field::CALL_RECV, now));
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(3));
  for (const auto& each : written) {
    const bool back = (each.event.notes() & static_cast<uint32_t>(EVENT_NOTE_CAME_BACK)) != 0;
    EXPECT_EQ(back, each.event.call() == CALL_RECV);
  }
}

TEST_F(CallsInProgressTest, ACallWhoseEventIsDroppedIsOverAsWell) {
  const uint64_t now = Now();
  EnterCall(field::CALL_RECV, 9, now, kFrame);
  const EventHead head = HeadOf(field::CALL_RECV, now);
  EXPECT_FALSE(EventWriter(head, size_t{4} << 20).ok());  // larger than any chunk
  EXPECT_EQ(Drops(abi::kDropTooBig), 1u);
  EnterCall(field::CALL_SEND, 7, now + 50, kFrame);
  LeaveCall(field::CALL_SEND, now + 50);
  EXPECT_THAT(Take(), testing::IsEmpty());
}

TEST_F(ArenaWriterTest, DropsAndCountsWhenTheArenaIsFullAndGoesOnWhenThereIsRoom) {
  const std::string bytes(60'000, 'x');
  const iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  const uint64_t before = Drops(abi::kDropFull);
  const uint64_t bytes_before = arena::header->dropped_bytes[abi::kDropFull].load();
  constexpr uint64_t kEvents = 1200;  // 72 MB
  for (uint64_t i = 0; i < kEvents; ++i) {
    EventHead head = Head(1);
    head.payload = {.parts = &part, .size = bytes.size()};
    head.moved = bytes.size();
    WriteEvent(head);
  }
  const uint64_t dropped_bytes = arena::header->dropped_bytes[abi::kDropFull].load() - bytes_before;
  EXPECT_GT(Drops(abi::kDropFull), before);
  uint64_t kept = 0;
  for (const Written& one : Take()) kept += one.event.payload().size();
  EXPECT_EQ(kept + dropped_bytes, kEvents * bytes.size());
  WriteEvent(Head(2));
  EXPECT_THAT(Take(), SizeIs(1));
}

TEST_F(ArenaWriterTest, ThreadsWriteWithoutEachOther) {
  constexpr int kThreads = 6;
  constexpr int kEvents = 5000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < kEvents; ++i) {
        EventHead head = Head(t);
        head.result = i;
        WriteEvent(head);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int next[kThreads] = {};
  for (const Written& one : Take()) ASSERT_EQ(one.event.result(), next[one.event.fd()]++);
  for (const int n : next) EXPECT_EQ(n, kEvents);
}

// ---- The table of descriptors ----------------------------------------------------------------------------------

TEST_F(ArenaWriterTest, TableKnowsWhatASocketIs) {
  EXPECT_EQ(fds::Kind(fds::EntryForSocket(AF_INET, SOCK_STREAM, 0)), DESCRIPTOR_KIND_SOCKET);
  EXPECT_TRUE(fds::EntryForSocket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP) & fds::kTcp);
  EXPECT_TRUE(fds::EntryForSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) & fds::kAskName);
  EXPECT_FALSE(fds::EntryForSocket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) & fds::kTcp);
  EXPECT_TRUE(fds::EntryForSocket(AF_UNIX, SOCK_STREAM, 0) & fds::kUnix);
  EXPECT_TRUE(fds::RecordsData(fds::EntryForSocket(AF_UNIX, SOCK_STREAM, 0)));
  EXPECT_FALSE(fds::RecordsData(fds::EntryFor(DESCRIPTOR_KIND_PIPE)));
}

TEST_F(ArenaWriterTest, TableFollowsTheLivesOfANumber) {
  const uint8_t entry = fds::EntryForSocket(AF_INET, SOCK_DGRAM, 0);
  fds::Made(500, entry);
  EXPECT_EQ(fds::Get(500), entry);
  EXPECT_EQ(fds::KeepSent(500, 70), 70u);
  EXPECT_EQ(fds::KeepSent(500, 70), 30u);
  EXPECT_EQ(fds::KeepSent(500, 70), 0u);
  EXPECT_EQ(fds::KeepReceived(500, 70), 70u);
  fds::ClearBits(500, fds::kAskName);
  EXPECT_EQ(fds::Get(500), entry & ~fds::kAskName);
  fds::Gone(500);
  EXPECT_EQ(fds::Get(500), fds::kUnknown);
  fds::StillThere(500, entry);
  EXPECT_EQ(fds::Get(500), entry);
  fds::Made(500, entry);
  EXPECT_EQ(fds::KeepSent(500, 70), 70u) << "a new life begins anew";
  EXPECT_EQ(fds::Get(-1), fds::kUnknown);
  EXPECT_EQ(fds::Get(1 << 30), fds::kUnknown);
  fds::Made(1 << 30, entry);
  fds::Gone(-1);
}

TEST_F(ArenaWriterTest, FindsWhatADescriptorIsAtFirstUse) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int event = eventfd(0, EFD_CLOEXEC);
  const int memory = memfd_create("found", 0);
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT_EQ(fds::Kind(fds::Find(epoll)), DESCRIPTOR_KIND_EPOLL);
  EXPECT_EQ(fds::Kind(fds::Find(event)), DESCRIPTOR_KIND_EVENTFD);
  EXPECT_EQ(fds::Kind(fds::Find(memory)), DESCRIPTOR_KIND_MEMFD);
  EXPECT_EQ(fds::Kind(fds::Find(directory)), DESCRIPTOR_KIND_DIRECTORY);
  EXPECT_EQ(fds::Get(epoll) & fds::kKindMask, DESCRIPTOR_KIND_EPOLL);
  EXPECT_EQ(fds::Find(9999), fds::kInvalid);
  for (const int fd : {epoll, event, memory, directory}) {
    fds::Gone(fd);
    close(fd);
  }
  const auto written = Take();
  ASSERT_THAT(written, SizeIs(4));
  EXPECT_EQ(written[0].event.call(), CALL_FOUND);
  EXPECT_TRUE(written[0].event.close_on_exec());
  EXPECT_EQ(written[2].event.kind(), DESCRIPTOR_KIND_MEMFD);
  EXPECT_FALSE(written[2].event.close_on_exec());
  EXPECT_EQ(written[3].event.path(), "/");
}

TEST_F(ArenaWriterTest, TellsAllDescriptorsOfAnImage) {
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  FindAll();
  bool found = false;
  for (const Written& one : Take()) {
    if (one.event.fd() != socket) continue;
    found = true;
    EXPECT_EQ(one.event.domain(), static_cast<uint32_t>(AF_UNIX));
    EXPECT_NE(one.event.socket_id(), 0u);
    EXPECT_NE(one.event.inode(), 0u);
  }
  EXPECT_TRUE(found);
  close(socket);
}

// ---- Forks --------------------------------------------------------------------------------------------------

TEST_F(ArenaWriterTest, KeepsAChildForkedAmidAnEventOutOfItsParentsChunk) {
  const EventHead head = Head(3);
  EventWriter event(head, 2 * wire::kMaxNumberField);
  ASSERT_TRUE(event.ok());
  const uint8_t* const next = event.tail().position();
  const uint8_t before[4] = {next[0], next[1], next[2], next[3]};
  const uint64_t drops = Drops(abi::kDropUnattached);
  const pid_t child = fork();  // as by a signal handler
  ASSERT_GE(child, 0);
  if (child == 0) {
    AttachAfterFork(Now());
    WriteEvent(Head(4));  // the handler's own: counted
    event.tail().Uint<field::event::kSocketId>(0x7f7f7f7f);
    event.Commit();
    _exit(process_mode.load() == kModeCounting ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::memcmp(next, before, sizeof before), 0);
  EXPECT_EQ(Drops(abi::kDropUnattached), drops + 1);
  event.tail().Uint<field::event::kSocketId>(5);
  event.Commit();
  const auto written = Take();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].event.fd(), 3);
  EXPECT_EQ(written[0].event.socket_id(), 5u);
}

// ---- The end ---------------------------------------------------------------------------------------------------

// Last: what follows is not recorded.
TEST_F(ArenaWriterTest, ZGoesQuietWhenTheCollectorIsDone) {
  arena::header->collector_state.store(abi::kCollectorDone);
  const uint64_t before = Drops(abi::kDropFull);
  WriteEvent(Head(1));
  EXPECT_EQ(process_mode.load(), static_cast<uint32_t>(kModeQuiet));
  EXPECT_EQ(Drops(abi::kDropFull), before);
  EXPECT_THAT(Take(), IsEmpty());
}

}  // namespace
}  // namespace socktale
