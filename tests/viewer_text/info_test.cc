// SPDX-License-Identifier: Apache-2.0
//
// `info`: counts, processes, and the completeness statement.

#include "viewer/cli/info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/viewer_text/tale.h"
#include "viewer/cli/event_counts.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Info(const NamedTrace& named, bool* complete = nullptr, const CommonOptions& common = {}) {
  std::string text;
  Output output(&text, {});
  bool whole = false;
  const absl::Status status = PrintInfo(named, {}, common, output, whole);
  EXPECT_TRUE(status.ok()) << status;
  output.Flush();
  if (complete != nullptr) *complete = whole;
  return text;
}

TEST(InfoTest, AWholeTraceSaysThatNothingIsMissingOfWhatCanBeSeen) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  bool complete = false;
  const std::string text = Info(tale.Open(builder, "hello"), &complete);
  EXPECT_THAT(text, HasSubstr("What is missing\n  Nothing: every call that was seen is there, with all its bytes.\n"));
  EXPECT_THAT(text, HasSubstr("No recording sees what the C library does inside itself:"));
  EXPECT_THAT(text, HasSubstr("drops      0"));
  EXPECT_THAT(text, HasSubstr("2 connections"));
  EXPECT_THAT(text, HasSubstr("2 processes"));
  EXPECT_THAT(text, HasSubstr("all kept"));
  EXPECT_TRUE(complete);
}

TEST(InfoTest, TheTablesCountAsReadingTheFileDoes) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  const std::optional<EventCounts> told = CountsInTables(named.trace);
  const absl::StatusOr<EventCounts> read = CountEventsOf(named.path);
  ASSERT_TRUE(told.has_value());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(told->events, read->events);
  EXPECT_GT(read->moved_bytes, 0u);
  EXPECT_EQ(told->moved_bytes, read->moved_bytes);
  EXPECT_EQ(told->kept_bytes, read->kept_bytes);
  ASSERT_EQ(told->by_call.size(), read->by_call.size());
  for (const auto& [call, count] : read->by_call) {
    const CallCount& other = told->by_call.at(call);
    EXPECT_EQ(other.calls, count.calls) << call;
    EXPECT_EQ(other.failed, count.failed) << call;
    EXPECT_EQ(other.bytes, count.bytes) << call;
  }
  EXPECT_FALSE(CountsInTables(tale.Open(builder, "cut", false).trace).has_value()) << "that was not sealed";
}

TEST(InfoTest, CountsCallsAndBytesByKind) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  const NamedTrace named = tale.Open(builder, "hello");
  CommonOptions common;
  common.json = true;
  std::map<std::string, nlohmann::json> calls;
  std::vector<nlohmann::json> processes;
  nlohmann::json first;
  for (absl::string_view line : absl::StrSplit(Info(named, nullptr, common), '\n', absl::SkipEmpty())) {
    const nlohmann::json object = nlohmann::json::parse(line.begin(), line.end());
    if (object["type"] == "trace") first = object;
    if (object["type"] == "calls") calls[object["call"]] = object;
    if (object["type"] == "process") processes.push_back(object);
  }
  EXPECT_EQ(first["dropped"], 0);
  EXPECT_EQ(first["moved"], first["kept"]);
  EXPECT_EQ(calls["recvfrom"]["count"], 3);
  EXPECT_EQ(calls["connect"]["count"], 2);
  EXPECT_EQ(calls["connect"]["failed"], 1);
  EXPECT_EQ(calls["sendto"]["bytes"], calls["recvfrom"]["bytes"]);
  ASSERT_EQ(processes.size(), 2u);
  EXPECT_EQ(processes[0]["process"], "httpd");
}

TEST(InfoTest, AContinuedPayloadIsOneCallAndALookMovesNothing) {
  testing::TraceBuilder builder;
  testing::Image& curl = builder.Start("curl", 4242);
  Event& first = curl.Call(CALL_SEND, 5, 6, {.notes = EVENT_NOTE_MORE});
  first.set_payload("abc");
  first.set_payload_size(6);
  Event& second = curl.Call(CALL_SEND, 5, 6);
  second.set_continuation(3);
  second.set_payload("def");
  curl.Recv(5, "look", {.notes = EVENT_NOTE_PEEK});
  Tale tale;
  const NamedTrace named = tale.Open(builder, "split");
  const absl::StatusOr<EventCounts> counts = CountEventsOf(named.path);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->by_call.at(CALL_SEND).calls, 1u);
  EXPECT_EQ(counts->by_call.at(CALL_SEND).bytes, 6u);
  EXPECT_EQ(counts->moved_bytes, 6u);
  EXPECT_EQ(counts->kept_bytes, 6u);
  EXPECT_EQ(counts->by_call.at(CALL_RECVFROM).bytes, 0u);
}

TEST(InfoTest, ADamagedBlockIsNamedWithTheEventsThatItHeld) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  builder.NextBlock();
  builder.At(1'000'000'000);
  testing::Image& late = builder.Start("late", 99);
  for (int fd = 1; fd <= 20; ++fd) late.Call(CALL_CLOSE, fd, 0);
  builder.NextBlock();
  builder.At(2'000'000'000);
  late.Call(CALL_CLOSE, 30, 0);
  Tale tale;
  {
    const NamedTrace named = tale.Open(builder, "hurt");
    std::vector<BlockEntry> blocks;
    for (const BlockEntry& block : named.trace.file().blocks()) {
      if (block.kind() == BLOCK_KIND_EVENTS) blocks.push_back(block);
    }
    ASSERT_EQ(blocks.size(), 3u);
    std::fstream bytes(tale.path(), std::ios::in | std::ios::out);
    bytes.seekp(static_cast<std::streamoff>(blocks[1].offset() + blocks[1].size() - 4));
    bytes.put('\x55');
  }
  bool complete = true;
  const std::string text = Info(tale.Reopen("hurt"), &complete);
  EXPECT_THAT(text, HasSubstr("21 events unreadable at 0.3-2.0 s (block "));
  EXPECT_FALSE(complete);
}

TEST(InfoTest, ATraceThatWasCutOffIsNotComplete) {
  testing::TraceBuilder builder;
  BuildHello(builder);
  Tale tale;
  bool complete = true;
  const std::string text = Info(tale.Open(builder, "hello", false), &complete);
  EXPECT_FALSE(complete);
  EXPECT_THAT(text, HasSubstr("hello was cut off at"));
  EXPECT_THAT(text, HasSubstr("not sealed"));
  EXPECT_THAT(text, Not(HasSubstr("Nothing: ")));
  EXPECT_THAT(text, HasSubstr("No recording sees"));
}

TEST(InfoTest, WhatIsSplicedOverASocketHasMoved) {
  testing::TraceBuilder builder;
  testing::Image& proxy = builder.Start("proxy", 1);
  proxy.Socket(5, AF_INET, SOCK_STREAM);
  proxy.Connect(5, testing::Inet("127.0.0.1", 80));
  proxy.Send(5, "abc");
  Event& splice = proxy.Call(CALL_SPLICE, 5, 30, {.notes = EVENT_NOTE_NOT_SEEN});
  splice.set_new_fd(6);
  Tale tale;
  const std::string text = Info(tale.Open(builder, "spliced"));
  EXPECT_THAT(text, HasSubstr("33 B moved, 3 B kept"));
  EXPECT_THAT(text, HasSubstr("30 bytes moved inside the kernel"));
}

}  // namespace
}  // namespace socktale
