// SPDX-License-Identifier: Apache-2.0
//
// The program itself: which words and options it takes, what it says of others, and how it ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/viewer/mockups.h"
#include "tests/viewer/program_test.h"
#include "viewer/cli/json.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class CommandLineTest : public ProgramTest {};

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

// The text of a manual's source.
std::string TextOfManual(const std::string& command) {
  std::ifstream file(std::string(SOCKTALE_MANUALS) + "/socktale-" + command + ".adoc");
  EXPECT_TRUE(file.good()) << command;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(CommandLineTest, TheManualNamesEveryKeyOfJson) {
  Run("mkdir socktale && cp $T socktale");  // where `ls` looks
  // Objects of these types are told by the page of another command.
  const std::pair<const char*, std::set<std::string>> pages[] = {
      {"conns", {"trace"}}, {"follow 1 2 3 17", {"trace", "conn"}}, {"fds", {"trace"}}, {"info", {}}, {"ls", {}},
      {"doctor", {}}};
  for (const auto& [words, elsewhere] : pages) {
    const std::string command = std::string(words).substr(0, std::string(words).find(' '));
    const std::string manual = TextOfManual(command);
    const bool opens = command != "ls" && command != "doctor";
    std::istringstream lines(Run(std::string("$S ") + words + " --json" + (opens ? " -t $T" : "")).out);
    std::set<std::string> keys;
    for (std::string line; std::getline(lines, line);) {
      const Json object = Json::parse(line);
      if (elsewhere.contains(object["type"])) continue;
      for (const auto& [key, value] : object.items()) {
        keys.insert(key);
        for (const auto& [inner, unused] : value.items()) {
          if (key == "client" || key == "server") keys.insert(inner);
        }
        for (const Json& image : key == "images" ? value : Json::array()) {
          for (const auto& [inner, unused] : image.items()) keys.insert(inner);
        }
      }
    }
    EXPECT_GT(keys.size(), 2u) << command;
    keys.erase("type");
    for (const std::string& key : keys) EXPECT_THAT(manual, HasSubstr("`" + key + "`")) << command;
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

TEST_F(CommandLineTest, ANumberIsFromZeroOn) {
  for (const char* words : {"show $T -n -5", "conns $T -n -5", "show $T -s -1", "follow 1 -t $T --lines -3", "ls -n -1",
                            "fds -t $T -n 1.5", "conns $T -n ''"}) {
    const Outcome outcome = Run(std::string("$S ") + words);
    EXPECT_EQ(outcome.status, 2) << words;
    EXPECT_THAT(outcome.out, IsEmpty()) << words;
    EXPECT_THAT(outcome.err, HasSubstr("a number from 0 on is needed")) << words;
  }
  EXPECT_THAT(Run("$S conns $T -n -5").err, StartsWith("socktale conns: --limit '-5' is no number"));
  EXPECT_EQ(Run("$S show $T -s 0 -n 0").status, 0);
}

TEST_F(CommandLineTest, OptionsThatDoNotGoTogetherAreRefusedAndNotIgnored) {
  for (const char* option : {"-o x.tale", "-l", "--payload none", "--io all", "--on-full drop", "--arena 1m",
                             "--max 1m", "--ring 1m", "--keep fail", "--strict"}) {
    const Outcome outcome = Run(std::string("$S run --into none ") + option + " true");
    EXPECT_EQ(outcome.status, 2) << option;
    EXPECT_THAT(outcome.err, HasSubstr(" does not go with --into: ")) << option;
  }
  EXPECT_THAT(Run("$S run --keep fail --into none true").err,
              StartsWith("socktale run: --keep does not go with --into: "));
  EXPECT_THAT(Run("$S conns $T -t $T").err, HasSubstr("the trace is named twice"));
  for (const char* form : {"text", "hex", "json", "raw"}) {
    const Outcome outcome = Run(std::string("$S follow 1 -t $T --json --as ") + form);
    EXPECT_EQ(outcome.status, 2) << form;
    EXPECT_THAT(outcome.out, IsEmpty()) << form;
  }
}

TEST_F(CommandLineTest, WrongUsageOfRunHasOneStatusAndNamesTheOption) {
  EXPECT_EQ(Run("$S run").status, 2);
  Outcome outcome = Run("$S run --payload abc true");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--payload 'abc' is no size"));
  EXPECT_THAT(outcome.err, HasSubstr("none or full"));
  outcome = Run("$S run --arena abc true");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--arena 'abc' is no size"));
  EXPECT_EQ(Run("$S run --io sprockets true").status, 2);
  EXPECT_EQ(Run("$S run --on-full sleep true").status, 2);
  EXPECT_EQ(Run("$S run -o 'x%z' true").status, 2);
}

TEST_F(CommandLineTest, ARangeThatHoldsNothingIsSaid) {
  for (const char* words : {"show $T", "follow 1 -t $T", "follow 1 -t $T --as raw", "show $T --json"}) {
    const Outcome outcome = Run(std::string("$S ") + words + " --from 1000");
    EXPECT_EQ(outcome.status, 0) << words;
    EXPECT_THAT(outcome.err, ::testing::ContainsRegex("0 of [0-9]+ (events|steps) in that time\n")) << words;
  }
  EXPECT_THAT(Run("$S conns $T --from 1000 --json").err, HasSubstr("0 of 17 connections in that time"));
  EXPECT_THAT(Run("$S show $T --from 1000 -q").err, IsEmpty());
  EXPECT_THAT(Run("$S show $T --from 0.001").err, IsEmpty());
  for (const char* words : {"show $T", "follow 1 -t $T", "conns $T"}) {
    const Outcome outcome = Run(std::string("$S ") + words + " --from 5 --to 2");
    EXPECT_EQ(outcome.status, 2) << words;
    EXPECT_THAT(outcome.err, HasSubstr("--from is later than --to")) << words;
  }
}

TEST_F(CommandLineTest, HelpThatCannotBeWrittenIsTrouble) {
  for (const char* words : {"", "-h", "conns -h", "help", "help conns", "version"}) {
    const Outcome outcome = Run(std::string("PATH=/nowhere $S ") + words + " >/dev/full");
    EXPECT_EQ(outcome.status, 2) << words;
    EXPECT_THAT(outcome.err, HasSubstr("cannot write standard output")) << words;
  }
}

TEST_F(CommandLineTest, HelpOfAnUnknownCommandDoesNotProposeToRunIt) {
  EXPECT_EQ(Run("$S help frob").err, "socktale: there is no command 'frob'; socktale help lists them\n");
  EXPECT_EQ(Run("$S help cons").err, "socktale: there is no command 'cons'. Did you mean conns?\n");
  EXPECT_EQ(Run("$S help frob").status, 2);
}

TEST_F(CommandLineTest, WordsAboutTheTraceGoToStandardError) {
  Run("head -c $(($(wc -c < $T) - 3)) $T > cut.tale");
  for (const char* words : {"conns", "follow 1", "show", "fds"}) {
    const std::string command = std::string("$S ") + words + " -t cut.tale";
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.status, 0) << words;
    EXPECT_THAT(outcome.out, ::testing::Not(HasSubstr("was cut off"))) << words;
    EXPECT_THAT(outcome.err, HasSubstr("cut.tale was cut off")) << words;
    EXPECT_THAT(Run(command + " -q").err, IsEmpty()) << words;
  }
}

TEST_F(CommandLineTest, ProposedCommandsLookAtTheSameTrace) {
  const auto last_line = [this](const std::string& words) {
    const std::string out =
        Run("script -qec \"stty cols 200 rows 100; $S " + words + "\" /dev/null | tr -d '\\r' | tail -n 1").out;
    return out;
  };
  EXPECT_THAT(last_line("conns $T --color never"),
              HasSubstr("next: follow 17 -t make-1.tale · follow 2 -t make-1.tale · fds 512 -t make-1.tale"));
  EXPECT_THAT(last_line("follow 1 -t $T --color never"), HasSubstr("next: follow 1 -t make-1.tale --as text · "));
  EXPECT_THAT(Run("$S fds nobody -t $T").err, HasSubstr("socktale info -t make-1.tale lists them"));
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

TEST_F(CommandLineTest, RawBytesOfARangeAreThoseOfItsTransfers) {
  // The request is sent before, the answer after 0.1 s.
  EXPECT_EQ(Run("$S follow 1 -t $T --as raw --to 0.1").out, kRequest);
  EXPECT_EQ(Run("$S follow 1 -t $T --as raw --from 0.1").out, kAnswer);
  EXPECT_EQ(Run("$S follow 1 -t $T --as raw --side server --to 0.1").out, "");
  EXPECT_EQ(Run("$S follow 1 -t $T --as raw --side server --from 0.1").out, kAnswer);
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
  Run("mkdir socktale && cp $T socktale");  // where `ls` looks
  for (const char* command : {"conns $T", "follow 1 2 3 17 -t $T", "show $T", "fds -t $T", "info $T", "ls"}) {
    const Outcome outcome = Run(std::string("$S ") + command + " --json");
    EXPECT_EQ(outcome.status, 0) << command << outcome.err;
    std::istringstream lines(outcome.out);
    int objects = 0;
    for (std::string line; std::getline(lines, line); ++objects) {
      const Json object = Json::parse(line, nullptr, false);
      ASSERT_TRUE(object.is_object()) << command << ": " << line;
      EXPECT_TRUE(object.contains("type")) << command << ": " << line;
    }
    EXPECT_GT(objects, 0) << command;
  }
}

TEST_F(CommandLineTest, VersionSaysWhatItReads) {
  EXPECT_THAT(Run("$S version").out, StartsWith("socktale "));
  EXPECT_EQ(Run("$S --version").out, Run("$S version").out);
  EXPECT_EQ(Json::parse(Run("$S version --json").out)["trace_format"], 1);
}

// One byte of a block that holds calls of c1 is another one than was written.
TEST_F(CommandLineTest, FollowTellsTheDamageThatItMetAndTheBytesThatItCost) {
  TraceBuilder builder;
  Image& curl = builder.Start("curl", 4242);
  curl.Socket(5, AF_INET, SOCK_STREAM);
  curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544)});
  curl.Send(5, "first ");
  builder.NextBlock();
  curl.Send(5, "in the damaged block");
  builder.NextBlock();
  curl.Send(5, "last");
  Open(builder, "hurt");
  std::string bytes = Read(directory_ + "/hurt.tale");
  const size_t at = bytes.find("damaged block");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'D';
  std::ofstream(directory_ + "/hurt.tale") << bytes;
  for (const char* words : {"--as raw", "--as raw --side client"}) {
    const Outcome outcome = Run(std::string("$S follow 1 -t hurt.tale ") + words);
    EXPECT_EQ(outcome.status, 0) << words;
    EXPECT_EQ(outcome.out, "first last") << words;
    EXPECT_THAT(outcome.err, HasSubstr("1 event unreadable")) << words;
    EXPECT_THAT(outcome.err, HasSubstr("20 bytes")) << words;
    EXPECT_THAT(outcome.err, HasSubstr("not in the trace and left out here")) << words;
  }
  EXPECT_THAT(Run("$S follow 1 -t hurt.tale").err, HasSubstr("1 event unreadable"));
}

TEST_F(CommandLineTest, WhatIsNoTraceIsNamedAsItWasAskedFor) {
  const Outcome outcome = Run("$S conns -");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, StartsWith("socktale: stdin: "));
  EXPECT_THAT(outcome.err, Not(HasSubstr("/proc/")));
}

TEST_F(CommandLineTest, AValueBehindAShortFlagAndALinkInPlaceOfATraceAreSaid) {
  Outcome outcome = Run("$S run -l=events.txt true");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("'=events.txt' behind a short option: the long one takes it, as --live=FILE"));
  outcome = Run("touch file && ln -s file link && $S run -o link true");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("is a symbolic link"));
}

TEST_F(CommandLineTest, TheReadmeShowsWhatFollowPrints) {
  const std::string root = std::string(SOCKTALE_MANUALS) + "/../..";
  const std::string printed = Read(root + "/tests/golden/follow.txt");
  ASSERT_THAT(printed, Not(IsEmpty()));
  EXPECT_THAT(Read(root + "/README.md"), HasSubstr("$ socktale follow 1\n" + printed + "```"));
}

}  // namespace
}  // namespace socktale::testing
