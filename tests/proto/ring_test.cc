// SPDX-License-Identifier: Apache-2.0
//
// A trace of which only the last bytes are kept.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "tests/proto/sample_trace.h"

namespace socktale {
namespace {

using testing::IsEmpty;

constexpr uint64_t kRing = 1 << 20;
constexpr uint64_t kEventsPerBlock = 10;
constexpr size_t kBlockBytes = 300'000;

// What a file takes of its disk, bytes.
uint64_t DiskBytes(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

class RingTest : public testing::Test {
 protected:
  static TraceHeader Header() {
    TraceHeader header = SampleHeader();
    header.set_ring(kRing);
    return header;
  }

  // Appends blocks as large as those of a recording; the n-th of the file is full of one character.
  void Append(TraceFileWriter& writer, uint64_t blocks) {
    for (uint64_t i = 0; i < blocks; ++i, ++appended_) {
      const auto first = writer.AppendEvents(std::string(kBlockBytes, static_cast<char>('a' + appended_ % 26)),
                                             {1000 * appended_, 1000 * appended_ + 999, kEventsPerBlock, {1}}, false);
      ASSERT_TRUE(first.ok()) << first.status();
      ASSERT_EQ(*first, appended_ * kEventsPerBlock + 1);
    }
  }

  // Opens the file and checks that it holds the end of what was appended, without a hole, and nothing else.
  TraceFileReader MustRead(const std::string& path) {
    absl::StatusOr<TraceFileReader> reader = TraceFileReader::Open(path);
    if (!reader.ok()) throw std::runtime_error(reader.status().ToString());
    EXPECT_THAT(reader->damage(), IsEmpty());
    uint64_t next = reader->given_back() + 1, bytes = 0;
    EXPECT_EQ(next % kEventsPerBlock, 1u);
    for (size_t i = 0; i < reader->blocks().size(); ++i) {
      const BlockEntry& block = reader->blocks()[i];
      if (block.kind() != BLOCK_KIND_EVENTS) continue;
      EXPECT_EQ(block.first_event(), next);
      const absl::StatusOr<absl::string_view> payload = reader->ReadBlock(i);
      EXPECT_TRUE(payload.ok()) << payload.status();
      const uint64_t number = next / kEventsPerBlock;
      EXPECT_EQ(payload.value_or(""), std::string(kBlockBytes, static_cast<char>('a' + number % 26)));
      next += block.event_count();
      bytes += block.size();
    }
    EXPECT_EQ(next, appended_ * kEventsPerBlock + 1);
    EXPECT_LE(bytes, kRing + (1 << 20) + kBlockBytes);
    EXPECT_GT(bytes, kRing - kBlockBytes);
    return *std::move(reader);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path("x.tale");
  const std::string part_ = path_ + kPartSuffix;
  uint64_t appended_ = 0;  // blocks
};

TEST_F(RingTest, KeepsTheLastBytesOfWhatWasWritten) {
  auto writer = TraceFileWriter::Create(path_, Header(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Append(*writer, 2);
  EXPECT_EQ(writer->given_back(), 0u);
  for (int turn = 0; turn < 5; ++turn) {
    Append(*writer, 10);
    EXPECT_LE(DiskBytes(part_), kRing + (2 << 20));
    const TraceFileReader open = MustRead(part_);
    EXPECT_EQ(open.given_back(), writer->given_back());
    EXPECT_GT(open.given_back(), 0u);
  }
  ConnectionBlocks everywhere;
  everywhere.set_connection(1);
  for (uint32_t sequence = 1; sequence <= appended_; ++sequence) everywhere.add_block(sequence);
  ASSERT_TRUE(writer->Seal(SampleTables(1), {everywhere}).ok());
  EXPECT_FALSE(std::filesystem::exists(part_));
  EXPECT_LT(std::filesystem::file_size(path_), kRing + (2 << 20)) << "the hole is no part of the sealed file";
  TraceFileReader sealed = MustRead(path_);
  EXPECT_TRUE(sealed.sealed());
  bool found = false;
  EXPECT_TRUE(sealed.ReadTables(&found).ok());
  EXPECT_TRUE(found);
  ASSERT_EQ(sealed.connections().size(), 1u);
  size_t with_events = 0;
  for (const BlockEntry& block : sealed.blocks()) with_events += block.kind() == BLOCK_KIND_EVENTS;
  ASSERT_EQ(static_cast<size_t>(sealed.connections()[0].block_size()), with_events);
  for (const uint32_t at : sealed.connections()[0].block()) EXPECT_EQ(sealed.blocks()[at].kind(), BLOCK_KIND_EVENTS);
}

TEST_F(RingTest, GoesOnWhereAKilledRecorderLeftIt) {
  {
    auto writer = TraceFileWriter::Create(path_, Header(), false);
    ASSERT_TRUE(writer.ok()) << writer.status();
    Append(*writer, 20);
  }
  auto resumed = TraceFileWriter::Resume(path_);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_GT(resumed->given_back(), 0u);
  Append(*resumed, 20);
  EXPECT_LE(DiskBytes(part_), kRing + (2 << 20));
  ASSERT_TRUE(resumed->Seal(SampleTables(1), {}).ok());
  EXPECT_TRUE(MustRead(path_).sealed());
}

TEST_F(RingTest, ASealedOneThatIsCutOpensLikeAnyOther) {
  auto writer = TraceFileWriter::Create(path_, Header(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Append(*writer, 20);
  ASSERT_TRUE(writer->Seal(SampleTables(1), {}).ok());
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  const TraceFileReader cut = MustRead(path_);
  EXPECT_FALSE(cut.sealed());
  EXPECT_GT(cut.given_back(), 0u);
}

TEST_F(RingTest, OneThatNeverTurnedIsAWholeTrace) {
  auto writer = TraceFileWriter::Create(path_, Header(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Append(*writer, 4);
  ASSERT_TRUE(writer->Seal(SampleTables(1), {}).ok());
  EXPECT_EQ(MustRead(path_).given_back(), 0u);
}

TEST_F(RingTest, ABlockThatIsLostOtherwiseIsDamage) {
  auto writer = TraceFileWriter::Create(path_, Header(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Append(*writer, 20);
  ASSERT_TRUE(writer->Seal(SampleTables(1), {}).ok());
  std::string bytes = ReadFile(path_);
  const auto reader = TraceFileReader::Open(path_);
  ASSERT_TRUE(reader.ok());
  const BlockEntry& second = reader->blocks()[2];
  WriteFile(path_, bytes.substr(0, second.offset()) + bytes.substr(second.offset() + second.size()));
  const auto damaged = TraceFileReader::Open(path_);
  ASSERT_TRUE(damaged.ok());
  EXPECT_EQ(damaged->damage().size(), 1u);
}

}  // namespace
}  // namespace socktale
