// SPDX-License-Identifier: Apache-2.0
//
// The list of connections, as text, as JSON, on narrow screens, and of traces with little or nothing in them.

#include "viewer/cli/conns.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <sstream>
#include <string>

#include "base/unique_fd.h"
#include "tests/viewer/mockups.h"
#include "viewer/cli/json.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ConnsTest : public TraceTest {
 protected:
  ConnsTest() { AddEverything(builder_); }

  std::string Print(const Look& look = {}) {
    const NamedTrace trace = Open(builder_);
    std::string text;
    Output output(&text, look);
    const absl::Status printed = PrintConns(trace, options_, common_, output);
    EXPECT_TRUE(printed.ok()) << printed;
    return text;
  }

  // The rows without those that the picture leaves out.
  static std::string WithoutC4ToC16(const std::string& text) {
    std::string kept;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      int id = 0;
      if (sscanf(line.c_str(), " c%d ", &id) == 1 && id >= 4 && id <= 16) continue;
      kept += line + "\n";
    }
    return kept;
  }

  TraceBuilder builder_;
  ConnsOptions options_;
  CommonOptions common_;
};

TEST_F(ConnsTest, LooksAsInTheManual) { ExpectGolden("conns.txt", WithoutC4ToC16(Print())); }

TEST_F(ConnsTest, AsciiHasTheSameColumns) {
  const std::string ascii = WithoutC4ToC16(Print({.unicode = false}));
  ExpectGolden("conns_ascii.txt", ascii);
  for (const char c : ascii) ASSERT_LT(static_cast<unsigned char>(c), 0x80) << ascii;
}

TEST_F(ConnsTest, FitsEightyColumnsOnATerminalAndIsNeverCutInAPipe) {
  const std::string narrow = Print(Terminal(80));
  EXPECT_LE(WidestLine(narrow), 80u) << narrow;
  EXPECT_THAT(narrow, HasSubstr("…"));
  const std::string piped = Print();
  EXPECT_THAT(piped, Not(HasSubstr("…")));
  EXPECT_THAT(piped, HasSubstr("httpd[4100] (socketpair)"));
}

TEST_F(ConnsTest, ColourOnlyAddsToTheText) {
  const std::string colored = Print({.color = true});
  EXPECT_THAT(colored, HasSubstr("\x1b["));
  std::string plain;
  for (size_t i = 0; i < colored.size(); ++i) {
    if (colored[i] == '\x1b') {
      i = colored.find('m', i);
    } else {
      plain += colored[i];
    }
  }
  // Painted cells keep their padding, so spaces at the ends of lines may be left over.
  std::istringstream a(plain), b(Print());
  for (std::string left, right; std::getline(b, right);) {
    ASSERT_TRUE(std::getline(a, left));
    EXPECT_EQ(left.substr(0, left.find_last_not_of(' ') + 1), right);
  }
}

TEST_F(ConnsTest, SortsByAColumnAndKeepsTheFirst) {
  common_.sort = "-recv";
  common_.limit = 2;
  const std::string text = Print();
  EXPECT_LT(text.find("c17"), text.find("c3"));
  EXPECT_THAT(text, Not(HasSubstr(" c1 ")));
  common_.sort = "size";
  const NamedTrace trace = Open(builder_);
  std::string out;
  Output output(&out, {});
  EXPECT_THAT(std::string(PrintConns(trace, options_, common_, output).message()),
              StartsWith("no sort key 'size'; there are: id start life"));
}

TEST_F(ConnsTest, JsonLinesBeginWithTheTraceAndUseExactNumbers) {
  common_.json = true;
  std::istringstream lines(Print());
  std::vector<Json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(Json::parse(line));
  ASSERT_EQ(objects.size(), 18u);
  EXPECT_EQ(objects[0]["type"], "trace");
  EXPECT_EQ(objects[0]["schema"], "socktale/1");
  EXPECT_EQ(objects[0]["start"], "2026-03-01T10:00:00.123456789Z");
  EXPECT_EQ(objects[0]["cmd"], (Json{"make", "test"}));
  EXPECT_EQ(objects[0]["dropped"], 0);
  const Json& c1 = objects[1];
  EXPECT_EQ(c1["type"], "conn");
  EXPECT_EQ(c1["id"], "c1");
  EXPECT_EQ(c1["proto"], "tcp");
  EXPECT_EQ(c1["client"]["fd"], "4242/5");
  EXPECT_EQ(c1["server"]["process"], "httpd");
  EXPECT_EQ(c1["peer"], (Json{{"ip", "127.0.0.1"}, {"port", 8080}}));
  EXPECT_EQ(c1["t_ns"], 1'260'000);
  EXPECT_EQ(c1["sent"], 83);
  EXPECT_EQ(c1["recv"], 151);
  EXPECT_EQ(c1["end"], "closed_by_client");
  EXPECT_EQ(objects[2]["end"], "refused");
  EXPECT_EQ(objects[2]["error"], "ECONNREFUSED");
  EXPECT_EQ(objects[17]["end"], "never_closed");
  EXPECT_EQ(objects[17]["host"], "db.internal");
  EXPECT_EQ(objects[17]["recv"], 1'258'291);
}

TEST_F(ConnsTest, GroupsShowWhatConnectionsHaveInCommon) {
  options_.group = ConnsGroup::kPeer;
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("14  10.0.0.7:5432"));
  EXPECT_THAT(text, HasSubstr("c4 c5 c6 …"));
  EXPECT_THAT(text, HasSubstr("localhost:8080"));
}

TEST_F(ConnsTest, WideHasCommandLinesAndDescriptors) {
  options_.wide = true;
  const std::string text = Print();
  EXPECT_THAT(text, HasSubstr("curl[4242] curl -s http://localhost:8080/hello"));
  EXPECT_THAT(text, HasSubstr("4242/5"));
  EXPECT_THAT(text, HasSubstr("512/23#14"));  // the fourteenth thing with that number
}

TEST_F(ConnsTest, NothingToShowIsASentenceAndNeverAnEmptyTable) {
  common_.from_ns = 3600'000'000'000;
  EXPECT_EQ(Print(), "0 of 17 connections in that time: --from and --to leave none\n");
  common_.from_ns = 0;

  builder_ = TraceBuilder();
  builder_.header.add_command("true");
  EXPECT_EQ(Print(), "true could not be traced: socktale doctor true\n");
  Image& image = builder_.Start("true", 7);
  image.Open(3, "/etc/passwd");
  EXPECT_EQ(Print(), "true made no socket calls; 1 other thing opened: socktale fds\n");
}

TEST_F(ConnsTest, NothingIsOnlySaidOfWhatThereIs) {
  builder_ = TraceBuilder();
  builder_.header.add_command("true");
  builder_.Start("true", 7).Open(3, "/etc/passwd");
  const auto last_line = [this](const NamedTrace& trace) {
    std::string text;
    Output output(&text, {});
    EXPECT_TRUE(PrintConns(trace, options_, common_, output).ok());
    return text.substr(text.rfind('\n', text.size() - 2) + 1);
  };
  NamedTrace cut = Open(builder_, "make-1", false);
  EXPECT_EQ(last_line(cut),
            "true made no socket calls in the part that is readable; 1 other thing opened: socktale fds\n");

  cut.path = directory_ + "/make-1.tale.part";
  UniqueFd recorder(open(cut.path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(recorder.get(), LOCK_EX), 0);
  EXPECT_EQ(last_line(cut), "true made no socket calls so far; 1 other thing opened: socktale fds\n");

  recorder.reset();
  builder_.drops.emplace_back().set_events(12);
  EXPECT_THAT(Print(), HasSubstr("true made no socket calls (12 events dropped); 1 other thing opened"));
}

// The parent connects, forks and exits; the child goes on using the connection.
TEST_F(ConnsTest, AConnectionIsOpenAsLongAsAForkedChildHoldsIt) {
  builder_ = TraceBuilder();
  Image& parent = builder_.Start("daemon", 7);
  parent.Socket(3, AF_INET, SOCK_STREAM);
  parent.Connect(3, Inet("10.0.0.7", 80));
  parent.Send(3, "by the parent, who says the most");
  Image& child = parent.Fork(8);
  parent.Exit(0);
  builder_.After(1'500'000'000);
  child.Send(3, "still here");
  std::string text = Print();
  EXPECT_THAT(text, HasSubstr("open"));
  EXPECT_THAT(text, HasSubstr("1.5 s"));
  EXPECT_THAT(text, Not(HasSubstr("never closed")));
  EXPECT_THAT(text, Not(HasSubstr("⚠")));

  builder_.After(1'000'000'000);
  child.Exit(0);
  text = Print();
  EXPECT_THAT(text, HasSubstr("never closed"));
  EXPECT_THAT(text, HasSubstr("2.5 s"));
}

TEST_F(ConnsTest, OnATerminalTheLastLineSaysWhatToDoNext) {
  EXPECT_THAT(Print(Terminal(120)), HasSubstr("next: follow 17 · follow 2 · fds 512\n"));
  common_.trace = "out/a b.tale";
  EXPECT_THAT(Print(Terminal(120)), HasSubstr("next: follow 17 -t 'out/a b.tale' · "));
  common_.quiet = true;
  EXPECT_THAT(Print(Terminal(120)), Not(HasSubstr("next:")));
}

}  // namespace
}  // namespace socktale::testing
