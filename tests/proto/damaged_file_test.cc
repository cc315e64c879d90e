// SPDX-License-Identifier: Apache-2.0
//
// Traces that were cut, damaged, or are none at all: each opens as far as it makes sense, says what is missing, and
// nothing ever crashes. Runs with AddressSanitizer too.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <random>

#include "proto/block_codec.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "tests/proto/sample_trace.h"

namespace socktale {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// SOCKTALE_TEST_SEED repeats a run, or makes another.
uint64_t Seed() {
  const char* given = std::getenv("SOCKTALE_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : 20260301;
}

// Reads everything there is; what matters is that it returns. Returns how many events it saw.
uint64_t ReadAll(TraceFileReader& reader) {
  uint64_t events = 0;
  for (size_t i = 0; i < reader.blocks().size(); ++i) {
    const auto payload = reader.ReadBlock(i);
    if (!payload.ok() || reader.blocks()[i].kind() != BLOCK_KIND_EVENTS) continue;
    absl::string_view rest = *payload;
    RunView run;
    EventView event;
    for (bool found = true; NextRun(rest, run, found).ok() && found;) {
      absl::string_view bytes;
      for (bool more = true; NextEvent(run.events, bytes, more).ok() && more;) {
        events += ParseEvent(bytes, run.base_ns, event).ok();
      }
    }
  }
  bool found = false;
  reader.ReadTables(&found).IgnoreError();
  return events;
}

class DamagedFileTest : public testing::Test {
 protected:
  // Opens `bytes` as a file.
  absl::StatusOr<TraceFileReader> OpenBytes(const std::string& bytes) {
    WriteFile(path_, bytes);
    return TraceFileReader::Open(path_);
  }

  static std::string FlipByte(std::string bytes, size_t at, uint8_t with = 0xff) {
    bytes[at] = static_cast<char>(bytes[at] ^ with);
    return bytes;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path("damaged.tale");
};

TEST_F(DamagedFileTest, ATraceCutAtAnyByteOpensAndSaysWhereItEnds) {
  const uint64_t seed = Seed();
  RecordProperty("seed", std::to_string(seed));
  std::printf("seed %llu (SOCKTALE_TEST_SEED)\n", static_cast<unsigned long long>(seed));
  const std::string whole = ReadFile(WriteSample(folder_.path("whole.tale"), 40, true));
  auto opened = OpenBytes(whole);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::vector<BlockEntry> blocks = opened->blocks();
  const size_t trailer_at = whole.size() - kTrailerBytes;
  std::mt19937_64 random(seed);
  for (int round = 0; round < 1000; ++round) {
    // Now and then right at a border, where off-by-one lives.
    size_t cut = 1 + random() % (whole.size() - 1);
    if (round % 10 == 0) {
      const BlockEntry& block = blocks[random() % blocks.size()];
      cut = std::min(whole.size() - 1, block.offset() + block.size() + random() % 3);
    }
    SCOPED_TRACE(testing::Message() << "cut at byte " << cut << " of " << whole.size());
    auto reader = OpenBytes(whole.substr(0, cut));
    ASSERT_TRUE(reader.ok()) << reader.status();
    uint64_t end = 0, readable = 0, count = 0, events = 0;
    for (const BlockEntry& block : blocks) {
      if (block.offset() + block.size() > cut) break;
      readable = block.offset() + block.size();
      end = std::max(end, block.last_ns());
      events += block.event_count();
      ++count;
    }
    ASSERT_FALSE(reader->sealed());
    ASSERT_EQ(reader->blocks().size(), count);
    ASSERT_EQ(reader->readable_size(), readable);
    ASSERT_EQ(reader->end_ns(), end);
    ASSERT_THAT(reader->damage(), IsEmpty());
    ASSERT_EQ(reader->file_size(), cut);
    ASSERT_EQ(ReadAll(*reader), events);
    ASSERT_LE(readable, trailer_at);
  }
}

TEST_F(DamagedFileTest, ATraceWithFlippedBytesNeverCrashesAndNeverLies) {
  const uint64_t seed = Seed();
  std::printf("seed %llu (SOCKTALE_TEST_SEED)\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const std::string sealed = ReadFile(WriteSample(folder_.path("whole.tale"), 12, true));
  const std::string unsealed = ReadFile(WriteSample(folder_.path("other.tale"), 12, false));
  int opened = 0, with_damage = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string bytes = round % 2 == 0 ? sealed : unsealed;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < flips; ++i) bytes = FlipByte(bytes, random() % bytes.size(), 1 << random() % 8);
    auto reader = OpenBytes(bytes);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ++opened;
    ReadAll(*reader);
    with_damage += !reader->damage().empty() || reader->readable_size() < reader->file_size();
    // What it does give is what was written: every undamaged block is in its place.
    for (size_t i = 0; i < reader->blocks().size(); ++i) {
      if (reader->blocks()[i].kind() != BLOCK_KIND_EVENTS) continue;
      const auto payload = reader->ReadBlock(i);
      if (!payload.ok()) continue;
      ASSERT_EQ(*payload, SampleEvents(reader->sequence(i), kSampleEvents));
    }
  }
  EXPECT_EQ(opened, 1000);
  // A flip goes unseen only in the trailer and in the index, which a scan does without.
  EXPECT_GT(with_damage, 950);
}

TEST_F(DamagedFileTest, ADamagedHeaderInTheMiddleCostsOneBlock) {
  const std::string bytes = ReadFile(WriteSample(path_, 10, false));
  auto reader = OpenBytes(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const BlockEntry fifth = reader->blocks()[5];
  // Its tag, its length, the header's tag and length, the marker, the header, its checksum, the payload's length.
  for (const size_t in_block : {0, 1, 2, 3, 4, 5, 6, 10, 22, 25, 30, 40, 50, 60}) {
    SCOPED_TRACE(in_block);
    auto damaged = OpenBytes(FlipByte(bytes, fifth.offset() + in_block));
    ASSERT_TRUE(damaged.ok()) << damaged.status();
    ASSERT_EQ(damaged->blocks().size(), 10u);
    EXPECT_EQ(damaged->readable_size(), damaged->file_size());
    ASSERT_THAT(damaged->damage(), SizeIs(1));
    const DamagedRange& range = damaged->damage()[0];
    EXPECT_EQ(range.offset, fifth.offset());
    EXPECT_EQ(range.size, fifth.size());
    EXPECT_EQ(range.after_ns, 4900u);
    EXPECT_EQ(range.before_ns, 6000u);
    EXPECT_THAT(range.what, HasSubstr("block 5 at byte " + std::to_string(fifth.offset()) + ": "));
    EXPECT_EQ(damaged->blocks()[5].first_event(), 1 + 5 * kSampleEvents);
    EXPECT_EQ(ReadAll(*damaged), 9 * kSampleEvents);
  }
}

TEST_F(DamagedFileTest, ADamagedPayloadIsFoundWhenItIsRead) {
  const std::string bytes = ReadFile(WriteSample(path_, 10, true));
  for (const size_t position : {4, 5}) {  // one compressed, one raw
    const BlockEntry block = OpenBytes(bytes)->blocks()[position];
    auto reader = OpenBytes(FlipByte(bytes, block.offset() + block.size() - 20));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE(reader->sealed());
    EXPECT_THAT(reader->damage(), IsEmpty());
    for (int time = 0; time < 2; ++time) {
      const auto payload = reader->ReadBlock(position);
      EXPECT_TRUE(absl::IsDataLoss(payload.status())) << payload.status();
      EXPECT_THAT(reader->damage(), SizeIs(1));
    }
    EXPECT_EQ(reader->damage()[0].after_ns, (position - 1) * 1000 + 900);
    EXPECT_EQ(reader->damage()[0].before_ns, (position + 1) * 1000);
    EXPECT_EQ(ReadAll(*reader), 9 * kSampleEvents);
  }
}

TEST_F(DamagedFileTest, MissingBlocksAreNamed) {
  const std::string bytes = ReadFile(WriteSample(path_, 10, false));
  const std::vector<BlockEntry> blocks = OpenBytes(bytes)->blocks();
  auto reader = OpenBytes(bytes.substr(0, blocks[3].offset()) + bytes.substr(blocks[6].offset()));
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_THAT(reader->damage(), SizeIs(1));
  EXPECT_THAT(reader->damage()[0].what, HasSubstr("blocks 3 to 5 are missing"));
  EXPECT_EQ(reader->damage()[0].after_ns, 2900u);
  EXPECT_EQ(reader->damage()[0].before_ns, 6000u);
}

TEST_F(DamagedFileTest, WithoutItsBeginningTheRestReads) {
  const std::string bytes = ReadFile(WriteSample(path_, 4, true));
  std::string headless = bytes;
  headless.replace(0, 60, 60, '\0');
  auto reader = OpenBytes(headless);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->header().format(), 0u);
  EXPECT_EQ(ReadAll(*reader), 4 * kSampleEvents);
  EXPECT_THAT(reader->damage(), SizeIs(1));
  // The same without an index.
  reader = OpenBytes(headless.substr(0, headless.size() - 20));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(ReadAll(*reader), 4 * kSampleEvents);
  EXPECT_THAT(reader->damage(), SizeIs(1));
}

TEST_F(DamagedFileTest, ATraceInsideAPayloadIsNotTakenForOurOwnBlocks) {
  const std::string inner = ReadFile(WriteSample(folder_.path("inner.tale"), 5, true));
  {
    auto writer = TraceFileWriter::Create(path_, SampleHeader(), true);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->AppendEvents(inner, {1, 2, 1, {1}}, false).ok());
    ASSERT_TRUE(writer->AppendEvents(SampleEvents(2, kSampleEvents), {3, 4, kSampleEvents, {1}}, false).ok());
  }
  const std::string bytes = ReadFile(path_ + kPartSuffix);
  const BlockEntry carrier = TraceFileReader::Open(path_ + kPartSuffix)->blocks()[1];
  auto reader = OpenBytes(FlipByte(bytes, carrier.offset() + 1));
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_EQ(reader->blocks().size(), 2u);
  EXPECT_EQ(reader->sequence(1), 2u);
}

TEST_F(DamagedFileTest, AResumedDamagedTraceKeepsItsHole) {
  const std::string part = WriteSample(folder_.path("x.tale"), 6, false);
  const std::string bytes = ReadFile(part);
  const BlockEntry third = TraceFileReader::Open(part)->blocks()[3];
  WriteFile(part, FlipByte(bytes, third.offset() + 8));
  std::vector<ConnectionBlocks> connections(1);
  connections[0].set_connection(1);
  connections[0].add_block(7);
  {
    auto writer = TraceFileWriter::Resume(folder_.path("x.tale"));
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_EQ(writer->next_sequence(), 7u);
    EXPECT_EQ(writer->next_event(), 1 + 6 * kSampleEvents);
    ASSERT_TRUE(writer->AppendEvents(SampleEvents(7, kSampleEvents), {7000, 7900, kSampleEvents, {1}}, false).ok());
    ASSERT_TRUE(writer->Seal(SampleTables(1), connections).ok());
  }
  auto reader = TraceFileReader::Open(folder_.path("x.tale"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->sealed());
  EXPECT_THAT(reader->damage(), SizeIs(1));
  EXPECT_EQ(ReadAll(*reader), 6 * kSampleEvents);
}

TEST_F(DamagedFileTest, AnUnreadableSearchAreaIsBounded) {
  // Hostile: thousands of places that look like a block's beginning, and none that is one.
  std::string bytes = ReadFile(WriteSample(folder_.path("x.tale"), 1, false));
  const std::string marker = OpenBytes(bytes)->marker();
  for (int i = 0; i < 20'000; ++i) bytes += "\x0a\x80\x80\x01\x0a\xff\x02\x0a\x10" + marker;
  auto reader = OpenBytes(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->blocks().size(), 2u);
  ASSERT_THAT(reader->damage(), SizeIs(1));
  EXPECT_EQ(reader->damage()[0].before_ns, 0u);
  EXPECT_EQ(reader->damage()[0].offset, reader->readable_size());
}

TEST_F(DamagedFileTest, AFewBytesDoNotBecomeMuchMemory) {
  // Four million empty connections in one well-formed block, a kilobyte when compressed.
  std::string tables(kBlockMaxBytes / 8, '\0');
  for (size_t i = 0; i < tables.size(); i += 2) tables[i] = '\x2a';
  PayloadCodec codec;
  std::string stored;
  ASSERT_TRUE(codec.Compress(tables, stored));
  ASSERT_LT(stored.size(), 100'000u);
  const std::string whole = ReadFile(WriteSample(folder_.path("x.tale"), 1, false));
  BlockHeader header;
  header.set_marker(OpenBytes(whole)->marker());
  header.set_kind(BLOCK_KIND_TABLES);
  header.set_codec(CODEC_ZSTD);
  header.set_raw_size(tables.size());
  header.set_sequence(2);
  auto reader = OpenBytes(whole + EncodeBlockPrefix(header, stored) + stored);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->blocks().size(), 3u);
  bool found = true;
  EXPECT_TRUE(reader->ReadTables(&found).ok());
  EXPECT_FALSE(found);
  ASSERT_THAT(reader->damage(), SizeIs(1));
  EXPECT_THAT(reader->damage()[0].what, HasSubstr("more entries than can be true"));
  // And one that says less than it unpacks to.
  header.set_raw_size(100);
  reader = OpenBytes(whole + EncodeBlockPrefix(header, stored) + stored);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(absl::IsDataLoss(reader->ReadBlock(2).status()));
}

TEST_F(DamagedFileTest, ANewerFormatSaysWhoWroteIt) {
  WriteSample(path_, 1, false);
  const std::string bytes = ReadFile(path_ + kPartSuffix);
  TraceHeader newer;
  newer.set_version("3.2.1");
  newer.set_format(kTraceFormat + 1);
  BlockHeader header;
  header.set_marker(OpenBytes(bytes)->marker());
  header.set_kind(BLOCK_KIND_HEADER);
  const std::string payload = newer.SerializeAsString();
  header.set_raw_size(payload.size());
  const auto reader = OpenBytes(EncodeBlockPrefix(header, payload) + payload);
  EXPECT_TRUE(absl::IsUnimplemented(reader.status())) << reader.status();
  EXPECT_THAT(std::string(reader.status().message()),
              AllOf(HasSubstr("damaged.tale was written by socktale 3.2.1"), HasSubstr("format 2")));
}

TEST_F(DamagedFileTest, WhatIsNoTraceIsSaidToBeWhatItIs) {
  using namespace std::string_literals;
  const std::pair<std::string, const char*> files[] = {
      {""s, "an empty file"},
      {"127.0.0.1 localhost\n"s, "text"},
      {"\n\nsome words"s, "text"},
      {"\x7f"
       "ELF\x02\x01\x01"s,
       "ELF"},
      {"\x1f\x8b\x08\x00"s, "gzip"},
      {"\x28\xb5\x2f\xfd\x04"s, "zstd"},
      {"\xd4\xc3\xb2\xa1\x02\x00"s, "pcap"},
      {"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00"s, "pcapng"},
      {"SQLite format 3\0"s, "SQLite"},
      {"{\"type\":\"trace\"}"s, "JSON"},
      {std::string(100, '\0'), "zeros"},
      {"\x01\x02\x03\x04"s, "nothing known"},
  };
  for (const auto& [bytes, words] : files) {
    const auto reader = OpenBytes(bytes);
    EXPECT_TRUE(absl::IsInvalidArgument(reader.status())) << words << ": " << reader.status();
    EXPECT_THAT(std::string(reader.status().message()), AllOf(HasSubstr("not a socktale trace"), HasSubstr(words)));
  }
  EXPECT_TRUE(absl::IsNotFound(TraceFileReader::Open(folder_.path("none")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(TraceFileReader::Open(folder_.path("")).status()));
  const std::string fifo = folder_.path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(TraceFileReader::Open(fifo).status()));
}

}  // namespace
}  // namespace socktale
