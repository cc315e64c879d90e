// SPDX-License-Identifier: Apache-2.0
//
// `socktale ls`: the traces of the library, newest first.

#ifndef SOCKTALE_VIEWER_CLI_LS_H_
#define SOCKTALE_VIEWER_CLI_LS_H_

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/output.h"

namespace socktale {

struct LsOptions {};

// common.limit: 0 shows the newest 20 on a terminal, all elsewhere.
int RunLs(const LsOptions& options, const CommonOptions& common);

absl::Status PrintLs(const CommonOptions& common, Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_LS_H_
