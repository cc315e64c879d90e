// SPDX-License-Identifier: Apache-2.0
//
// The part file between two recorders, and before its last moment: what happens between opening and locking it, and
// what a file system tells only when it is asked. flock, fstatfs and fdatasync are defined here, before libc's.

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "tests/proto/sample_trace.h"

namespace {

std::function<void()> before_next_lock;  // called once
long file_system_type = 0;               // 0: what it is
int sync_error = 0;
int syncs = 0;

}  // namespace

extern "C" int flock(int fd, int operation) noexcept {
  if (before_next_lock) std::exchange(before_next_lock, nullptr)();
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

extern "C" int fstatfs(int fd, struct statfs* system) noexcept {
  const long result = syscall(SYS_fstatfs, fd, system);
  if (result == 0 && file_system_type != 0) system->f_type = file_system_type;
  return static_cast<int>(result);
}

extern "C" int fdatasync(int) {
  ++syncs;
  errno = sync_error;
  return sync_error == 0 ? 0 : -1;
}

namespace socktale {
namespace {

using testing::HasSubstr;

class PartFileTest : public testing::Test {
 protected:
  ~PartFileTest() override {
    before_next_lock = nullptr;
    file_system_type = 0;
    sync_error = syncs = 0;
  }

  TraceFileWriter MustCreate() {
    auto writer = TraceFileWriter::Create(path_, SampleHeader(), false);
    if (!writer.ok()) throw std::runtime_error(writer.status().ToString());
    return *std::move(writer);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path("x.tale");
  const std::string part_ = path_ + kPartSuffix;
};

TEST_F(PartFileTest, ATraceThatIsSealedWhileItIsOpenedToBeResumedIsLeftAlone) {
  std::optional<TraceFileWriter> recorder = MustCreate();
  ASSERT_TRUE(recorder->AppendEvents(SampleEvents(1, kSampleEvents), {1, 2, kSampleEvents, {1}}, true).ok());
  std::string sealed;
  before_next_lock = [&] {
    EXPECT_TRUE(recorder->Seal(SampleTables(1), {}).ok());
    recorder.reset();
    sealed = ReadFile(path_);
    // The next recording of that name was killed at once, and left a part file without a lock.
    std::filesystem::rename(path_, folder_.path("first.tale"));
    MustCreate();
  };
  const auto resumed = TraceFileWriter::Resume(path_);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->next_event(), 1u);  // it is the second recording's, which has no events
  EXPECT_EQ(ReadFile(folder_.path("first.tale")), sealed);
}

TEST_F(PartFileTest, ATraceThatGotItsFinalNameWhileItIsOpenedHasNothingToResume) {
  std::optional<TraceFileWriter> recorder = MustCreate();
  before_next_lock = [&] {
    EXPECT_TRUE(recorder->Seal(SampleTables(1), {}).ok());
    recorder.reset();
  };
  EXPECT_TRUE(absl::IsNotFound(TraceFileWriter::Resume(path_).status()));
  EXPECT_TRUE(TraceFileReader::Open(path_)->sealed());
}

TEST_F(PartFileTest, WritingOverAnOldPartFileSparesTheRecorderThatReplacedIt) {
  MustCreate();  // killed: a part file without a lock
  std::optional<TraceFileWriter> recorder;
  before_next_lock = [&] {
    std::filesystem::remove(part_);
    recorder = MustCreate();
  };
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFileWriter::Create(path_, SampleHeader(), true).status()));
  EXPECT_TRUE(recorder->Seal(SampleTables(1), {}).ok());
}

TEST_F(PartFileTest, APartFileThatIsRemovedBeforeItsRecorderLocksItIsMadeAnew) {
  before_next_lock = [&] { std::filesystem::remove(part_); };
  TraceFileWriter writer = MustCreate();
  EXPECT_TRUE(writer.Seal(SampleTables(1), {}).ok());
  EXPECT_TRUE(TraceFileReader::Open(path_)->sealed());
}

TEST_F(PartFileTest, ANetworkFileSystemIsAskedBeforeATraceCountsAsSealed) {
  file_system_type = NFS_SUPER_MAGIC;
  TraceFileWriter writer = MustCreate();
  EXPECT_EQ(syncs, 0);
  EXPECT_TRUE(writer.Seal(SampleTables(1), {}).ok());
  EXPECT_EQ(syncs, 1);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(PartFileTest, BytesThatAFileSystemTookAndCannotKeepAreToldAndTheTraceKeepsItsPartName) {
  for (const long type : {long{NFS_SUPER_MAGIC}, long{0x65735546} /* FUSE */, long{0xff534d42} /* CIFS */}) {
    file_system_type = type;
    sync_error = EDQUOT;
    TraceFileWriter writer = MustCreate();
    const absl::Status sealed = writer.Seal(SampleTables(1), {});
    EXPECT_TRUE(absl::IsResourceExhausted(sealed)) << sealed;
    EXPECT_THAT(std::string(sealed.message()), HasSubstr(part_));
    EXPECT_FALSE(std::filesystem::exists(path_));
    std::filesystem::remove(part_);
  }
}

TEST_F(PartFileTest, ALocalFileSystemHasSaidAllWhenItTookTheBytes) {
  for (const long type : {long{EXT4_SUPER_MAGIC}, long{XFS_SUPER_MAGIC}, long{BTRFS_SUPER_MAGIC}, long{TMPFS_MAGIC}}) {
    file_system_type = type;
    std::filesystem::remove(path_);
    EXPECT_TRUE(MustCreate().Seal(SampleTables(1), {}).ok());
  }
  EXPECT_EQ(syncs, 0);
}

}  // namespace
}  // namespace socktale
