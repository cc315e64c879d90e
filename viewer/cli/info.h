// SPDX-License-Identifier: Apache-2.0
//
// `socktale info`: what a trace is, what it holds, and what it does not.

#ifndef SOCKTALE_VIEWER_CLI_INFO_H_
#define SOCKTALE_VIEWER_CLI_INFO_H_

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/library.h"
#include "viewer/cli/output.h"

namespace socktale {

struct InfoOptions {
  bool strict = false;  // --strict: exit 1 when anything is missing
  bool verify = false;  // --verify: read and check every block, however large the file
};

int RunInfo(const InfoOptions& options, const CommonOptions& common);

// What RunInfo prints. complete: whether nothing is missing; and the whole file can be read, where every block was.
absl::Status PrintInfo(const NamedTrace& named, const InfoOptions& options, const CommonOptions& common, Output& output,
                       bool& complete);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_INFO_H_
