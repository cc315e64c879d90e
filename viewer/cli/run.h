// SPDX-License-Identifier: Apache-2.0
//
// `socktale run [options] [--] CMD [ARG…]`: records a program and everything it starts.

#ifndef SOCKTALE_VIEWER_CLI_RUN_H_
#define SOCKTALE_VIEWER_CLI_RUN_H_

#include <string>
#include <vector>

#include "viewer/cli/common.h"
#include "viewer/cli/recording.h"

namespace socktale {

struct RunOptions {
  RecordingOptions recording;
  std::vector<std::string> command;  // CMD and its arguments; not empty
  bool live = false;                 // -l, --live[=FILE]: print events as they happen
  std::string live_file;             // FILE; empty: stderr
  std::string keep = "always";       // --keep always|fail: with fail, drop the trace if CMD exits 0
  bool force = false;                // --force: run CMD even if it cannot be recorded
  bool strict = false;               // --strict: 125 when anything is missing from the trace
  std::string into;                  // --into NAME: record into a running `collect`
};

// The exit statuses of `run` that are not CMD's own.
inline constexpr int kExitOurFailure = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

// Returns CMD's exit status, or one of those above; does not return when a signal killed CMD: dies by the same one.
// Honours -o and -q of `common`.
int RunRun(const RunOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_RUN_H_
