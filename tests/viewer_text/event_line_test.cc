// SPDX-License-Identifier: Apache-2.0
//
// An event as a line: columns, arrows, payload, colour.

#include "viewer/cli/event_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;

EventLine Recv() {
  EventLine line;
  line.at_ns = 250'900'000;
  line.process = "curl[4242]";
  line.connection = "c1";
  line.from_client = true;
  line.text.before = "recv(5, ";
  line.text.after = ")";
  line.text.has_payload = true;
  line.text.payload_size = 151;
  line.text.direction = Direction::kEnters;
  line.text.outcome = "151";
  line.text.remark = "waited 249 ms";
  line.payload = "HTTP/1.1 200 OK\r\nContent-Type: te";
  return line;
}

std::string Print(const EventLine& line, const Look& look, const EventLineOptions& options = {}) {
  std::string sink;
  const Output output(&sink, look);
  return EventLineFormat(options, TimeFormat(TimeForm::kSinceStart, 0, 4)).Format(line, output);
}

TEST(EventLineTest, HasTimeProcessConnectionDirectionCallOutcomeAndRemark) {
  EXPECT_EQ(Print(Recv(), {}),
            "+0.2509 curl[4242]  c1 ← recv(5, \"HTTP/1.1 200 OK\\r\\nContent-Type: t\"…)          = 151           "
            "waited 249 ms");
}

TEST(EventLineTest, IsAsciiWhereNothingElseCanBeShown) {
  Look look;
  look.unicode = false;
  const std::string line = Print(Recv(), look);
  for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
  EXPECT_THAT(line, HasSubstr("c1 < recv("));
}

TEST(EventLineTest, ErrorsHaveTheirSign) {
  EventLine line = Recv();
  line.text.direction = Direction::kNone;
  line.text.has_payload = false;
  line.text.before = "connect(6, localhost:9999";
  line.text.failed = true;
  line.text.outcome = "ECONNREFUSED";
  line.text.remark = "nothing listens there";
  EXPECT_EQ(Print(line, {}),
            "+0.2509 curl[4242]  c1   connect(6, localhost:9999)                              ✗ ECONNREFUSED  nothing "
            "listens there");
}

TEST(EventLineTest, PayloadAsHexadecimalStopsAtTheLimit) {
  EventLine line = Recv();
  line.payload = std::string("\x00\xff\x41", 3);
  line.text.payload_size = 4;
  EXPECT_THAT(Print(line, {}, {.payload_bytes = 3, .hex = true}), HasSubstr("recv(5, 00 ff 41 …)"));
  line.text.payload_size = 3;
  EXPECT_THAT(Print(line, {}, {.payload_bytes = 3, .hex = true}), HasSubstr("recv(5, 00 ff 41)"));
}

TEST(EventLineTest, ColourChangesNoColumn) {
  Look look;
  look.color = true;
  const std::string painted = Print(Recv(), look);
  EXPECT_THAT(painted, HasSubstr("\x1b["));
  EXPECT_EQ(DisplayWidth(painted), DisplayWidth(Print(Recv(), {})));
}

TEST(EventLineTest, OnANarrowTerminalTheOutcomeComesEarlier) {
  EventLine line = Recv();
  line.text.has_payload = false;
  line.text.before = "close(5";
  Look look;
  look.width = 80;
  EXPECT_LE(DisplayWidth(Print(line, look)), 80u);
}

// LiveEventLines learns names from the images' own attachments.
TEST(LiveEventLinesTest, NamesProcessesOnceTheyHaveAttached) {
  socktale::Run run;
  run.set_image(1);
  run.set_tid(4242);
  Event* event = run.add_event();
  event->set_call(CALL_ATTACHED);
  event->set_pid(4242);
  event->set_name("curl");
  event->set_reason(ATTACH_REASON_START);
  event->add_argv("curl");
  event = run.add_event();
  event->set_call(CALL_SEND);
  event->set_fd(5);
  event->set_start_ns(1'600'000);
  event->set_result(3);
  event->set_payload("abc");
  event->set_notes(EVENT_NOTE_MORE);
  event->set_payload_size(6);
  event = run.add_event();
  event->set_call(CALL_SEND);
  event->set_fd(5);
  event->set_start_ns(1'600'000);
  event->set_continuation(3);
  event->set_payload("def");

  LiveEventLines lines({}, TimeFormat(TimeForm::kSinceStart, 0, 4));
  std::string sink;
  const Output output(&sink, {});
  std::string text;
  ASSERT_TRUE(lines.Append(run.SerializeAsString(), output, text).ok());
  EXPECT_EQ(text,
            "+0.0000 curl[4242]       starts: curl\n"
            "+0.0016 curl[4242]     → send(5, \"abc\"…)                                         = 3\n");
  EXPECT_FALSE(lines.Append("\x1a\xff", output, text).ok());
}

}  // namespace
}  // namespace socktale
