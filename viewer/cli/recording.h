// SPDX-License-Identifier: Apache-2.0
//
// What `run` and `collect` share: the options of a recording, the session they make of them, and the closing lines.

#ifndef SOCKTALE_VIEWER_CLI_RECORDING_H_
#define SOCKTALE_VIEWER_CLI_RECORDING_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/session.h"
#include "viewer/cli/common.h"

namespace socktale {

// The recording options, as typed. `-o` is CommonOptions::output.
struct RecordingOptions {
  std::string payload = "64M";   // --payload none|SIZE|full: bytes kept per descriptor and direction
  std::string io = "sockets";    // --io sockets,pipes,files,all: whose reads and writes are kept
  std::string on_full = "wait";  // --on-full wait|drop
  std::string max = "";          // --max SIZE: recording stops when the trace has it; empty: never
  std::string ring = "";         // --ring SIZE: the last SIZE is kept; empty: everything
  std::string arena = "1G";      // --arena SIZE: most shared memory that may be used
};

// Makes the session's options of what was typed: finds the shim and the trace's path. command: empty for `collect`.
// kInvalidArgument: an option makes no sense; kNotFound: the shim is not where it should be.
absl::StatusOr<SessionOptions> MakeSessionOptions(const RecordingOptions& recording, const CommonOptions& common,
                                                  const std::vector<std::string>& command);

// Creates the session; a trace's name taken by another recorder in the meantime is replaced by the next free one.
absl::StatusOr<std::unique_ptr<Session>> StartSession(const RecordingOptions& recording, const CommonOptions& common,
                                                      const std::vector<std::string>& command);

// The closing lines, each without "socktale: ": counts and name, what went wrong or is missing, what to do next.
// command: what was recorded, as it was given ("/usr/bin/curl", called "curl"); empty for `collect`.
std::vector<std::string> ClosingLines(const SessionSummary& summary, const std::string& command);

// What it means that traces hold what programs sent: to be said once to each user, with the first trace that does; else
// empty. summary: of a trace that is kept.
std::string ContentNotice(const SessionSummary& summary, const RecordingOptions& recording);

// Whether --strict has something to complain about: events dropped, a process not recorded, recording stopped.
bool IsIncomplete(const SessionSummary& summary);

// Writes what a ring holds so far to a trace of its own, and says so.
void DumpAndTell(Session& session, const CommonOptions& common);

// Salvages what killed recorders left behind and says so on stderr, one line for each trace.
void RecoverAndTell(const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_RECORDING_H_
