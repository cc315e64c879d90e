// SPDX-License-Identifier: Apache-2.0
//
// Whole traces: what was written is read, sealed or not, resumed, one behind the other, and by protoc.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/unique_fd.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "tests/proto/sample_trace.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TraceFileTest : public testing::Test {
 protected:
  static TraceFileReader MustOpen(const std::string& path) {
    absl::StatusOr<TraceFileReader> reader = TraceFileReader::Open(path);
    if (!reader.ok()) throw std::runtime_error(reader.status().ToString());
    return *std::move(reader);
  }

  // Every block of events in `reader` from `first_position` on is that of a sample, numbered from 1.
  static void ExpectSampleEvents(TraceFileReader& reader, size_t first_position, uint64_t blocks) {
    for (uint64_t i = 1; i <= blocks; ++i) {
      const auto payload = reader.ReadBlock(first_position + i - 1);
      ASSERT_TRUE(payload.ok()) << payload.status();
      EXPECT_EQ(*payload, SampleEvents(i, kSampleEvents)) << "block " << i;
    }
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path("curl-1.tale");
};

TEST_F(TraceFileTest, ASealedTraceGivesBackWhatWasWritten) {
  WriteSample(path_, 10, true);
  EXPECT_FALSE(std::filesystem::exists(path_ + kPartSuffix));
  TraceFileReader reader = MustOpen(path_);
  EXPECT_TRUE(reader.sealed());
  EXPECT_EQ(reader.readable_size(), reader.file_size());
  EXPECT_EQ(reader.file_size(), std::filesystem::file_size(path_));
  EXPECT_EQ(reader.header().command(0), "curl");
  EXPECT_EQ(reader.header().format(), kTraceFormat);
  EXPECT_EQ(reader.end_ns(), 10'900u);
  EXPECT_THAT(reader.damage(), IsEmpty());
  ASSERT_EQ(reader.blocks().size(), 13u);  // header, 10 of events, tables, index
  ExpectSampleEvents(reader, 1, 10);
  EXPECT_EQ(reader.blocks()[5].first_event(), 1 + 4 * kSampleEvents);
  EXPECT_EQ(reader.blocks()[5].first_ns(), 5000u);
  ASSERT_EQ(reader.connections().size(), 3u);
  EXPECT_EQ(reader.connections()[0].connection(), 1u);
  EXPECT_THAT(reader.connections()[0].block(), ElementsAre(3, 6, 9));
  bool found = false;
  const auto tables = reader.ReadTables(&found);
  ASSERT_TRUE(tables.ok() && found) << tables.status();
  EXPECT_EQ(tables->SerializeAsString(), SampleTables(3).SerializeAsString());
}

TEST_F(TraceFileTest, AnUnsealedTraceHasTheSameBlocksAsASealedOne) {
  const std::string part = WriteSample(path_, 7, false);
  TraceFileReader reader = MustOpen(part);
  EXPECT_FALSE(reader.sealed());
  EXPECT_EQ(reader.readable_size(), reader.file_size());
  EXPECT_THAT(reader.damage(), IsEmpty());
  EXPECT_THAT(reader.connections(), IsEmpty());
  ASSERT_EQ(reader.blocks().size(), 8u);
  ExpectSampleEvents(reader, 1, 7);
  bool found = true;
  EXPECT_TRUE(reader.ReadTables(&found).ok());
  EXPECT_FALSE(found);
}

TEST_F(TraceFileTest, TheFileIsForItsOwnerAloneAndIsNotLeftToPrograms) {
  const mode_t before = umask(0);
  auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
  umask(before);
  ASSERT_TRUE(writer.ok()) << writer.status();
  struct stat status {};
  ASSERT_EQ(fstat(writer->fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_TRUE(fcntl(writer->fd(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(TraceFileTest, RefreshFindsWhatWasAppendedAndTheSeal) {
  auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  TraceFileReader reader = MustOpen(writer->part_path());
  EXPECT_EQ(*reader.Refresh(), 0u);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(writer->AppendEvents(SampleEvents(i, kSampleEvents), {i, i, kSampleEvents, {1}}, true).ok());
    EXPECT_EQ(*reader.Refresh(), 1u);
  }
  ExpectSampleEvents(reader, 1, 3);
  EXPECT_FALSE(reader.sealed());
  ASSERT_TRUE(writer->Seal(SampleTables(1), {}).ok());
  EXPECT_EQ(*reader.Refresh(), 2u);
  EXPECT_TRUE(reader.sealed());
  EXPECT_EQ(reader.readable_size(), reader.file_size());
  EXPECT_EQ(*reader.Refresh(), 0u);
}

TEST_F(TraceFileTest, AResumedTraceGoesOnBehindItsLastWholeBlock) {
  const std::string part = WriteSample(path_, 5, false);
  const std::string bytes = ReadFile(part);
  WriteFile(part, bytes.substr(0, bytes.size() - 10));  // the fifth block is torn
  {
    auto writer = TraceFileWriter::Resume(path_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_EQ(writer->next_event(), 1 + 4 * kSampleEvents);
    EXPECT_EQ(writer->next_sequence(), 5u);
    ASSERT_TRUE(writer->AppendEvents(SampleEvents(5, kSampleEvents), {5000, 5900, kSampleEvents, {2}}, false).ok());
    ASSERT_TRUE(writer->Seal(SampleTables(2), {}).ok());
  }
  TraceFileReader reader = MustOpen(path_);
  EXPECT_TRUE(reader.sealed());
  ASSERT_EQ(reader.blocks().size(), 8u);
  ExpectSampleEvents(reader, 1, 5);
}

TEST_F(TraceFileTest, ALivingRecordersFileIsLeftAlone) {
  auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFileWriter::Create(path_, SampleHeader(), false).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFileWriter::Create(path_, SampleHeader(), true).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFileWriter::Resume(path_).status()));
  EXPECT_TRUE(writer->Seal(SampleTables(1), {}).ok());
}

TEST_F(TraceFileTest, WhatExistsIsReplacedOnlyOnDemand) {
  WriteSample(path_, 1, true);
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFileWriter::Create(path_, SampleHeader(), false).status()));
  WriteSample(path_, 2, true);
  EXPECT_EQ(MustOpen(path_).blocks().size(), 5u);
  EXPECT_TRUE(absl::IsInvalidArgument(TraceFileWriter::Create("/dev/null", SampleHeader(), true).status()));
  EXPECT_TRUE(absl::IsNotFound(TraceFileWriter::Create(folder_.path("no/x.tale"), SampleHeader(), true).status()));
}

TEST_F(TraceFileTest, ATraceWhoseNameWasTakenMeanwhileStaysWholeInItsPartFile) {
  {
    auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->AppendEvents(SampleEvents(1, kSampleEvents), {1, 2, kSampleEvents, {1}}, true).ok());
    WriteFile(path_, "somebody's");
    const absl::Status sealed = writer->Seal(SampleTables(1), {});
    EXPECT_TRUE(absl::IsAlreadyExists(sealed)) << sealed;
    EXPECT_THAT(std::string(sealed.message()), HasSubstr(path_ + kPartSuffix));
  }
  EXPECT_EQ(ReadFile(path_), "somebody's");
  EXPECT_TRUE(MustOpen(path_ + kPartSuffix).sealed());
  std::filesystem::remove(path_);
  // A later command goes on from there: index and trailer give way to new ones.
  auto writer = TraceFileWriter::Resume(path_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Seal(SampleTables(2), {}).ok());
  TraceFileReader reader = MustOpen(path_);
  EXPECT_EQ(reader.blocks().size(), 5u);  // header, events, tables, tables, index
  EXPECT_THAT(reader.damage(), IsEmpty());
  bool found = false;
  EXPECT_EQ(reader.ReadTables(&found)->connection_size(), 2);
}

TEST_F(TraceFileTest, TwoTracesInOneFileReadOneBehindTheOther) {
  const std::string a = WriteSample(folder_.path("a.tale"), 3, true);
  const std::string b = WriteSample(folder_.path("b.tale"), 4, true);
  const std::string unsealed = WriteSample(folder_.path("c.tale"), 2, false);
  for (const bool first_sealed : {true, false}) {
    WriteFile(path_, ReadFile(first_sealed ? a : unsealed) + ReadFile(b));
    TraceFileReader reader = MustOpen(path_);
    const size_t blocks_of_first = first_sealed ? 6 : 3;
    const uint64_t events_of_first = (first_sealed ? 3 : 2) * kSampleEvents;
    EXPECT_THAT(reader.damage(), IsEmpty());
    EXPECT_EQ(reader.readable_size(), reader.file_size());
    ASSERT_EQ(reader.blocks().size(), blocks_of_first + 7);
    EXPECT_EQ(reader.blocks()[blocks_of_first].kind(), BLOCK_KIND_HEADER);
    EXPECT_EQ(reader.sequence(blocks_of_first), 0u);
    ExpectSampleEvents(reader, 1, first_sealed ? 3 : 2);
    ExpectSampleEvents(reader, blocks_of_first + 1, 4);
    EXPECT_EQ(reader.blocks()[blocks_of_first + 1].first_event(), events_of_first + 1);
    bool found = false;
    EXPECT_TRUE(reader.ReadTables(&found).ok());
    EXPECT_TRUE(found);
  }
  WriteFile(path_, ReadFile(a) + ReadFile(a));
  EXPECT_EQ(MustOpen(path_).blocks().size(), 12u);
  EXPECT_THAT(MustOpen(path_).damage(), IsEmpty());
}

TEST_F(TraceFileTest, ProtocReadsTheFile) {
  WriteSample(path_, 3, true);
  File file;
  ASSERT_TRUE(file.ParseFromString(ReadFile(path_)));
  EXPECT_EQ(file.block_size(), 6);
  EXPECT_EQ(file.trailer_magic(), kTrailerMagic);
  EXPECT_EQ(file.block(1).header().codec(), CODEC_RAW);
  EXPECT_EQ(file.block(1).payload(), SampleEvents(1, kSampleEvents));
  EXPECT_EQ(file.block(2).header().codec(), CODEC_ZSTD);
  const std::string text = folder_.path("text");
  const std::string command =
      "protoc -I " SOCKTALE_SOURCE_DIR "/proto --decode socktale.File trace.proto < '" + path_ + "' > '" + text + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_THAT(ReadFile(text), HasSubstr("kind: BLOCK_KIND_EVENTS"));
}

TEST_F(TraceFileTest, LargeTablesStandInSeveralBlocks) {
  Tables tables = SampleTables(20'000);
  for (uint32_t i = 1; i <= 40; ++i) {
    Process& process = *tables.add_process();
    process.set_id(i);
    process.add_image()->add_argv(std::string(2 << 20, static_cast<char>('a' + i % 26)));
  }
  // Every kind of row and every number there is.
  tables.add_thread()->set_tid(1);
  tables.add_life()->set_fd(1);
  tables.add_object()->set_inode(1);
  tables.add_drop()->set_events(1);
  tables.add_missing()->set_count(1);
  tables.add_name()->set_host("localhost");
  tables.add_call()->set_calls(1);
  tables.set_event_count(77);
  tables.set_end_ns(78);
  tables.set_sealed(true);
  tables.set_recovered(true);
  ASSERT_EQ(Tables::descriptor()->field_count(), 13 + 2) << "a new field has to stand here, too";
  int calls = 0;
  {
    auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->AppendTables(tables, [&calls] { ++calls; }).ok());
    EXPECT_GE(calls, 20'000 / 4096 + 3) << "in between the rows, and for each block";
    ASSERT_TRUE(writer->AppendTables(SampleTables(1)).ok());
    ASSERT_TRUE(writer->Seal(tables, {}).ok());
  }
  TraceFileReader reader = MustOpen(path_);
  EXPECT_EQ(reader.blocks().size(), 1u + 3 + 1 + 3 + 1);
  bool found = false;
  const auto read = reader.ReadTables(&found);
  ASSERT_TRUE(read.ok() && found) << read.status();
  EXPECT_EQ(read->SerializeAsString(), tables.SerializeAsString());
  // Without their last part the earlier, whole tables count.
  WriteFile(path_, ReadFile(path_).substr(0, reader.blocks()[7].offset() + 5));
  TraceFileReader cut = MustOpen(path_);
  EXPECT_EQ(cut.ReadTables(&found)->connection_size(), 1);
  EXPECT_TRUE(found);
}

TEST_F(TraceFileTest, AProcessWhoseRowNoBlockCanHoldLosesWordsNotItsSeal) {
  Tables tables = SampleTables(2);
  Process& process = *tables.mutable_process(0);
  for (uint32_t i = 1; i <= 40; ++i) {
    Image& image = *process.add_image();
    image.set_number(i);
    image.set_path("/usr/bin/cc");
    image.add_argv(std::string(2 << 20, 'a'));
    image.set_cwd("/src");
  }
  ResolvedName& name = *tables.add_name();  // which no block can hold either
  name.set_host(std::string(40 << 20, 'h'));
  tables.set_event_count(77);
  auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const absl::Status sealed = writer->Seal(tables, {});
  ASSERT_TRUE(sealed.ok()) << sealed;
  TraceFileReader reader = MustOpen(path_);
  bool found = false;
  const auto read = reader.ReadTables(&found);
  ASSERT_TRUE(read.ok() && found) << read.status();
  EXPECT_THAT(reader.damage(), IsEmpty());
  ASSERT_EQ(read->process_size(), 1);
  ASSERT_EQ(read->process(0).image_size(), 40);
  EXPECT_EQ(read->process(0).image(0).argv_size(), 0);
  EXPECT_EQ(read->process(0).image(0).path(), "/usr/bin/cc");
  EXPECT_EQ(read->process(0).image(39).argv(0).size(), size_t{2 << 20}) << "the last program's are the last to go";
  EXPECT_EQ(read->name_size(), 0);
  EXPECT_EQ(read->connection_size(), 2);
  EXPECT_EQ(read->event_count(), 77u);
  ASSERT_EQ(read->missing_size(), 1);
  EXPECT_EQ(read->missing(0).kind(), "row_cut");
  EXPECT_EQ(read->missing(0).count(), 25u + 1) << "of 40 times 2 MiB no more than 15 fit into 32 MiB";
}

TEST_F(TraceFileTest, TablesOfShortLivesAreNotTakenForAnAttack) {
  Tables tables;
  for (uint32_t i = 1; i <= 50'000; ++i) {
    Connection& connection = *tables.add_connection();
    connection.set_id(i);
    connection.set_domain(2);
    connection.set_type(1);
    connection.mutable_client()->set_object(i);
    connection.mutable_server()->set_object(i);
    DescriptorLife& life = *tables.add_life();
    life.set_id(i);
    life.set_process(1);
    life.set_fd(3);
    life.set_generation(i);
    Process& process = *tables.add_process();
    process.set_id(i);
    process.set_pid(i);
    process.set_pid_use(1);
    process.set_name("sh");
    Image& image = *process.add_image();
    image.set_number(i);
    image.set_path("/bin/sh");
    image.add_argv("sh");
    tables.add_thread()->set_process(i);
    tables.mutable_thread()->rbegin()->set_tid(i);
    tables.mutable_thread()->rbegin()->set_start_ns(i * 1000);
  }
  auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Seal(tables, {}).ok());
  TraceFileReader reader = MustOpen(path_);
  bool found = false;
  EXPECT_EQ(reader.ReadTables(&found)->SerializeAsString(), tables.SerializeAsString());
  EXPECT_THAT(reader.damage(), IsEmpty());
}

// tests/golden/format1.tale was written by the first version that wrote format 1, and is never written again: a trace
// that was kept stays readable. It has three blocks of events, the second one compressed, tables, index and trailer.
TEST_F(TraceFileTest, AKeptTraceOfFormat1StillReads) {
  TraceFileReader reader = MustOpen(SOCKTALE_SOURCE_DIR "/tests/golden/format1.tale");
  EXPECT_TRUE(reader.sealed());
  EXPECT_EQ(reader.header().format(), 1u);
  EXPECT_EQ(reader.header().version(), "0.1.0");
  EXPECT_THAT(reader.header().command(), ElementsAre("curl", "http://localhost:8080/hello"));
  EXPECT_EQ(reader.header().base_ns(), 5'000'000'000u);
  ASSERT_EQ(reader.blocks().size(), 6u);
  std::vector<uint32_t> images;
  uint64_t events = 0, payload_bytes = 0;
  std::string last_payload;
  for (size_t i = 0; i < reader.blocks().size(); ++i) {
    const auto payload = reader.ReadBlock(i);
    ASSERT_TRUE(payload.ok()) << payload.status();
    if (reader.blocks()[i].kind() != BLOCK_KIND_EVENTS) continue;
    absl::string_view rest = *payload;
    RunView run;
    EventView event;
    for (bool found = true; NextRun(rest, run, found).ok() && found;) {
      images.push_back(run.image);
      absl::string_view bytes;
      for (bool more = true; NextEvent(run.events, bytes, more).ok() && more;) {
        ASSERT_TRUE(ParseEvent(bytes, run.base_ns, event).ok());
        EXPECT_EQ(event.call, CALL_SEND);
        EXPECT_EQ(event.fd, 3 + static_cast<int>(events % 20 % 5));
        payload_bytes += event.payload.size();
        last_payload = std::string(event.payload);
        ++events;
      }
    }
  }
  EXPECT_THAT(images, ElementsAre(2, 3, 4));
  EXPECT_EQ(events, 60u);
  EXPECT_EQ(payload_bytes, 10'645u);
  EXPECT_THAT(last_payload, HasSubstr("event 19 of block 3\r\n"));
  EXPECT_THAT(reader.damage(), IsEmpty());
  ASSERT_EQ(reader.connections().size(), 3u);
  EXPECT_THAT(reader.connections()[1].block(), ElementsAre(1));
  bool found = false;
  const auto tables = reader.ReadTables(&found);
  ASSERT_TRUE(tables.ok() && found) << tables.status();
  ASSERT_EQ(tables->connection_size(), 3);
  EXPECT_EQ(tables->process(0).name(), "curl");
  EXPECT_EQ(tables->connection(2).client().sent(), 103u);
}

// docs/trace-format.md walks through the same file: lines of "0xOFFSET  bytes   words".
TEST_F(TraceFileTest, TheDocumentedBytesAreThoseOfTheKeptTrace) {
  const std::string golden = ReadFile(SOCKTALE_SOURCE_DIR "/tests/golden/format1.tale");
  std::istringstream document(ReadFile(SOCKTALE_SOURCE_DIR "/docs/trace-format.md"));
  int lines = 0;
  for (std::string line; std::getline(document, line);) {
    if (line.rfind("0x", 0) != 0) continue;
    ++lines;
    std::istringstream words(line.substr(0, line.find("   ")));
    size_t offset = 0;
    words >> std::hex >> offset;
    for (unsigned byte = 0; words >> std::hex >> byte; ++offset) {
      ASSERT_LT(offset, golden.size()) << line;
      EXPECT_EQ(byte, static_cast<uint8_t>(golden[offset])) << line;
    }
  }
  EXPECT_GT(lines, 30);
}

}  // namespace
}  // namespace socktale
