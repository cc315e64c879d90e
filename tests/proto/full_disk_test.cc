// SPDX-License-Identifier: Apache-2.0
//
// Where the disk is full, or the file may not grow, the trace ends with its last whole block and says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "tests/proto/sample_trace.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;

// While it lives, no file grows beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);  // as a caller of the writer has it
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit = {bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit previous_{};
  void (*previous_handler_)(int) = nullptr;
};

// Appends sample blocks until one fails. Returns how many went in.
uint64_t Fill(TraceFileWriter& writer, absl::Status& why) {
  for (uint64_t i = 1; i < 10'000; ++i) {
    const uint64_t before = writer.bytes_written();
    const auto first = writer.AppendEvents(SampleEvents(i, kSampleEvents), {i, i, kSampleEvents, {1}}, false);
    why = first.status();
    if (!first.ok()) {
      EXPECT_EQ(writer.bytes_written(), before);
      return i - 1;
    }
  }
  return 10'000;
}

void ExpectWholeBlocks(const std::string& part, uint64_t blocks) {
  auto reader = TraceFileReader::Open(part);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->blocks().size(), 1 + blocks);
  EXPECT_EQ(reader->readable_size(), reader->file_size());
  EXPECT_TRUE(reader->damage().empty());
}

TEST(FullDiskTest, AFileThatMayNotGrowEndsWithAWholeBlockAndGoesOnWhenItMayAgain) {
  TemporaryFolder folder;
  auto writer = TraceFileWriter::Create(folder.path("x.tale"), SampleHeader(), false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  uint64_t blocks = 0;
  {
    const FileSizeLimit limit(50'000);
    absl::Status why;
    blocks = Fill(*writer, why);
    EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
    EXPECT_THAT(std::string(why.message()), HasSubstr(folder.path("x.tale.part")));
    EXPECT_GT(blocks, 3u);
    EXPECT_TRUE(absl::IsResourceExhausted(writer->Seal(SampleTables(5000), {})));
  }
  ExpectWholeBlocks(folder.path("x.tale.part"), blocks);
  EXPECT_FALSE(std::filesystem::exists(folder.path("x.tale")));
  ASSERT_TRUE(writer->Seal(SampleTables(3), {}).ok());
  EXPECT_TRUE(TraceFileReader::Open(folder.path("x.tale"))->sealed());
}

TEST(FullDiskTest, NothingIsLeftOfATraceThatCouldNotEvenBegin) {
  TemporaryFolder folder;
  const FileSizeLimit limit(20);
  EXPECT_TRUE(
      absl::IsResourceExhausted(TraceFileWriter::Create(folder.path("x.tale"), SampleHeader(), false).status()));
  EXPECT_FALSE(std::filesystem::exists(folder.path("x.tale.part")));
}

// Mounts a file system of a MiB at `folder`, visible in this process alone. False where that is not permitted.
bool MountSmallDisk(const std::string& folder) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return mount("socktale-test", folder.c_str(), "tmpfs", MS_NODEV | MS_NOSUID, "size=1m") == 0;
}

TEST(FullDiskTest, AFullFileSystemEndsTheTraceWithAWholeBlock) {
  constexpr int kNotPermitted = 77;
  TemporaryFolder folder;
  const pid_t child = fork();  // the mount is gone with it
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!MountSmallDisk(folder.path(""))) _exit(kNotPermitted);
    const std::string path = folder.path("x.tale");
    auto writer = TraceFileWriter::Create(path, SampleHeader(), false);
    if (!writer.ok()) _exit(1);
    absl::Status why;
    const uint64_t blocks = Fill(*writer, why);
    EXPECT_GT(blocks, 100u);
    EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
    EXPECT_THAT(std::string(why.message()), HasSubstr("No space left"));
    ExpectWholeBlocks(path + kPartSuffix, blocks);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotPermitted) GTEST_SKIP() << "may not mount a small file system";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace socktale
