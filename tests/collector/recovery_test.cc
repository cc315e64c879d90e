// SPDX-License-Identifier: Apache-2.0
//
// What a recovery needs and keeps, apart from the events (session_test has those).

#include "collector/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "proto/trace_file_writer.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

// Most memory this process has had, since it last said that it begins anew; 0: /proc does not tell.
uint64_t PeakKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    absl::string_view rest = line;
    uint64_t kib = 0;
    if (!absl::ConsumePrefix(&rest, "VmHWM:") || !absl::ConsumeSuffix(&rest, " kB")) continue;
    if (absl::SimpleAtoi(rest, &kib)) return kib;
  }
  return 0;
}
void BeginPeakAnew() { std::ofstream("/proc/self/clear_refs") << "5"; }

// A part file of a million calls, 100 to a microsecond of the trace.
void WriteLongPart(const std::string& path) {
  constexpr uint64_t kBlocks = 200, kPerBlock = 5000;
  auto writer = TraceFileWriter::Create(path, TraceHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Events events;
  Run& run = *events.add_run();
  run.set_image(1);
  run.set_tid(7);
  run.set_chunk_sequence(1);
  for (uint64_t i = 0; i < kPerBlock; ++i) *run.add_event() = NumberedEvent(3, i);
  for (uint64_t block = 0; block < kBlocks; ++block) {
    run.set_base_ns(block * kPerBlock * 10);
    for (uint64_t i = 0; i < kPerBlock; ++i) run.mutable_event(static_cast<int>(i))->set_start_ns(i * 10);
    EventBlockInfo info;
    info.first_ns = run.base_ns();
    info.last_ns = run.base_ns() + (kPerBlock - 1) * 10 + 1;
    info.event_count = kPerBlock;
    ASSERT_TRUE(writer->AppendEvents(events.SerializeAsString(), info, true).ok());
  }
}

TEST(RecoveryMemoryTest, ALongTraceIsNotKeptInMemory) {
  TestHome home;
  WriteLongPart(home.trace("long"));
  const pid_t pid = fork();  // memory that this process has had would not be missed
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    BeginPeakAnew();
    const uint64_t before = PeakKib();
    const std::vector<RecoveredTrace> recovered = RecoverOrphans(home.traces());
    EXPECT_EQ(recovered.size(), 1u);
    EXPECT_TRUE(recovered.at(0).status.ok()) << recovered.at(0).status;
    EXPECT_EQ(recovered.at(0).events, 1'000'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_GT(before, 0u);
    EXPECT_LT(PeakKib() - before, 40u << 10) << "a million events waiting would be more than 100 MiB";
#endif
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ReadTrace(home.trace("long")).tables.event_count(), 1'000'000u);
}

// What the recorder saw beside the events stands in the interim tables of the file alone, with its own numbers of the
// processes: there those are in the order in which their first words were read.
TEST(RecoveryTest, RowsOfTheRecorderStandBesideThoseOfTheCalls) {
  TestHome home;
  testing::TraceBuilder builder;
  testing::Image& makes_ring = builder.Start("makes_ring", 10);
  makes_ring.Call(CALL_SYSCALL, 5, 5).set_option(SYS_io_uring_setup);
  testing::Image& maps_ring = builder.Start("maps_ring", 11);
  maps_ring.Open(3, "/a");
  ASSERT_TRUE(builder.WriteTale(home.trace("rings"), /*seal=*/false).ok());
  {
    absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Resume(home.trace("rings"));
    ASSERT_TRUE(writer.ok()) << writer.status();
    Tables interim;
    for (const auto& [id, image] : {std::pair(1u, maps_ring.number), std::pair(2u, makes_ring.number)}) {
      Process& process = *interim.add_process();
      process.set_id(id);
      process.add_image()->set_number(image);
      Missing& row = *interim.add_missing();
      row.set_kind("io_uring");
      row.set_count(1);
      row.set_process(id);
    }
    Missing& stale = *interim.add_missing();  // of that moment: the events tell
    stale.set_kind("one_ended");
    stale.set_count(7);
    for (const char* path : {"/opt/one", "/opt/two"}) {
      Missing& row = *interim.add_missing();
      row.set_kind("static");
      row.set_count(1);
      row.set_process(1);
      row.set_detail(path);
    }
    ASSERT_TRUE(writer->AppendTables(interim).ok());
  }
  const std::vector<RecoveredTrace> recovered = RecoverOrphans(home.traces());
  ASSERT_EQ(recovered.size(), 1u);
  ASSERT_TRUE(recovered[0].status.ok()) << recovered[0].status;
  const Tables tables = ReadTrace(home.trace("rings")).tables;
  ASSERT_EQ(tables.process_size(), 2);
  ASSERT_EQ(tables.process(0).name(), "makes_ring");
  std::vector<std::tuple<std::string, uint32_t, std::string>> rows;
  for (const Missing& row : tables.missing()) rows.emplace_back(row.kind(), row.process(), row.detail());
  using Row = std::tuple<std::string, uint32_t, std::string>;
  EXPECT_THAT(rows, ::testing::UnorderedElementsAre(Row("io_uring", 1, ""), Row("io_uring", 2, ""),
                                                    Row("static", 2, "/opt/one"), Row("static", 2, "/opt/two"),
                                                    Row("cut_off", 0, "")));
}

}  // namespace
}  // namespace socktale
