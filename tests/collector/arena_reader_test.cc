// SPDX-License-Identifier: Apache-2.0
//
// The arena and its reader: allocation, and everything a hostile or broken traced program may write.

#include "collector/arena_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector/arena.h"
#include "collector/block_builder.h"
#include "collector/clock.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

namespace socktale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// An arena with one writer's process and a reader.
class ArenaReaderTest : public testing::Test {
 protected:
  ArenaReaderTest()
      : arena_(MustCreate(home_)), shim_(arena_.path()), reader_(&arena_, [](uint32_t, const EventView&) {}) {
    shim_.Attach();
  }

  static Arena MustCreate(const TestHome& home) {
    auto arena = Arena::Create({home.arenas()}, {.trace_path = home.trace("x"),
                                                 .payload_limit = UINT64_MAX,
                                                 .options = 0,
                                                 .first_bytes = 256 << 10,
                                                 .limit_bytes = 1 << 20});
    if (!arena.ok()) std::abort();
    return *std::move(arena);
  }

  // Event.size of all that can be taken now, in order.
  std::vector<uint64_t> Take(bool everything = false) {
    reader_.Look(true);
    reader_.BeginPass();
    std::string events;
    RunTotals totals;
    absl::flat_hash_set<uint32_t> images;
    taken_.clear();
    EXPECT_FALSE(reader_.TakeInto(events, SIZE_MAX, everything, UINT64_MAX, totals, images, taken_));
    std::vector<uint64_t> numbers;
    absl::string_view rest = events;
    RunView run;
    EventView event;
    for (bool found = true; found;) {
      EXPECT_TRUE(NextRun(rest, run, found).ok());
      absl::string_view encoded, run_rest = run.events;
      for (bool more = found; more;) {
        EXPECT_TRUE(NextEvent(run_rest, encoded, more).ok());
        if (!more) break;
        EXPECT_TRUE(ParseEvent(encoded, run.base_ns, event).ok());
        numbers.push_back(event.size);
      }
    }
    EXPECT_EQ(totals.events, numbers.size());
    return numbers;
  }

  uint32_t StateOf(const FakeThread& thread) { return shim_.chunk(thread.chunk_number()).state.load(); }

  TestHome home_;
  Arena arena_;
  FakeShim shim_;
  ArenaReader reader_;
  std::vector<ArenaReader::Taken> taken_;
};

TEST_F(ArenaReaderTest, TakesChunksOfAThreadInTheOrderOfTheirSequence) {
  FakeThread thread(&shim_, 1);
  ASSERT_TRUE(thread.TakeChunk(2));  // the second chunk lies before the first one in the arena
  thread.Write(NumberedEvent(3, 1));
  thread.Seal();
  ASSERT_TRUE(thread.TakeChunk(0));
  thread.Write(NumberedEvent(3, 2));
  EXPECT_THAT(Take(), ElementsAre(1, 2));
  thread.Write(NumberedEvent(3, 3));
  EXPECT_THAT(Take(), ElementsAre(3));
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(ArenaReaderTest, DoesNotTakeAChunkBeforeTheOneThatComesFirst) {
  FakeThread thread(&shim_, 1);
  thread.set_sequence(1);  // its first chunk is not there yet
  thread.Write(NumberedEvent(3, 2));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_THAT(Take(true), ElementsAre(2));  // at the end nothing more will come
}

// A traced thread that is faster than the file must not keep the others' chunks waiting.
TEST(ArenaReaderTurnsTest, TakesSomeOfEachWriterInTurn) {
  TestHome home;
  auto arena = Arena::Create({home.arenas()}, {.trace_path = home.trace("x"),
                                               .payload_limit = UINT64_MAX,
                                               .options = 0,
                                               .first_bytes = 4 << 20,
                                               .limit_bytes = 4 << 20});
  ASSERT_TRUE(arena.ok()) << arena.status();
  FakeShim shim(arena->path());
  shim.Attach();
  ArenaReader reader(&*arena, [](uint32_t, const EventView&) {});
  // More of each than one turn takes.
  constexpr int kChunksOfEach = 8;
  const std::string payload(60'000, 'x');
  for (uint64_t tid = 1; tid <= 2; ++tid) {
    FakeThread thread(&shim, static_cast<uint32_t>(tid));
    for (int i = 0; i < kChunksOfEach; ++i) {
      ASSERT_TRUE(thread.TakeChunk(2));
      ASSERT_TRUE(thread.Write(NumberedEvent(3, tid, payload)));
      thread.Seal();
    }
  }
  reader.Look(true);
  reader.BeginPass();
  std::string events;
  RunTotals totals;
  absl::flat_hash_set<uint32_t> images;
  std::vector<ArenaReader::Taken> taken;
  EXPECT_FALSE(reader.TakeInto(events, SIZE_MAX, false, UINT64_MAX, totals, images, taken));
  EXPECT_EQ(totals.events, 2u * kChunksOfEach);
  std::vector<uint32_t> turns;  // tids, each as often as it had a turn
  absl::string_view rest = events;
  RunView run;
  for (bool found = true; found;) {
    ASSERT_TRUE(NextRun(rest, run, found).ok());
    if (found && (turns.empty() || turns.back() != run.tid)) turns.push_back(run.tid);
  }
  ASSERT_THAT(turns, testing::SizeIs(4));
  EXPECT_EQ(turns[0], turns[2]);
  EXPECT_EQ(turns[1], turns[3]);
}

// What a pass has yet to take of a writer is not earlier than what it took.
TEST_F(ArenaReaderTest, KnowsAmidAPassWhatIsSettled) {
  FakeThread early(&shim_, 1), late(&shim_, 2);
  Event event = NumberedEvent(3, 1);
  ASSERT_TRUE(early.Write(event));
  event.set_start_ns(kSecondNs);
  ASSERT_TRUE(late.Write(event));
  reader_.Look(true);
  reader_.BeginPass();
  EXPECT_EQ(reader_.SettledBefore(), 0u);  // nothing is known of either
  std::string events;
  RunTotals totals;
  absl::flat_hash_set<uint32_t> images;
  std::vector<ArenaReader::Taken> taken;
  ASSERT_FALSE(reader_.TakeInto(events, SIZE_MAX, false, UINT64_MAX, totals, images, taken));
  EXPECT_EQ(reader_.SettledBefore(), UINT64_MAX);  // the pass is over
  ASSERT_TRUE(late.Write(event));
  ASSERT_TRUE(early.Write(NumberedEvent(3, 10)));
  reader_.BeginPass();
  const uint64_t settled_ns = reader_.SettledBefore();  // where the early one has come to
  EXPECT_GT(settled_ns, 0u);
  EXPECT_LT(settled_ns, kSecondNs);
}

TEST_F(ArenaReaderTest, MeasuresWhatCanBeTaken) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  thread.Seal();
  thread.set_sequence(2);  // its second chunk is not there yet
  thread.Write(NumberedEvent(3, 3));
  thread.Seal();
  reader_.Look(true);
  const ArenaReader::Ready ready = reader_.Measure();
  EXPECT_EQ(ready.sealed, 1u);
  EXPECT_GT(ready.bytes, 0u);
  EXPECT_THAT(Take(), ElementsAre(1));
  reader_.Written(taken_);
  EXPECT_EQ(reader_.Measure().bytes, 0u);  // a collector that took this for work would never sleep
  EXPECT_EQ(reader_.Measure().sealed, 0u);
}

TEST_F(ArenaReaderTest, FindsAChunkThatWasCountedBeforeItWasOpen) {
  FakeThread thread(&shim_, 1);
  ASSERT_TRUE(thread.TakeChunk(0));
  thread.Write(NumberedEvent(3, 1));
  abi::ChunkHeader& chunk = shim_.chunk(thread.chunk_number());
  chunk.state.store(abi::ClaimedBy(shim_.slot_index()));
  reader_.Look(false);
  EXPECT_EQ(reader_.Measure().bytes, 0u);
  chunk.state.store(abi::kChunkOpen);
  reader_.Look(false);
  EXPECT_GT(reader_.Measure().bytes, 0u);
}

TEST_F(ArenaReaderTest, FreesAChunkOnlyAfterItsBytesWereWritten) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  thread.Seal();
  EXPECT_THAT(Take(), ElementsAre(1));
  EXPECT_EQ(StateOf(thread), uint32_t{abi::kChunkSealed});
  reader_.Written(taken_);
  EXPECT_EQ(reader_.chunks_freed(), 1u);
  EXPECT_EQ(StateOf(thread), uint32_t{abi::kChunkFree});
}

TEST_F(ArenaReaderTest, FreesAnOpenChunkOfAnImageThatEnded) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  EXPECT_THAT(Take(), ElementsAre(1));
  reader_.Written(taken_);
  EXPECT_TRUE(reader_.HasChunks(shim_.image()));
  reader_.EndImage(shim_.image());
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_FALSE(reader_.HasChunks(shim_.image()));
  EXPECT_EQ(StateOf(thread), uint32_t{abi::kChunkFree});
}

// Servers that fork for each request have images without end.
TEST_F(ArenaReaderTest, KeepsNothingOfAnImageThatIsForgotten) {
  FakeThread thread(&shim_, 1);
  const auto write_and_free = [&](uint64_t number) {
    thread.Write(NumberedEvent(3, number));
    thread.Seal();
    EXPECT_THAT(Take(), ElementsAre(number));
    reader_.Written(taken_);
  };
  write_and_free(1);
  EXPECT_THAT(reader_.TakeNewImages(), ElementsAre(shim_.image()));
  write_and_free(2);
  EXPECT_THAT(reader_.TakeNewImages(), IsEmpty()) << "it is known";
  reader_.EndImage(shim_.image());
  reader_.ForgetImage(shim_.image());
  thread.set_sequence(0);
  write_and_free(3);  // and is not taken for a chunk that was there before
  EXPECT_THAT(reader_.TakeNewImages(), ElementsAre(shim_.image()));
  EXPECT_EQ(reader_.malformed_chunks(), 0u);
}

TEST_F(ArenaReaderTest, FreesWhatAKilledWriterHadClaimedAndNothingElse) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  abi::ChunkHeader& own = shim_.chunk(thread.chunk_number() + 1);
  abi::ChunkHeader& others = shim_.chunk(thread.chunk_number() + 2);
  own.state.store(abi::ClaimedBy(shim_.slot_index()));
  others.state.store(abi::ClaimedBy(shim_.slot_index() + 1));
  reader_.FreeClaimed(shim_.slot_index());
  EXPECT_EQ(own.state.load(), uint32_t{abi::kChunkFree});
  EXPECT_EQ(others.state.load(), abi::ClaimedBy(shim_.slot_index() + 1));
  EXPECT_EQ(StateOf(thread), uint32_t{abi::kChunkOpen});
}

TEST_F(ArenaReaderTest, SkipsWhatTheFileAlreadyHolds) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  const uint32_t first = shim_.chunk(thread.chunk_number()).committed.load();
  thread.Write(NumberedEvent(3, 2));
  const abi::ChunkHeader& chunk = shim_.chunk(thread.chunk_number());
  reader_.SetTakenBefore({{{{shim_.image(), 1, 0, chunk.thread_start_ns - arena_.base_ns()}, 1}, first}});
  EXPECT_THAT(Take(true), ElementsAre(2));
}

TEST_F(ArenaReaderTest, CountsAndLeavesChunksWhoseDescriptionMakesNoSense) {
  const auto break_one = [this](auto how) {
    FakeThread thread(&shim_, 1);
    ASSERT_TRUE(thread.TakeChunk(0) || thread.TakeChunk(1));  // those left broken are not given back
    how(shim_.chunk(thread.chunk_number()));
    const uint64_t before = reader_.malformed_chunks();
    EXPECT_THAT(Take(true), IsEmpty());
    EXPECT_EQ(reader_.malformed_chunks(), before + 1);
  };
  break_one([](abi::ChunkHeader& chunk) { chunk.image = 0; });
  break_one([](abi::ChunkHeader& chunk) { chunk.image = 77; });
  break_one([](abi::ChunkHeader& chunk) { chunk.slot = UINT32_MAX; });
  break_one([](abi::ChunkHeader& chunk) { chunk.level = 1000; });
  break_one([](abi::ChunkHeader& chunk) { chunk.sequence = 0; });
  break_one([](abi::ChunkHeader& chunk) { chunk.committed.store(65537); });
  break_one([](abi::ChunkHeader& chunk) { chunk.committed.store(UINT32_MAX); });
}

TEST_F(ArenaReaderTest, TakesASequenceThatIsUsedTwiceOnce) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  thread.Seal();
  thread.set_sequence(0);
  thread.Write(NumberedEvent(3, 2));
  EXPECT_EQ(Take().size(), 1u);
  EXPECT_EQ(reader_.malformed_chunks(), 1u);
}

TEST_F(ArenaReaderTest, KeepsTheEventsBeforeThePlaceWhereAChunkStopsMakingSense) {
  FakeThread thread(&shim_, 1), other(&shim_, 2);
  thread.Write(NumberedEvent(3, 1));
  abi::ChunkHeader& chunk = shim_.chunk(thread.chunk_number());
  const uint32_t good = chunk.committed.load();
  thread.Write(NumberedEvent(3, 2));
  shim_.data(thread.chunk_number())[good] = 0x55;
  other.Write(NumberedEvent(3, 7));
  EXPECT_THAT(Take(), testing::UnorderedElementsAre(1, 7));
  EXPECT_EQ(reader_.malformed_chunks(), 1u);
  thread.Write(NumberedEvent(3, 3));
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(ArenaReaderTest, RefusesCommittedBytesThatShrink) {
  FakeThread thread(&shim_, 1);
  thread.Write(NumberedEvent(3, 1));
  EXPECT_THAT(Take(), ElementsAre(1));
  shim_.chunk(thread.chunk_number()).committed.store(1);
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ(reader_.malformed_chunks(), 1u);
}

TEST_F(ArenaReaderTest, IgnoresChunksWhosePagesAreNotAllocated) {
  uint32_t withheld = 0;
  while (arena_.Usable(0, withheld)) ++withheld;
  shim_.chunk(withheld).state.store(abi::kChunkOpen);
  EXPECT_THAT(Take(true), IsEmpty());
}

TEST_F(ArenaReaderTest, GrowsToItsLimitAndNotBeyond) {
  const uint32_t before = arena_.usable_chunks(0);
  ASSERT_TRUE(arena_.Grow().ok());
  EXPECT_GT(arena_.usable_chunks(0), before);
  while (arena_.may_grow()) ASSERT_TRUE(arena_.Grow().ok());
  EXPECT_EQ(arena_.bytes(), 1u << 20);
  EXPECT_EQ(arena_.Grow().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ArenaTest, SaysWhichDirectoryHasNoRoom) {
  TestHome home;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  struct sigaction ignore = {}, previous;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &previous);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto arena =
      Arena::Create({home.arenas()}, {.trace_path = "/x", .first_bytes = 1 << 20, .limit_bytes = 1 << 20});
  setrlimit(RLIMIT_FSIZE, &before);
  sigaction(SIGXFSZ, &previous, nullptr);
  EXPECT_EQ(arena.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(arena.status().message()), HasSubstr(home.arenas()));
  EXPECT_THAT(home.ArenaFiles(), IsEmpty());
}

TEST(ArenaTest, TakesNoDirectoryThatOthersCanWriteTo) {
  TestHome home;
  ASSERT_EQ(chmod(home.arenas().c_str(), 0777), 0);
  const auto arena =
      Arena::Create({home.arenas()}, {.trace_path = "/x", .first_bytes = 1 << 20, .limit_bytes = 1 << 20});
  EXPECT_FALSE(arena.ok());
}

TEST(ArenaTest, CannotBeOpenedAsAnOrphanWhileItsCollectorLives) {
  TestHome home;
  const auto create = [&home] {
    return Arena::Create({home.arenas()}, {.trace_path = "/x", .first_bytes = 1 << 20, .limit_bytes = 1 << 20});
  };
  std::string path;
  {
    const auto arena = create();
    ASSERT_TRUE(arena.ok()) << arena.status();
    path = arena->path();
    EXPECT_EQ(Arena::OpenOrphan(path).status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(Arena::OpenOrphan(path).ok());
}

}  // namespace
}  // namespace socktale
