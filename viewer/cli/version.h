// SPDX-License-Identifier: Apache-2.0
//
// `socktale version`: the program, the shim it would use, and the formats it knows.

#ifndef SOCKTALE_VIEWER_CLI_VERSION_H_
#define SOCKTALE_VIEWER_CLI_VERSION_H_

#include "viewer/cli/common.h"

namespace socktale {

struct VersionOptions {};

int RunVersion(const VersionOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_VERSION_H_
