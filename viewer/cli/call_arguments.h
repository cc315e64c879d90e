// SPDX-License-Identifier: Apache-2.0
//
// What stands between the parentheses of a call: its decoded arguments, in the order in which C has them.

#ifndef SOCKTALE_VIEWER_CLI_CALL_ARGUMENTS_H_
#define SOCKTALE_VIEWER_CLI_CALL_ARGUMENTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "proto/event_view.h"

namespace socktale {

// Of a list (arguments of a program, descriptors waited for), so many are shown.
inline constexpr size_t kListItems = 6;

// The arguments of a call that moves no payload, and of one that moves it between two descriptors; "" for none. What
// the recording does not hold is left out. unicode: false keeps the text ASCII.
std::string ArgumentsOf(const EventView& event, bool unicode);

// The same for calls that make, end or watch descriptors under other names than open, close and poll, and those of
// processes and names: ArgumentsOf asks here (newer_arguments.cc).
std::string NewerArgumentsOf(const EventView& event, bool unicode);

// "SOCK_STREAM|SOCK_CLOEXEC" → "STREAM|CLOEXEC": inside an argument list the place says what is meant.
std::string Short(const std::string& names, const char* prefix);

std::string Quoted(absl::string_view text, bool unicode);

// Joins what there is; of a long list the beginning, then how many more there are. total: items there are.
std::string JoinItems(std::vector<std::string> items, size_t total);

// The words of a program's command line, as for a shell; of many or long ones the beginning.
std::string ProgramWords(const EventView& event);

// "3 IN, 5 IN|OUT". asked: what was waited for, else what came. epoll's and poll's bits have the same values where both
// exist.
std::string PolledList(const EventView& event, bool asked, bool is_epoll);

// "1 s", "for ever".
std::string TimeoutInWords(int64_t timeout_ns, bool unicode);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CALL_ARGUMENTS_H_
