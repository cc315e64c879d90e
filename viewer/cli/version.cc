// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/version.h"

#include <limits.h>

#include "proto/trace_file_format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/output.h"

namespace socktale {

int RunVersion(const VersionOptions&, const CommonOptions& common) {
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  if (common.json) {
    WriteJson(
        **output,
        {{"type", "version"}, {"version", SOCKTALE_VERSION}, {"schema", "socktale/1"}, {"trace_format", kTraceFormat}});
  } else {
    (*output)->Line("socktale " SOCKTALE_VERSION);
    (*output)->Line("trace format " + std::to_string(kTraceFormat) + ", JSON schema socktale/1");
  }
  const absl::Status closed = (*output)->Close();
  return closed.ok() ? kExitDone : Trouble(closed);
}

}  // namespace socktale
