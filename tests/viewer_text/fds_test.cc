// SPDX-License-Identifier: Apache-2.0
//
// `fds`: what is open when, what it names, who has the other end.

#include "viewer/cli/fds.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/viewer_text/tale.h"
#include "viewer/cli/conns.h"
#include "viewer/cli/show.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Fds(const NamedTrace& named, const std::string& process, const std::string& at = "end",
                const CommonOptions& common = {}) {
  std::string text;
  Output output(&text, {});
  FdsOptions options;
  options.process = process;
  options.at = at;
  const absl::Status status = PrintFds(named.trace, named.name, options, common, output);
  output.Flush();
  return status.ok() ? text : std::string(status.message());
}

std::vector<nlohmann::json> FdsJson(const NamedTrace& named, const std::string& process,
                                    const std::string& at = "end") {
  CommonOptions common;
  common.json = true;
  std::vector<nlohmann::json> lines;
  for (absl::string_view line : absl::StrSplit(Fds(named, process, at, common), '\n', absl::SkipEmpty())) {
    lines.push_back(nlohmann::json::parse(line.begin(), line.end()));
  }
  return lines;
}

// The names of the open descriptors, "3 *:8080 listening, 4 accepted".
std::vector<std::string> Names(const NamedTrace& named, const std::string& process, const std::string& at = "end") {
  std::vector<std::string> names;
  for (const nlohmann::json& line : FdsJson(named, process, at)) {
    if (line["type"] != "descriptor") continue;
    names.push_back(absl::StrCat(line["number"].get<int>(), " ", line["name"].get<std::string>()));
  }
  return names;
}

TEST(FdsTest, TellsBothEndsOfConnectionsAtAMoment) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  EXPECT_THAT(Names(named, "httpd", "0.1"),
              ElementsAre("3 *:8080 listening, 1 accepted", "9 localhost:8080 ⇄ localhost:51544 curl[4242] fd 5"));
  EXPECT_THAT(Names(named, "curl", "0.1"), ElementsAre("5 localhost:51544 ⇄ localhost:8080 httpd[4100] fd 9"));
  EXPECT_THAT(Names(named, "httpd"), ElementsAre("3 *:8080 listening, 1 accepted"));
  EXPECT_THAT(Names(named, "curl"), ElementsAre());
}

TEST(FdsTest, AtAProcesssEndItsPeersAreAsTheyWereThen) {
  testing::TraceBuilder builder;
  testing::Image& parent = builder.Start("parent", 10);
  parent.SocketPair(3, 4, AF_UNIX, SOCK_STREAM);
  testing::Image& child = builder.Start("other", 12);
  child.Exit(0);
  testing::Image& forked = parent.Fork(11);
  parent.Close(4);
  forked.Close(3);
  builder.At(1'000'000'000);
  forked.Exit(0);
  builder.At(2'000'000'000);
  parent.Exit(0);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "ends");
  EXPECT_THAT(Names(named, "11"), ElementsAre("4 ⇄ parent[10] fd 3 (socketpair)"));
  EXPECT_THAT(Names(named, "10"), ElementsAre("3 ⇄ closed (socketpair)"));
}

TEST(FdsTest, HeadsEachProcessWithWhatIsOpenAndThePeak) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  EXPECT_THAT(Fds(named, "4100"), HasSubstr("httpd[4100] in hello at the end: 1 open"));
  EXPECT_THAT(Fds(named, "httpd[4100]", "0.1"), HasSubstr("httpd[4100] in hello at +0.1: 2 open"));
  EXPECT_THAT(Fds(named, "httpd", "peak"), HasSubstr(" at its peak, +0.0: 2 open"));
  EXPECT_THAT(Fds(named, "4100"), HasSubstr("peak 2 at +0.0"));
}

TEST(FdsTest, SocketpairsAndPipesNameTheirOtherEnds) {
  testing::TraceBuilder builder;
  testing::Image& parent = builder.Start("parent", 10);
  parent.SocketPair(3, 4, AF_UNIX, SOCK_STREAM);
  parent.Pipe(5, 6);
  testing::Image& child = parent.Fork(11);
  parent.Close(4);
  parent.Close(5);
  child.Close(3);
  child.Close(6);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "pair");
  EXPECT_THAT(Names(named, "10"), ElementsAre("3 ⇄ parent[11] fd 4 (socketpair)", "6 ⇄ parent[11] fd 5"));
  EXPECT_THAT(Names(named, "11"), ElementsAre("4 ⇄ parent[10] fd 3 (socketpair)", "5 ⇄ parent[10] fd 6"));
  EXPECT_THAT(Fds(named, "11"), HasSubstr("inherited  from parent[10]"));
}

TEST(FdsTest, FilesDuplicatesAndFlags) {
  testing::TraceBuilder builder;
  testing::Image& a = builder.Start("a", 10);
  a.Open(3, "/etc/hosts", {.flags = O_RDONLY | O_CLOEXEC});
  a.Dup(3, 7);
  a.EpollCreate(8);
  a.Socket(9, AF_INET, SOCK_DGRAM);
  a.EpollAdd(8, 9, 1);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "files");
  EXPECT_THAT(Names(named, "a"), ElementsAre("3 /etc/hosts", "7 /etc/hosts", "8 watches 9", "9 not connected"));
  const std::string text = Fds(named, "a");
  EXPECT_THAT(text, HasSubstr("dup of 3"));
  EXPECT_THAT(text, HasSubstr("(1 more)"));
  const std::vector<nlohmann::json> lines = FdsJson(named, "a");
  EXPECT_EQ(lines[2]["close_on_exec"], true);
  EXPECT_EQ(lines[3]["begin"], "duplicated");
  EXPECT_EQ(lines[5]["kind"], "udp");
}

TEST(FdsTest, AmongAllProcessesTheOnesWithDescriptorsOfTheirOwnComeFirst) {
  testing::TraceBuilder builder;
  testing::Image& quiet = builder.Start("quiet", 10);
  quiet.Close(3, {.error = EBADF});
  testing::Image& leaky = builder.Start("leaky", 11);
  for (int fd = 3; fd < 8; ++fd) leaky.Socket(fd, AF_INET, SOCK_STREAM);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "all");
  const std::string text = Fds(named, "");
  EXPECT_LT(text.find("leaky[11]"), text.find("quiet[10]"));
  EXPECT_THAT(text, HasSubstr("quiet[10] in all at the end: 0 open"));
}

TEST(FdsTest, EveryViewWritesTheSameIds) {
  testing::TraceBuilder builder;
  builder.Start("first", 512).Exit(0);
  testing::Image& second = builder.Start("second", 512);
  second.Open(7, "/etc/hosts");
  second.Close(7);
  second.Socket(7, AF_INET, SOCK_STREAM);
  second.Connect(7, testing::Inet("10.0.0.7", 80), {.local = testing::Inet("10.0.0.1", 4000)});
  second.Send(7, "hello");
  Tale tale;
  NamedTrace named = tale.Open(builder, "reused");
  CommonOptions common;
  common.json = true;
  std::string conns, show;
  Output conns_output(&conns, {}), show_output(&show, {});
  ASSERT_TRUE(PrintConns(named, {}, common, conns_output).ok());
  ASSERT_TRUE(PrintShow(named.trace, {}, common, show_output).ok());
  const std::string fds = Fds(named, "512#2", "end", common);
  for (const std::string& text : {conns, show, fds}) {
    EXPECT_THAT(text, HasSubstr("\"fd\":\"512#2/7#2\"")) << text;
    EXPECT_THAT(text, HasSubstr("\"pid\":512,\"pid_use\":2,\"process\":\"second\"")) << text;
  }
}

TEST(FdsTest, UnknownProcessesAndTimesAreErrors) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  EXPECT_EQ(Fds(named, "htpd"), "no process 'htpd' in hello. Did you mean httpd?");
  EXPECT_THAT(Fds(named, "99999"), HasSubstr("no process '99999' in hello"));
  EXPECT_THAT(Fds(named, "httpd", "yesterday"), HasSubstr("a time, 'peak' or 'end' is needed"));
}

TEST(FdsTest, APathCannotCommandTheTerminal) {
  testing::TraceBuilder builder;
  builder.Start("a", 10).Open(3, "/tmp/\x1b[2J");
  Tale tale;
  const NamedTrace named = tale.Open(builder, "evil");
  EXPECT_THAT(Fds(named, "a"), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace socktale
