// SPDX-License-Identifier: Apache-2.0
//
// `socktale info`: what a trace is, what it holds, and what it does not.

#ifndef SOCKTALE_VIEWER_CLI_INFO_H_
#define SOCKTALE_VIEWER_CLI_INFO_H_

#include <string_view>

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/output.h"
#include "viewer/model/trace.h"

namespace socktale {

struct InfoOptions {
  bool strict = false;  // --strict: exit 1 when anything is missing
};

int RunInfo(const InfoOptions& options, const CommonOptions& common);

// What RunInfo prints, of a trace that is open. name: what to call the trace.
absl::Status PrintInfo(Trace& trace, std::string_view name, const CommonOptions& common, Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_INFO_H_
