// SPDX-License-Identifier: Apache-2.0
#include "collector/exec_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace socktale {
namespace {

// A process that maps a file, and on command executes `cat` in its place.
class MappingProcess {
 public:
  explicit MappingProcess(const std::string& path) {
    EXPECT_EQ(pipe2(commands_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(answers_, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) Run(path);
    close(commands_[0]);
    close(answers_[1]);
    char ready;
    EXPECT_EQ(read(answers_[0], &ready, 1), 1);
  }
  ~MappingProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(commands_[1]);
    close(answers_[0]);
  }

  // Returns when the new program runs: the pipe is closed by the exec.
  void Execute() {
    EXPECT_EQ(write(commands_[1], "x", 1), 1);
    char none;
    EXPECT_EQ(read(answers_[0], &none, 1), 0);
  }
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] void Run(const std::string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char byte = 'r';
    if (memory == MAP_FAILED || write(answers_[1], &byte, 1) != 1 || read(commands_[0], &byte, 1) != 1) _exit(1);
    const int held = dup(commands_[0]);  // cat waits for more
    dup2(held, 0);
    execl("/bin/cat", "cat", nullptr);
    _exit(1);
  }

  int commands_[2];
  int answers_[2];
  pid_t pid_;
};

class ExecWatchTest : public testing::Test {
 protected:
  ExecWatchTest() {
    std::string name = std::filesystem::temp_directory_path() / "exec-watch-XXXXXX";
    const int fd = mkstemp(name.data());
    EXPECT_EQ(ftruncate(fd, 4096), 0);
    close(fd);
    path_ = name;
  }
  ~ExecWatchTest() override { std::filesystem::remove(path_); }

  std::string path_;
};

TEST_F(ExecWatchTest, FindsAProgramExecutedPastTheHooksAtTheSecondLook) {
  MappingProcess process(path_);
  MappingProcess other(path_);
  ExecWatch watch(path_);
  const std::vector<std::pair<uint32_t, pid_t>> images = {{3, process.pid()}, {7, other.pid()}};
  EXPECT_TRUE(watch.Look(images).empty());
  EXPECT_TRUE(watch.Look(images).empty());
  process.Execute();
  EXPECT_TRUE(watch.Look(images).empty());
  const auto found = watch.Look(images);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].image, 3u);
  EXPECT_EQ(found[0].pid, process.pid());
  EXPECT_EQ(std::filesystem::path(found[0].path).filename(), "cat");
}

TEST_F(ExecWatchTest, KnowsTheMemoryAlsoWhenItsFileIsGone) {
  MappingProcess process(path_);
  ExecWatch watch(path_);
  std::filesystem::remove(path_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Look({{1, process.pid()}}).empty());
}

TEST_F(ExecWatchTest, SaysNothingOfProcessesThatAreGone) {
  pid_t gone;
  {
    MappingProcess process(path_);
    gone = process.pid();
  }
  ExecWatch watch(path_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Look({{1, gone}}).empty());
}

TEST_F(ExecWatchTest, ComesToAllOfManyInTurn) {
  MappingProcess process(path_);
  process.Execute();
  ExecWatch watch(path_);
  std::vector<std::pair<uint32_t, pid_t>> images;
  for (uint32_t image = 1; image <= 2 * ExecWatch::kMostAtOnce; ++image) images.emplace_back(image, process.pid());
  size_t found = 0;
  for (int look = 0; look < 4; ++look) found += watch.Look(images).size();
  EXPECT_EQ(found, images.size());
}

}  // namespace
}  // namespace socktale
