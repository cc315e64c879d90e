// SPDX-License-Identifier: Apache-2.0
//
// What a call means to the one who made it: which way its bytes go, what its errors say.

#ifndef SOCKTALE_VIEWER_CLI_CALL_MEANING_H_
#define SOCKTALE_VIEWER_CLI_CALL_MEANING_H_

#include <cstdint>
#include <string>

#include "proto/event.pb.h"

namespace socktale {

enum class Direction { kNone, kLeaves, kEnters };  // the process that made the call

// Where the bytes of such a call go; kNone for calls that move none.
Direction DirectionOf(Call call);

// What an error of this call means to the one who made it: "nothing listens there"; the system's own words where we
// have none better.
std::string ErrorInWords(Call call, uint32_t error);

// The call failed only for now: EAGAIN, EINPROGRESS and their like.
bool IsNotYet(uint32_t error);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CALL_MEANING_H_
