// SPDX-License-Identifier: Apache-2.0
//
// `socktale collect`: gathers programs that are started separately (two terminals, a service, a container) in one
// trace.

#ifndef SOCKTALE_VIEWER_CLI_COLLECT_H_
#define SOCKTALE_VIEWER_CLI_COLLECT_H_

#include <string>

#include "viewer/cli/common.h"
#include "viewer/cli/recording.h"

namespace socktale {

struct CollectOptions {
  RecordingOptions recording;
  std::string name;  // --name NAME, for `--into NAME`; empty: "collect", or "collect-2" … while that is running
};

// Runs until SIGINT, SIGTERM or SIGHUP. Honours -o and -q of `common`. Exit status 0, or 2.
int RunCollect(const CollectOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_COLLECT_H_
