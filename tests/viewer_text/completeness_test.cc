// SPDX-License-Identifier: Apache-2.0
//
// What a trace lacks, in words.

#include "viewer/cli/completeness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/viewer_text/tale.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Missing Row(const std::string& kind, uint64_t count, const std::string& detail = "") {
  Missing row;
  row.set_kind(kind);
  row.set_count(count);
  row.set_detail(detail);
  return row;
}

TEST(MissingInWordsTest, NumbersAndProgramsHaveTheirOwnSentences) {
  EXPECT_THAT(MissingInWords(Row("dropped_full", 1204), nullptr),
              StartsWith("1 204 events dropped: the program was faster than the disk"));
  EXPECT_THAT(MissingInWords(Row("static", 2, "/usr/local/bin/gotool"), nullptr),
              StartsWith("/usr/local/bin/gotool ×2: statically linked"));
  Process make;
  make.set_name("make");
  make.set_pid(12);
  make.set_pid_use(1);
  EXPECT_EQ(MissingInWords(Row("not_attached", 1, "/bin/x"), &make),
            "make[12]: ran a program that was not recorded (socktale doctor says why): /bin/x");
  EXPECT_EQ(MissingInWords(Row("something_new", 3), nullptr), "3 something_new");
}

TEST(SeverityTest, ComesFromTheTable) {
  EXPECT_EQ(SeverityOf("static"), Severity::kError);
  EXPECT_EQ(SeverityOf("guessed_join"), Severity::kWarning);
  EXPECT_EQ(SeverityOf("one_ended"), Severity::kNote);
  EXPECT_EQ(SeverityOf("something_new"), Severity::kWarning);
}

// The manual lists what can be missing, in the same words.
TEST(SeverityTest, EveryRowStandsInTheManualOfInfo) {
  std::ostringstream manual;
  manual << std::ifstream(SOURCE_DIR "/docs/man/socktale-info.adoc").rdbuf();
#define STAT(name, severity, words) EXPECT_THAT(manual.str(), HasSubstr("`" #name "` (" #severity ")::\n" words "."));
#include "proto/stats.def"
#undef STAT
}

TEST(FileInWordsTest, AWholeFileNeedsNoWords) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  EXPECT_THAT(FileInWords(named.trace, named.name, named.path), IsEmpty());
}

TEST(FileInWordsTest, AFileThatWasNotSealedSaysWhereItEnds) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello", false);
  EXPECT_THAT(FileInWords(named.trace, named.name, named.path), ElementsAre("hello was cut off at +0.3 s"));
}

TEST(FileInWordsTest, ACutFileCountsTheConnectionsWithoutAnEnd) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  builder.NextBlock();
  builder.At(3'000'000'000);
  testing::Image& late = builder.Start("late", 99);
  late.Socket(3, AF_INET, SOCK_STREAM);
  late.Connect(3, testing::Inet("10.0.0.7", 80), {.local = testing::Inet("10.0.0.1", 4000)});
  builder.NextBlock();
  builder.At(9'000'000'000);
  late.Send(3, "gone");
  Tale tale;
  tale.Open(builder, "hello", false);
  std::filesystem::resize_file(tale.path(), std::filesystem::file_size(tale.path()) - 5);
  const NamedTrace named = tale.Reopen("hello");
  const std::vector<std::string> lines = FileInWords(named.trace, named.name, named.path);
  ASSERT_THAT(lines, ElementsAre(StartsWith("hello was cut off at +3.0 s (byte ")));
  EXPECT_THAT(lines[0], HasSubstr("; 1 connection has no end"));
}

TEST(WhatIsMissingTest, CountsOnlyWhatIsNotSaidYet) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  testing::Image& late = builder.Start("late", 99);
  late.Socket(3, AF_INET, SOCK_STREAM);
  late.Connect(3, testing::Inet("10.0.0.7", 80), {.local = testing::Inet("10.0.0.1", 4000)});  // one end: a note
  late.Executing("/bin/unseen", {"unseen"});
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello", false);
  const size_t rows = MissingBySeverity(named.trace).size();
  ASSERT_GE(rows, 3u);  // not_attached, cut_off, one_ended
  const std::vector<std::string> lines = WhatIsMissing(named, "socktale info -t hello");
  ASSERT_THAT(lines, ElementsAre(StartsWith("hello was cut off at +"), StartsWith("unseen[99]: ran a program")));
  EXPECT_THAT(lines[1], EndsWith(absl::StrCat(" (+", rows - 2, " more: socktale info -t hello)")));
}

TEST(MissingInWordsTest, OneIsOne) {
  EXPECT_THAT(MissingInWords(Row("one_ended", 2), nullptr), StartsWith("2 connections with only one end recorded"));
  EXPECT_THAT(MissingInWords(Row("one_ended", 1), nullptr), StartsWith("1 connection with only one end recorded"));
  EXPECT_THAT(MissingInWords(Row("dropped_full", 1), nullptr), StartsWith("1 event dropped: "));
  EXPECT_THAT(MissingInWords(Row("left_out", 1), nullptr), StartsWith("1 descriptors, connections or processes more"));
}

}  // namespace
}  // namespace socktale
