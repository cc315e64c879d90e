// SPDX-License-Identifier: Apache-2.0
//
// `socktale fds`: the descriptors of processes, what they name and where the other end is.

#ifndef SOCKTALE_VIEWER_CLI_FDS_H_
#define SOCKTALE_VIEWER_CLI_FDS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/output.h"
#include "viewer/model/trace.h"

namespace socktale {

struct FdsOptions {
  std::string process;     // PID or NAME ("httpd", "4100", "api[512#2]"). Empty: all, the interesting ones first
  std::string at = "end";  // --at: a time, "peak" (most descriptors open) or "end"
};

int RunFds(const FdsOptions& options, const CommonOptions& common);

// What RunFds prints, of a trace that is open. name: what to call the trace. kNotFound: no such process.
absl::Status PrintFds(const Trace& trace, std::string_view name, const FdsOptions& options, const CommonOptions& common,
                      Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_FDS_H_
