// SPDX-License-Identifier: Apache-2.0
//
// `-o FILE` and `-`: no trace is written over, no file is touched for a result that never came, and a trace may come
// from a pipe.

#include "viewer/cli/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/viewer/program_test.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class OutputFileTest : public ProgramTest {
 protected:
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) { std::ofstream(Path(name)) << text; }

  // Names in the directory that begin like this.
  int Count(const std::string& prefix) const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      count += entry.path().filename().string().starts_with(prefix);
    }
    return count;
  }
};

TEST_F(OutputFileTest, NoCommandReplacesATrace) {
  const std::string trace = Read(Path("make-1.tale"));
  ASSERT_FALSE(trace.empty());
  Write("other.tale", trace);
  Write("renamed.txt", trace);
  ASSERT_EQ(mkdir(Path("socktale").c_str(), 0700), 0);
  std::filesystem::copy_file(Path("make-1.tale"), Path("socktale/latest.tale"));
  for (const char* target : {"make-1.tale", "other.tale", "renamed.txt", "./socktale/latest.tale"}) {
    for (const char* words : {"conns $T", "show $T", "show $T -l", "follow 1 --as raw -t $T", "follow 1 -t $T",
                              "fds -t $T", "info $T", "ls", "doctor", "conns", "run --live=" /* -o means a trace */}) {
      const bool live = std::string(words).ends_with('=');
      const Outcome outcome = Run(std::string("$S ") + words + (live ? "" : " -o ") + target + (live ? " true" : ""));
      EXPECT_EQ(outcome.status, live ? 125 : 2) << words << " " << target;
      EXPECT_THAT(outcome.err, HasSubstr("is a trace and stays as it is")) << words << " " << target;
      EXPECT_EQ(Read(Path(target)), trace) << words << " " << target;
    }
  }
}

TEST_F(OutputFileTest, ATraceThatIsCutOrDamagedFurtherOnIsATraceToo) {
  const std::string trace = Read(Path("make-1.tale"));
  Write("cut.tale.part", trace.substr(0, 200));
  EXPECT_EQ(Run("$S conns $T -o cut.tale.part").status, 2);
  EXPECT_EQ(Read(Path("cut.tale.part")), trace.substr(0, 200));
}

TEST_F(OutputFileTest, AFileIsAsItWasWhenNoResultCame) {
  Write("kept", "before\n");
  for (const char* words :
       {"follow 99 -t $T", "conns $T --sort bogus", "conns $T --columns bogus", "conns $T --group peer --json",
        "fds nobody -t $T", "fds --at zz -t $T", "follow 1 --as raw --json -t $T", "conns nothing.tale",
        "conns $T --no-such-option", "info nothing.tale", "show $T --from 5 --to 2"}) {
    EXPECT_EQ(Run(std::string("$S ") + words + " -o kept").status, 2) << words;
    EXPECT_EQ(Read(Path("kept")), "before\n") << words;
    EXPECT_EQ(Run(std::string("$S ") + words + " -o made").status, 2) << words;
    EXPECT_EQ(Count("made"), 0) << words;
    EXPECT_EQ(Count("kept"), 1) << words;
  }
}

TEST_F(OutputFileTest, AResultReplacesAFileAndKeepsWhatItIs) {
  const std::string table = Run("$S conns $T").out;
  Write("file", std::string(100'000, 'x'));
  chmod(Path("file").c_str(), 0640);
  ASSERT_EQ(symlink("file", Path("link").c_str()), 0);
  EXPECT_EQ(Run("$S conns $T -o link").status, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(Read(Path("file")), table);
  struct stat status;
  ASSERT_EQ(stat(Path("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_EQ(Count("file"), 1);
  EXPECT_EQ(Count("link"), 1);

  ASSERT_EQ(link(Path("file").c_str(), Path("second name").c_str()), 0);
  EXPECT_EQ(Run("$S version > file; $S conns $T -o 'second name'").status, 0);
  EXPECT_EQ(Read(Path("file")), table);

  EXPECT_EQ(Run("$S conns $T -o new").status, 0);
  ASSERT_EQ(stat(Path("new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(Read(Path("new")), table);
}

TEST_F(OutputFileTest, AnEmptyResultIsAnEmptyFile) {
  Write("body", "before");
  const Outcome outcome = Run("$S follow 2 -t $T --as raw -o body");  // c2 was refused: nothing was sent
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Read(Path("body")), "");
  EXPECT_EQ(Count("body"), 1);
}

TEST_F(OutputFileTest, DevicesPipesAndDescriptorsAreWrittenAsTheyAre) {
  const std::string table = Run("$S conns $T").out;
  EXPECT_EQ(Run("$S conns $T -o /dev/null").status, 0);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(Run("echo first; $S conns $T -o /dev/stdout; echo last").out, "first\n" + table + "last\n");
  EXPECT_EQ(Run("$S conns $T -o /dev/stdout | cat").out, table);
  EXPECT_EQ(Run("mkfifo pipe; cat pipe & $S conns $T -o pipe; wait").out, table);
  EXPECT_TRUE(std::filesystem::is_fifo(Path("pipe")));
}

TEST_F(OutputFileTest, APlaceThatTakesNoFileIsTrouble) {
  for (const char* target : {"nowhere/file", ".", "make-1.tale/file"}) {
    const Outcome outcome = Run(std::string("$S conns $T -o ") + target);
    EXPECT_EQ(outcome.status, 2) << target;
    EXPECT_THAT(outcome.err, HasSubstr(std::string("cannot write ") + target)) << target;
    EXPECT_THAT(outcome.out, IsEmpty()) << target;
  }
}

TEST_F(OutputFileTest, EveryCommandReadsATraceFromAPipe) {
  for (const char* words : {"conns", "show", "follow 1", "follow 1 --as raw", "conns --json"}) {
    const std::string command = std::string("$S ") + words;
    const std::string expected = Run(command + " -t $T").out;
    ASSERT_FALSE(expected.empty()) << words;
    const Outcome piped = Run("cat $T | " + command + " -t -");
    EXPECT_EQ(piped.status, 0) << words << piped.err;
    EXPECT_EQ(piped.out, expected) << words;
    EXPECT_EQ(Run("cat $T | " + command + " -t - -o result && cat result").out, expected) << words;
  }
  // These tell the trace's name.
  for (const char* words : {"info", "fds", "info --json", "fds --json"}) {
    const Outcome piped = Run(std::string("cat $T | $S ") + words + " -t -");
    EXPECT_EQ(piped.status, 0) << words << piped.err;
    EXPECT_THAT(piped.out, HasSubstr("curl")) << words;
    EXPECT_EQ(Run(std::string("cat $T | $S ") + words + " -t - -o result && cat result").out, piped.out) << words;
    EXPECT_EQ(Run(std::string("$S ") + words + " -t - < $T").out, piped.out) << words;
  }
  EXPECT_THAT(Run("cat $T | $S info -").out, StartsWith("stdin   make test\n"));
}

// Ctrl-C, kill and a terminal that closes: the process ends by the signal, and what it had begun to write is gone.
TEST_F(OutputFileTest, ASignalLeavesNoTemporaryFileBehind) {
  Write("dump.json", "as it was");
  for (const int ending : {SIGINT, SIGTERM, SIGHUP}) {
    const pid_t child = fork();
    if (child == 0) {
      signal(ending, SIG_DFL);  // who started the tests may have had it ignored
      absl::StatusOr<OutputFile> file = OutputFile::Open(Path("dump.json"), false);
      if (!file.ok() || !file->Descriptor().ok() || Count("dump.json") != 2) _exit(1);
      raise(ending);
      _exit(2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), ending);
    EXPECT_EQ(Count("dump.json"), 1);
    EXPECT_EQ(Read(Path("dump.json")), "as it was");
  }
}

TEST_F(OutputFileTest, ASignalThatIsIgnoredStaysIgnored) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGHUP, SIG_IGN);  // nohup
    absl::StatusOr<OutputFile> file = OutputFile::Open(Path("kept.json"), false);
    if (!file.ok() || !file->Descriptor().ok()) _exit(1);
    raise(SIGHUP);
    _exit(file->Keep().ok() ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Count("kept.json"), 1);
}

}  // namespace
}  // namespace socktale::testing
