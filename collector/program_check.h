// SPDX-License-Identifier: Apache-2.0
//
// Can a program be recorded, and if not, why: looks at the file, never runs it.

#ifndef SOCKTALE_COLLECTOR_PROGRAM_CHECK_H_
#define SOCKTALE_COLLECTOR_PROGRAM_CHECK_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace socktale {

enum class ProgramVerdict {
  kRecordable,
  kStatic,           // nothing can be preloaded into it
  kGo,               // calls the kernel without the C library
  kGainsPrivileges,  // setuid, setgid or file capabilities: preloading is ignored
  kOtherLibc,        // dynamically linked, but not by glibc's loader
  kOtherMachine,     // another word size or processor than the shim's
  kNotFound,
  kIsDirectory,
  kNoPermission,    // found, but may not be executed
  kBadInterpreter,  // a script or program whose interpreter or loader is missing
  kUnreadable,      // executable, but may not be read: not known
};

struct ProgramCheck {
  ProgramVerdict verdict = ProgramVerdict::kRecordable;
  std::string path;     // the file that would be executed; empty: not found
  std::string decider;  // the file that decides: `path`, or its interpreter where that is a script
  std::string message;  // what is in the way and why, one sentence; empty when recordable
  std::string way_out;  // what to do instead; may be empty

  bool asan = false;  // built with gcc's AddressSanitizer, which refuses to start behind a preloaded library

  // What the program's environment needs beside the session's settings, which are given by Session::Environment; of
  // the form NAME=VALUE, made from our own environment. Empty: nothing.
  std::vector<std::string> Settings() const;
  bool recordable() const { return verdict == ProgramVerdict::kRecordable || verdict == ProgramVerdict::kUnreadable; }
  // Exit status of `run` when CMD cannot even be started: 126 or 127. 0: it can.
  int start_status() const;
  // Name of the row of proto/stats.def for a program that ran unrecorded.
  const char* missing_kind() const;
};

// The value of PATH; without one, what execvp then looks through.
std::string SearchPath();

// Finds `command` as execvp does (a name with a slash is a path, others are looked for in path_variable, the value of
// PATH) and looks at what it finds.
ProgramCheck CheckProgram(const std::string& command, const std::string& path_variable);

// Looks at a file. shown: what to call it in messages.
ProgramCheck CheckProgramFile(const std::string& path, const std::string& shown);

// The program among PATH's commands whose name is nearest to `command`, when it is near enough; else empty.
std::string NearestCommand(const std::string& command, const std::string& path_variable);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_PROGRAM_CHECK_H_
