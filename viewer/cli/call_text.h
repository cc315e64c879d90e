// SPDX-License-Identifier: Apache-2.0
//
// One recorded call in words: its decoded arguments, what came of it, and what that means.

#ifndef SOCKTALE_VIEWER_CLI_CALL_TEXT_H_
#define SOCKTALE_VIEWER_CLI_CALL_TEXT_H_

#include <cstdint>
#include <string>

#include "proto/event_view.h"

namespace socktale {

enum class Direction { kNone, kLeaves, kEnters };  // the process that made the call

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

// What an error of this call means to the one who made it: "nothing listens there"; the system's own words where we
// have none better.
std::string ErrorInWords(Call call, uint32_t error);

// The call failed only for now: EAGAIN, EINPROGRESS and their like.
bool IsNotYet(uint32_t error);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CALL_TEXT_H_
