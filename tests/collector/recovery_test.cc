// SPDX-License-Identifier: Apache-2.0
//
// What a recovery needs and keeps, apart from the events (session_test has those).

#include "collector/recovery.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "proto/trace_file_writer.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

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
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ReadTrace(home.trace("long")).tables.event_count(), 1'000'000u);
}

}  // namespace
}  // namespace socktale
