// SPDX-License-Identifier: Apache-2.0
//
// `socktale demo`: records a bundled client, server and leak, and walks through what the trace tells.

#ifndef SOCKTALE_VIEWER_CLI_DEMO_H_
#define SOCKTALE_VIEWER_CLI_DEMO_H_

#include "viewer/cli/common.h"

namespace socktale {

struct DemoOptions {};

int RunDemo(const DemoOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_DEMO_H_
