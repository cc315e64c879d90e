// SPDX-License-Identifier: Apache-2.0
//
// An event as one line of text: time, process, connection, direction, call, outcome, remark. What `show` prints of a
// trace, and `run --live` while it records.

#ifndef SOCKTALE_VIEWER_CLI_EVENT_LINE_H_
#define SOCKTALE_VIEWER_CLI_EVENT_LINE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "viewer/cli/call_text.h"
#include "viewer/cli/format.h"
#include "viewer/cli/output.h"
#include "viewer/model/trace.h"

namespace socktale {

struct EventLineOptions {
  size_t payload_bytes = 32;  // of payload, shown
  bool hex = false;           // payload as hexadecimal
};

// An event taken out of its trace, ready to be printed later.
struct EventLine {
  uint64_t at_ns = 0;      // when the call returned; ns since the trace began
  std::string process;     // "curl[4242]"
  std::string connection;  // "c1"; empty: none known
  bool from_client = false;
  CallText text;
  std::string payload;  // the first payload_bytes of it
};

// unicode: as in Look.
EventLine DescribeEvent(const TracedEvent& event, const EventLineOptions& options, bool unicode);

// Lays lines out in columns, which widen as longer names come.
class EventLineFormat {
 public:
  EventLineFormat(const EventLineOptions& options, const TimeFormat& time) : options_(options), time_(time) {}

  // output: whose look and colours are used; nothing is written to it.
  std::string Format(const EventLine& line, const Output& output);

 private:
  EventLineOptions options_;
  TimeFormat time_;
  size_t process_width_ = 10;
  size_t connection_width_ = 3;
};

// The lines of a recording that goes on: knows processes from their own events, and no connections.
class LiveEventLines {
 public:
  LiveEventLines(const EventLineOptions& options, const TimeFormat& time) : options_(options), format_(options, time) {}

  // Appends a line, with '\n', for each event of an encoded Run. Continuations of a payload have none.
  // kDataLoss where the bytes stop making sense.
  absl::Status Append(absl::string_view encoded_run, const Output& output, std::string& text);

 private:
  EventLineOptions options_;
  EventLineFormat format_;
  absl::flat_hash_map<uint32_t, Process> processes_;  // by image
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_EVENT_LINE_H_
