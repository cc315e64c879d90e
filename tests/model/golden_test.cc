// SPDX-License-Identifier: Apache-2.0
//
// golden/NAME.textproto (message Events) in, golden/NAME.timeline.txt out: the timelines of all its connections, both
// readable in review. With SOCKTALE_UPDATE_GOLDEN=1 in the environment the expected files are written anew.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/model/scratch.h"
#include "tests/support/trace_builder.h"
#include "viewer/model/timeline.h"

namespace socktale {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

const char* CauseName(PauseCause cause) {
  switch (cause) {
    case PauseCause::kUnknown:
      return "unknown";
    case PauseCause::kClientWorking:
      return "client working";
    case PauseCause::kServerWorking:
      return "server working";
    case PauseCause::kWaitingForPeer:
      return "waiting for the peer";
    case PauseCause::kNotReading:
      return "not reading";
    case PauseCause::kIdle:
      return "idle";
  }
  return "?";
}

std::string Line(Trace& trace, const Timeline& timeline, const Step& step) {
  const char* who = step.from_client ? "client" : "server";
  std::string line = absl::StrCat("  ", step.at_ns, " ");
  switch (step.kind) {
    case StepKind::kConnect:
      absl::StrAppend(&line, who, " connect, ", step.duration_ns, " ns");
      break;
    case StepKind::kTransfer: {
      const Transfer& t = timeline.transfers[step.transfer];
      absl::StrAppend(&line, who, " → ", t.size, " B at ", t.offset, " \"",
                      absl::CEscape(ReadPayload(trace, t).value_or("?")), "\" ", t.sends, " sends, ", t.receives,
                      " receives, ", step.duration_ns, " ns on the way");
      break;
    }
    case StepKind::kPause:
      absl::StrAppend(&line, "pause ", step.duration_ns, " ns: ", CauseName(step.pause), " (", who, ")");
      break;
    case StepKind::kShutdown:
      absl::StrAppend(&line, who, " shutdown");
      break;
    case StepKind::kClose:
      absl::StrAppend(&line, who, " close");
      break;
    case StepKind::kError:
      absl::StrAppend(&line, who, " error ", step.error);
      break;
    case StepKind::kGap:
      absl::StrAppend(&line, "gap");
      break;
  }
  return absl::StrCat(line,
                      step.error != 0 && step.kind == StepKind::kConnect ? absl::StrCat(" error ", step.error) : "",
                      step.event != 0 ? absl::StrCat("  e", step.event) : "", "\n");
}

std::string Describe(Trace& trace) {
  std::string text;
  for (const Connection& c : trace.tables().connection()) {
    const absl::StatusOr<Timeline> timeline = BuildTimeline(trace, c, 1'000'000, 1'000'000);
    if (!timeline.ok()) return timeline.status().ToString();
    absl::StrAppend(&text, "c", c.id(), " ", JoinKind_Name(c.join()), " ", ConnectionEnd_Name(c.end()), "\n");
    const Phases& p = timeline->phases;
    absl::StrAppend(&text, "  connect ", p.connect_ns, " send ", p.send_ns, " wait ", p.wait_ns, " (network ",
                    p.wait_network_ns, ", peer ", p.wait_peer_ns, ") recv ", p.recv_ns, " idle ", p.idle_ns, "\n");
    for (const Step& step : timeline->steps) text += Line(trace, *timeline, step);
  }
  return text;
}

TEST(GoldenTest, TimelinesReadAsWritten) {
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(GOLDEN_DIRECTORY)) {
    if (entry.path().extension() != ".textproto") continue;
    SCOPED_TRACE(entry.path().filename().string());
    testing::TraceBuilder builder;
    ASSERT_TRUE(builder.AddText(ReadFile(entry.path())).ok());
    testing::Scratch scratch;
    absl::StatusOr<Trace> trace = scratch.Open(builder);
    ASSERT_TRUE(trace.ok()) << trace.status();
    std::filesystem::path expected = entry.path();
    expected.replace_extension(".timeline.txt");
    const std::string text = Describe(*trace);
    if (std::getenv("SOCKTALE_UPDATE_GOLDEN") != nullptr) std::ofstream(expected, std::ios::binary) << text;
    EXPECT_EQ(text, ReadFile(expected));
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace socktale
