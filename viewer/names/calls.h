// SPDX-License-Identifier: Apache-2.0
//
// What a call, a kind of descriptor, an error and a signal are called.

#ifndef SOCKTALE_VIEWER_NAMES_CALLS_H_
#define SOCKTALE_VIEWER_NAMES_CALLS_H_

#include <cstdint>
#include <string>

#include "proto/event.pb.h"

namespace socktale {

// The function as programs call it, "recv", "_exit"; the shim's own notes as words, "attached", "found"; "call 250" for
// one that this version does not know.
std::string CallName(Call call);

// "socket", "file", "directory", "pipe", "char device", "epoll", …; "unknown".
std::string KindName(DescriptorKind kind);

// "ECONNREFUSED"; "errno 4095" for one without a name.
std::string ErrnoName(uint32_t error);

// "SIGSEGV", "SIGRTMIN+3"; "signal 99" for one without a name.
std::string SignalName(uint32_t signal);

// Why events were dropped, by DropCause of preload/abi/arena_abi.h: "full", "nested", …; "cause 9".
std::string DropCauseName(uint32_t cause);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_CALLS_H_
