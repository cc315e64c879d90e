// SPDX-License-Identifier: Apache-2.0
//
// `ls`: the states that a trace can be in.

#include "viewer/cli/ls.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_split.h"
#include "proto/trace_file_reader.h"
#include "tests/viewer_text/tale.h"

namespace socktale {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LsTest : public ::testing::Test {
 protected:
  LsTest() {
    char name[] = "/tmp/socktale-ls-XXXXXX";
    root_ = mkdtemp(name);
    setenv("XDG_STATE_HOME", root_.c_str(), 1);
    std::filesystem::create_directory(root_ + "/socktale");
  }
  ~LsTest() override {
    std::filesystem::remove_all(root_);
    unsetenv("XDG_STATE_HOME");
  }

  std::string Path(const std::string& file) { return absl::StrCat(root_, "/socktale/", file); }

  // start_s: when the recording began, in seconds after 1970; 0: the builder's own time.
  void Write(const std::string& name, bool sealed = true, uint64_t start_s = 0) {
    testing::TraceBuilder trace;
    BuildHello(trace);
    if (start_s != 0) trace.header.set_start_wall_ns(start_s * 1'000'000'000);
    trace.header.add_command("curl");
    trace.header.add_command("a b");
    const absl::Status status = trace.WriteTale(Path(name + ".tale"), sealed);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string Ls(const CommonOptions& common = {}) {
    std::string text;
    Output output(&text, {});
    const absl::Status status = PrintLs(common, output);
    EXPECT_TRUE(status.ok()) << status;
    output.Flush();
    return text;
  }

  // The JSON objects by name of the trace.
  std::map<std::string, nlohmann::json> LsJson() {
    CommonOptions common;
    common.json = true;
    std::map<std::string, nlohmann::json> lines;
    for (absl::string_view line : absl::StrSplit(Ls(common), '\n', absl::SkipEmpty())) {
      nlohmann::json object = nlohmann::json::parse(line.begin(), line.end());
      lines[object["name"]] = object;
    }
    return lines;
  }

  std::string root_;
};

TEST_F(LsTest, SaysInWhichStateATraceIs) {
  Write("whole");
  Write("cut", false);
  Write("live", false);
  Write("hurt");
  std::ofstream(Path("junk.tale")) << "this is no trace";
  {
    const absl::StatusOr<TraceFileReader> file = TraceFileReader::Open(Path("hurt.tale"));
    ASSERT_TRUE(file.ok()) << file.status();
    std::fstream bytes(Path("hurt.tale"), std::ios::in | std::ios::out);
    bytes.seekp(static_cast<std::streamoff>(file->blocks()[1].offset() + 30));  // inside a block's header
    bytes.put('\x55');
  }
  // The trailer is gone, so blocks are looked for one by one.
  std::filesystem::resize_file(Path("hurt.tale"), std::filesystem::file_size(Path("hurt.tale")) - 3);
  const int live = open(Path("live.tale.part").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(live, LOCK_EX), 0);

  std::map<std::string, nlohmann::json> traces = LsJson();
  EXPECT_EQ(traces["whole"]["state"], "whole");
  EXPECT_EQ(traces["cut"]["state"], "cut off");
  EXPECT_EQ(traces["live"]["state"], "recording");
  EXPECT_EQ(traces["hurt"]["state"], "damaged");
  EXPECT_EQ(traces["junk"]["state"], "unreadable");
  EXPECT_EQ(traces["whole"]["connections"], 2);
  EXPECT_EQ(traces["whole"]["processes"], 2);
  close(live);
}

TEST_F(LsTest, ShowsTheCommandAsOneWouldTypeIt) {
  Write("curl-1");
  EXPECT_THAT(Ls(), HasSubstr("curl 'a b'"));
}

TEST_F(LsTest, ALimitKeepsTheNewest) {
  Write("curl-1", true, 1000);
  Write("curl-3", true, 3000);
  Write("curl-2", true, 2000);
  CommonOptions common;
  common.limit = 1;
  common.quiet = true;
  const std::string text = Ls(common);
  EXPECT_THAT(text, HasSubstr("curl-3"));
  EXPECT_THAT(text, Not(AnyOf(HasSubstr("curl-1"), HasSubstr("curl-2"))));
}

}  // namespace
}  // namespace socktale
