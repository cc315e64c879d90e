// SPDX-License-Identifier: Apache-2.0
//
// One recorded call in words: its decoded arguments, what came of it, and what that means.

#ifndef SOCKTALE_VIEWER_CLI_CALL_TEXT_H_
#define SOCKTALE_VIEWER_CLI_CALL_TEXT_H_

#include <cstdint>
#include <string>

#include "proto/event_view.h"
#include "viewer/cli/call_meaning.h"

namespace socktale {

// recv(5, "HTTP/1.1 200 OK\r\n…, PEEK)       = 151   waited 249 ms
// `before`  ^ payload           `after`        `outcome`  `remark`
struct CallText {
  std::string before;         // up to where the payload stands
  std::string after;          // behind it
  bool has_payload = false;   // bytes moved: the payload stands between the two
  uint64_t payload_size = 0;  // bytes that moved
  Direction direction = Direction::kNone;
  std::string outcome;  // "83", "EAGAIN", "5, 6"; empty: the call has none (exec, notes)
  bool failed = false;  // the outcome is an error that means trouble (not EAGAIN and its like)
  std::string remark;   // "nothing listens there", "waited 249 ms"; empty: nothing to say
};

// unicode: false keeps the text ASCII.
CallText DescribeCall(const EventView& event, bool unicode = true);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CALL_TEXT_H_
