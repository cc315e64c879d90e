// SPDX-License-Identifier: Apache-2.0
//
// `socktale show`: the events of a trace as text, one call a line, like strace.

#ifndef SOCKTALE_VIEWER_CLI_SHOW_H_
#define SOCKTALE_VIEWER_CLI_SHOW_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/output.h"
#include "viewer/model/trace.h"

namespace socktale {

struct ShowOptions {
  std::optional<size_t> payload_bytes;  // -s: bytes of payload shown. Absent: 32 as text, all in JSON
  bool hex = false;                     // -x: payload as hexadecimal
  bool live = false;                    // -l: keep reading while the trace grows, until it is sealed
};

int RunShow(const ShowOptions& options, const CommonOptions& common);

// What RunShow prints, of a trace that is open. Calls come in the order in which they returned.
absl::Status PrintShow(Trace& trace, const ShowOptions& options, const CommonOptions& common, Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_SHOW_H_
