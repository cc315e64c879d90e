// SPDX-License-Identifier: Apache-2.0
//
// Files that were made to cost their reader time or memory. Runs with AddressSanitizer too.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "proto/block_codec.h"
#include "proto/trace_file_reader.h"
#include "tests/proto/sample_trace.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class HostileFileTest : public testing::Test {
 protected:
  // Appends a block that is good in every way.
  void Append(BlockKind kind, uint64_t sequence, absl::string_view raw, bool compress = false) {
    BlockHeader header;
    header.set_marker("0123456789abcdef");
    header.set_kind(kind);
    header.set_sequence(sequence);
    header.set_raw_size(raw.size());
    absl::string_view payload = raw;
    if (compress && codec_.Compress(raw, compressed_)) {
      header.set_codec(CODEC_ZSTD);
      payload = compressed_;
    }
    bytes_ += EncodeBlockPrefix(header, payload);
    bytes_.append(payload.data(), payload.size());
  }

  void AppendHeader() {
    TraceHeader header = SampleHeader();
    header.set_format(kTraceFormat);
    Append(BLOCK_KIND_HEADER, 0, header.SerializeAsString());
  }

  absl::StatusOr<TraceFileReader> Open() {
    const std::string path = folder_.path("hostile.tale");
    WriteFile(path, bytes_);
    return TraceFileReader::Open(path);
  }

  static double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

  TemporaryFolder folder_;
  std::string bytes_;
  std::string compressed_;
  PayloadCodec codec_;
};

// Each block is looked at once, however many there are without events, and however many are missing between them.
TEST_F(HostileFileTest, ManyBlocksWithoutEventsAreWalkedOnce) {
  constexpr uint64_t kBlocks = 150'000;
  AppendHeader();
  for (uint64_t i = 1; i <= kBlocks; ++i) Append(BLOCK_KIND_TABLES, 2 * i, "");
  const double before = CpuSeconds();
  const auto reader = Open();
  EXPECT_LT(CpuSeconds() - before, 10) << "ten thousand million steps take longer";
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(reader->blocks(), SizeIs(1 + kBlocks));
  EXPECT_THAT(reader->damage(), SizeIs(kBlocks));
}

TEST_F(HostileFileTest, DamagedBlocksWithoutEventsAreNotedOnce) {
  constexpr uint64_t kBlocks = 100'000;
  AppendHeader();
  for (uint64_t i = 1; i <= kBlocks; ++i) {
    Append(BLOCK_KIND_TABLES, i, "x");
    bytes_.back() = 'y';
  }
  auto reader = Open();
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_THAT(reader->blocks(), SizeIs(1 + kBlocks));
  const double before = CpuSeconds();
  for (size_t i = 1; i <= kBlocks; ++i) EXPECT_TRUE(absl::IsDataLoss(reader->ReadBlock(i).status()));
  EXPECT_LT(CpuSeconds() - before, 10);
  EXPECT_THAT(reader->damage(), SizeIs(kBlocks));
}

// Each part alone could be true; together they would be 200 times the file's size, and more than it is worth.
TEST_F(HostileFileTest, TablesInManyPartsHaveOneBudget) {
  constexpr uint32_t kParts = 8;
  Tables row;
  row.add_thread()->set_process(1);
  row.mutable_thread(0)->set_tid(1);
  const std::string encoded = row.SerializeAsString();
  std::string raw;
  while (raw.size() < 2 << 20) raw += encoded;
  AppendHeader();
  for (uint32_t part = 0; part < kParts; ++part) {
    Tables place;
    place.set_part(part);
    place.set_parts(kParts);
    Append(BLOCK_KIND_TABLES, 1 + part, raw + place.SerializeAsString(), true);
  }
  ASSERT_LT(bytes_.size(), 20'000u);
  auto reader = Open();
  ASSERT_TRUE(reader.ok()) << reader.status();
  bool found = true;
  const auto tables = reader->ReadTables(&found);
  EXPECT_TRUE(tables.ok()) << tables.status();
  EXPECT_FALSE(found);
  ASSERT_FALSE(reader->damage().empty());
  EXPECT_THAT(reader->damage()[0].what, HasSubstr("more entries than can be true"));
}

}  // namespace
}  // namespace socktale
