// SPDX-License-Identifier: Apache-2.0
//
// What a trace file holds, by call; and, reading it whole, which of its blocks cannot be read.

#ifndef SOCKTALE_VIEWER_CLI_EVENT_COUNTS_H_
#define SOCKTALE_VIEWER_CLI_EVENT_COUNTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/event.pb.h"
#include "viewer/model/trace.h"

namespace socktale {

struct CallCount {
  uint64_t calls = 0;   // an event that only continues a payload is not a call
  uint64_t failed = 0;  // of these, with an errno
  uint64_t bytes = 0;   // that moved; looks with MSG_PEEK moved none
};

struct EventCounts {
  std::map<Call, CallCount> by_call;
  uint64_t events = 0;
  uint64_t moved_bytes = 0;             // sent and received
  uint64_t kept_bytes = 0;              // of these, bytes that the trace holds
  std::vector<std::string> unreadable;  // parts of the file, each with place and reason
};

// What the trace's tables say, where they do: nothing of the file's blocks is read.
std::optional<EventCounts> CountsInTables(const Trace& trace);

// By reading all of the file. kNotFound and the like when the file cannot be opened; damage inside it is told in
// `unreadable`.
absl::StatusOr<EventCounts> CountEventsOf(const std::string& path);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_EVENT_COUNTS_H_
