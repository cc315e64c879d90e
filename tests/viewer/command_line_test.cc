// SPDX-License-Identifier: Apache-2.0
//
// The program itself: which words and options it takes, what it says of others, and how it ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/viewer/mockups.h"
#include "viewer/cli/json.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Outcome {
  int status = -1;  // exit status; 128 + signal, as a shell tells it
  std::string out;
  std::string err;
};

class CommandLineTest : public TraceTest {
 protected:
  CommandLineTest() {
    TraceBuilder builder;
    AddEverything(builder);
    Open(builder, "make-1");
  }

  // Runs a shell command in which $S is the program and $T the trace.
  Outcome Run(const std::string& command) {
    const std::string out = directory_ + "/out", err = directory_ + "/err";
    const std::string line = "cd '" + directory_ + "' && S='" + SOCKTALE_PROGRAM +
                             "' T=make-1.tale && export XDG_STATE_HOME='" + directory_ + "' XDG_RUNTIME_DIR='" +
                             directory_ + "' LC_ALL=C.UTF-8 && unset NO_COLOR FORCE_COLOR && { " + command + "; } >'" +
                             out + "' 2>'" + err + "' </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Read(out), Read(err)};
  }

  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
};

TEST_F(CommandLineTest, AloneItSaysWhatItIsOnOneScreen) {
  const Outcome outcome = Run("$S");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_LE(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 24);
  EXPECT_LE(WidestLine(outcome.out), 80u);
  EXPECT_THAT(outcome.out, HasSubstr("socktale run curl"));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(CommandLineTest, EveryCommandHasOneScreenOfHelp) {
  for (const char* command :
       {"run", "collect", "env", "show", "conns", "follow", "fds", "ls", "info", "doctor", "demo", "version", "help"}) {
    const Outcome outcome = Run(std::string("$S ") + command + " -h");
    EXPECT_EQ(outcome.status, 0) << command;
    EXPECT_THAT(outcome.out, HasSubstr(std::string("socktale ") + command));
    EXPECT_LE(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 32) << outcome.out;
  }
}

TEST_F(CommandLineTest, AnUnknownCommandIsNotRunButSaidHowTo) {
  Outcome outcome = Run("$S curl -s 'http://x/?a b'");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, "'curl' is not a socktale command. To trace it: socktale run curl -s 'http://x/?a b'\n");
  outcome = Run("$S cons");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, "'cons' is not a socktale command. Did you mean conns?\n");
  EXPECT_EQ(Run("$S --jsn conns").status, 2);
}

// Long options at the head of a definition in a manual's source, or in the parts that it includes.
std::set<std::string> OptionsOfManual(const std::string& page) {
  std::set<std::string> options;
  std::ifstream file(std::string(SOCKTALE_MANUALS) + "/" + page);
  EXPECT_TRUE(file.good()) << page;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("include::")) {
      options.merge(OptionsOfManual(line.substr(9, line.find('[') - 9)));
    } else if (line.starts_with("`-") && line.ends_with("::")) {
      for (size_t at = line.find("`--"); at != std::string::npos; at = line.find("`--", at + 1)) {
        options.insert(line.substr(at + 1, line.find('`', at + 1) - at - 1));
      }
    }
  }
  return options;
}

TEST_F(CommandLineTest, TheManualAndTheProgramKnowTheSameOptions) {
  for (const char* command : {"run", "collect", "env", "show", "conns", "follow", "fds", "ls", "info", "doctor"}) {
    std::set<std::string> options;
    std::istringstream help(Run(std::string("$S ") + command + " -h").out);
    for (std::string line; std::getline(help, line);) {
      const size_t at = line.find("--");
      if (line.starts_with("  -") && at < 8) options.insert(line.substr(at, line.find_first_of(" ,[", at) - at));
    }
    std::set<std::string> manual = OptionsOfManual(std::string("socktale-") + command + ".adoc");
    manual.insert("--help");  // not every page repeats it
    EXPECT_EQ(options, manual) << command;
  }
}

TEST_F(CommandLineTest, AMistypedOptionGetsOneSuggestionAndNothingIsDone) {
  Outcome outcome = Run("$S conns --jsno");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("socktale conns: unknown option '--jsno'. Did you mean --json?\n"));
  outcome = Run("$S follow 1 --as hexx -t $T");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean hex?"));
  EXPECT_EQ(Run("$S conns $T --json=no").status, 2);
  EXPECT_EQ(Run("$S conns $T --link").status, 2);
  EXPECT_EQ(Run("$S conns $T $T").status, 2);
  EXPECT_EQ(Run("$S follow").status, 2);
  EXPECT_EQ(Run("$S follow 1 -t $T --pauses 10").status, 2);
  EXPECT_EQ(Run("$S conns $T -n x").status, 2);
}

TEST_F(CommandLineTest, AMistypedOptionBeforeTheCommandToRecordIsNotTheCommandsOwn) {
  const Outcome outcome = Run("$S run --paylod none true");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("Did you mean --payload?"));
}

TEST_F(CommandLineTest, OptionsStandBeforeOrAfterTheObject) {
  const std::string before = Run("$S follow --as text -t $T 1").out;
  EXPECT_THAT(before, HasSubstr("hello, world"));
  EXPECT_EQ(Run("$S follow 1 -t $T --as text").out, before);
  EXPECT_EQ(Run("$S follow c1 --as=text --trace=$T").out, before);
}

TEST_F(CommandLineTest, ATraceIsNamedByPathByOptionOrByStandardInput) {
  const std::string table = Run("$S conns $T").out;
  EXPECT_THAT(table, HasSubstr("c17"));
  EXPECT_EQ(Run("$S conns -t $T").out, table);
  EXPECT_EQ(Run("$S conns - < $T").out, table);
  EXPECT_EQ(Run("$S conns $T -t $T").status, 2);
  const Outcome outcome = Run("$S conns nothing.tale");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, StartsWith("socktale: "));
  EXPECT_THAT(outcome.err, HasSubstr("nothing.tale"));
}

TEST_F(CommandLineTest, AFileThatIsNoTraceIsTrouble) {
  const Outcome outcome = Run("echo hello > x.tale; $S conns x.tale");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("x.tale"));
}

TEST_F(CommandLineTest, RawBytesGoToAFileUnchanged) {
  const Outcome outcome = Run("$S follow 1 -t $T --as raw --side server -o body.bin");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_EQ(Read(directory_ + "/body.bin"), kAnswer);
}

TEST_F(CommandLineTest, AFullDiskIsAnError) {
  const Outcome outcome = Run("$S conns $T -o /dev/full");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("/dev/full"));
}

TEST_F(CommandLineTest, AReaderThatLeavesEndsItQuietly) {
  const Outcome outcome = Run("{ $S follow 17 -t $T --as raw --side server; echo $? >&2; } | head -c 10");
  EXPECT_EQ(outcome.out, "rrrrrrrrrr");
  EXPECT_EQ(outcome.err, "0\n");
}

TEST_F(CommandLineTest, ColourIsForTerminalsUnlessAskedFor) {
  EXPECT_THAT(Run("$S conns $T").out, ::testing::Not(HasSubstr("\x1b")));
  EXPECT_THAT(Run("FORCE_COLOR=1 $S conns $T").out, HasSubstr("\x1b["));
  EXPECT_THAT(Run("FORCE_COLOR=1 $S conns $T --color never").out, ::testing::Not(HasSubstr("\x1b")));
  EXPECT_THAT(Run("NO_COLOR=1 $S conns $T --color always").out, HasSubstr("\x1b["));
  // On a terminal of script(1):
  const std::string terminal = "script -qec \"stty cols 100 rows 60; $S conns $T\" /dev/null";
  EXPECT_THAT(Run("TERM=xterm " + terminal).out, HasSubstr("\x1b["));
  EXPECT_THAT(Run("TERM=xterm NO_COLOR=1 " + terminal).out, ::testing::Not(HasSubstr("\x1b[")));
  EXPECT_THAT(Run("TERM=dumb " + terminal).out, ::testing::Not(HasSubstr("\x1b[")));
}

TEST_F(CommandLineTest, LongOutputOnATerminalGoesThroughThePager) {
  const auto on_terminal = [this](const std::string& rows) {
    return Run("PAGER='sed s/^/PAGED/' script -qec \"stty cols 100 rows " + rows + "; $S conns $T\" /dev/null").out;
  };
  EXPECT_THAT(on_terminal("10"), HasSubstr("PAGED"));
  EXPECT_THAT(on_terminal("60"), ::testing::Not(HasSubstr("PAGED")));
  EXPECT_THAT(Run("PAGER=no-such-pager script -qec \"stty cols 100 rows 10; $S conns $T\" /dev/null").out,
              HasSubstr("c17"));
}

TEST_F(CommandLineTest, JsonOfEveryViewIsOneObjectPerLine) {
  for (const char* command : {"conns $T", "follow 1 2 3 17 -t $T", "show $T", "fds -t $T", "info $T", "ls"}) {
    const Outcome outcome = Run(std::string("$S ") + command + " --json");
    EXPECT_EQ(outcome.status, 0) << command << outcome.err;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
      const Json object = Json::parse(line, nullptr, false);
      ASSERT_TRUE(object.is_object()) << command << ": " << line;
      EXPECT_TRUE(object.contains("type")) << command << ": " << line;
    }
  }
}

TEST_F(CommandLineTest, VersionSaysWhatItReads) {
  EXPECT_THAT(Run("$S version").out, StartsWith("socktale "));
  EXPECT_EQ(Run("$S --version").out, Run("$S version").out);
  EXPECT_EQ(Json::parse(Run("$S version --json").out)["trace_format"], 1);
}

}  // namespace
}  // namespace socktale::testing
