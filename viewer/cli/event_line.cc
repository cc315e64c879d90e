// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/event_line.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/call_families.h"
#include "viewer/names/ids.h"

namespace socktale {
namespace {

// Where outcomes stand on a screen wide enough; the outcome and the remark behind it want as much again as
// kOutcomeRoom.
constexpr size_t kCallWidth = 54;
constexpr size_t kLeastCallWidth = 24;
constexpr size_t kOutcomeWidth = 14;
constexpr size_t kOutcomeRoom = 32;
// Narrower screens have no room to line remarks up.
constexpr size_t kRoomyWidth = 110;

// "47 45 54 20": so many bytes as were kept of those that are to be shown.
std::string HexPayload(std::string_view payload, uint64_t total, bool unicode) {
  std::string text;
  for (const char c : payload) {
    absl::StrAppend(&text, text.empty() ? "" : " ", absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2));
  }
  if (payload.size() < total) absl::StrAppend(&text, text.empty() ? "" : " ", unicode ? "…" : "...");
  return text;
}

}  // namespace

EventLine DescribeEvent(const TracedEvent& traced, const EventLineOptions& options, bool unicode) {
  const EventView& event = *traced.event;
  EventLine line;
  line.at_ns = event.end_ns();
  if (traced.process != nullptr) {
    line.process = ProcessLabel(*traced.process);
  } else if (traced.run != nullptr) {
    line.process = absl::StrCat("image ", traced.run->image);
  }
  if (traced.connection != nullptr) {
    line.connection = absl::StrCat("c", traced.connection->id());
    line.from_client = traced.from_client;
  }
  line.text = DescribeCall(event, unicode);
  if (traced.connection != nullptr && IsCopy(event.call) && event.error == 0) {
    // To a socket, or from one: the connection is that of the one or the other.
    const Endpoint& end = traced.from_client ? traced.connection->client() : traced.connection->server();
    const bool leaves = traced.object != nullptr && traced.object->id() == end.object();
    line.text.direction = leaves ? Direction::kLeaves : Direction::kEnters;
  }
  line.payload = std::string(event.payload.substr(0, options.payload_bytes));
  return line;
}

std::string EventLineFormat::Format(const EventLine& line, const Output& output) {
  const Look& look = output.look();
  process_width_ = std::max(process_width_, DisplayWidth(line.process));
  connection_width_ = std::max(connection_width_, line.connection.size());

  const CallText& call = line.text;
  std::string arrow = " ";
  Style arrow_style = Style::kPlain;
  if (call.direction != Direction::kNone) {
    const bool leaves = call.direction == Direction::kLeaves;
    arrow = leaves ? output.Sign("→", ">") : output.Sign("←", "<");
    if (!line.connection.empty()) arrow_style = leaves == line.from_client ? Style::kFromClient : Style::kFromServer;
  }
  std::string payload;
  if (call.has_payload) {
    payload = options_.hex ? HexPayload(line.payload, call.payload_size, look.unicode)
                           : QuotePayload(line.payload, options_.payload_bytes, call.payload_size, look.unicode);
  }

  const std::string time = time_.Format(line.at_ns);
  const size_t before = DisplayWidth(time) + process_width_ + connection_width_ + 6;
  size_t call_width = kCallWidth;
  if (look.width > 0) {
    const size_t taken = before + kOutcomeRoom;
    call_width = look.width > taken ? std::min(kCallWidth, look.width - taken) : 0;
    call_width = std::max(call_width, kLeastCallWidth);
  }
  // Padding comes before colour, whose bytes take no column.
  const size_t shown = DisplayWidth(call.before) + DisplayWidth(payload) + DisplayWidth(call.after);
  std::string text = absl::StrCat(output.Paint(Style::kRemark, time), " ", PadRight(line.process, process_width_), "  ",
                                  PadRight(line.connection, connection_width_), output.Paint(arrow_style, arrow), " ",
                                  call.before, output.Paint(arrow_style, payload), call.after);
  if (!call.outcome.empty()) {
    const std::string outcome = call.failed ? absl::StrCat(std::string(output.Sign("✗", "x")), " ", call.outcome)
                                            : absl::StrCat("= ", call.outcome);
    absl::StrAppend(&text, std::string(shown < call_width ? call_width - shown : 0, ' '), "  ",
                    output.Paint(call.failed ? Style::kError : Style::kPlain, outcome));
    const size_t width = DisplayWidth(outcome);
    const bool roomy = look.width == 0 || look.width >= kRoomyWidth;
    if (!call.remark.empty() && roomy) text.append(width < kOutcomeWidth ? kOutcomeWidth - width : 0, ' ');
  }
  if (!call.remark.empty()) absl::StrAppend(&text, "  ", output.Paint(Style::kRemark, call.remark));
  return text;
}

absl::Status LiveEventLines::Append(absl::string_view encoded_run, const Output& output, std::string& text) {
  // NextRun takes Runs off an Events message, so the Run becomes that message's only field.
  std::string message = "\x0a";
  for (size_t size = encoded_run.size(); size > 0 || message.size() == 1; size >>= 7) {
    message.push_back(static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
  }
  absl::StrAppend(&message, encoded_run);
  absl::string_view runs = message;
  RunView run;
  bool is_run = false;
  RETURN_IF_ERROR(NextRun(runs, run, is_run));
  EventView event;
  absl::string_view rest = run.events;
  while (true) {
    absl::string_view bytes;
    bool found = false;
    RETURN_IF_ERROR(NextEvent(rest, bytes, found));
    if (!found) return absl::OkStatus();
    RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event));
    if (event.call == CALL_ATTACHED) {
      Process& process = processes_[run.image];
      process.set_pid(event.pid);
      process.set_pid_use(1);
      process.set_name(std::string(event.name));
    }
    if (event.continuation > 0) continue;
    const auto process = processes_.find(run.image);
    TracedEvent traced;
    traced.event = &event;
    traced.run = &run;
    if (process != processes_.end()) traced.process = &process->second;
    absl::StrAppend(&text, format_.Format(DescribeEvent(traced, options_, output.look().unicode), output), "\n");
  }
}

}  // namespace socktale
