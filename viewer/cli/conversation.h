// SPDX-License-Identifier: Apache-2.0
//
// The two-sided picture of a conversation: one end left, the other right, arrows between them, pauses in words.

#ifndef SOCKTALE_VIEWER_CLI_CONVERSATION_H_
#define SOCKTALE_VIEWER_CLI_CONVERSATION_H_

#include <cstddef>
#include <cstdint>

#include "viewer/cli/common.h"
#include "viewer/cli/endpoints.h"
#include "viewer/cli/output.h"
#include "viewer/cli/payload_text.h"
#include "viewer/model/timeline.h"

namespace socktale {

struct ConversationOptions {
  PayloadForm form = PayloadForm::kAuto;
  size_t max_lines = 0;     // of payload per transfer; 0: all
  bool glance = false;      // lines that do not fit are cut; otherwise they go on in the next line
  bool show_client = true;  // what the client sent
  bool show_server = true;  // what the server sent
};

// Two lines on the whole: who with whom and how it ended; how the time was spent and what moved.
void PrintSummary(const Trace& trace, const Timeline& timeline, const View& view, const CommonOptions& common,
                  Output& output);

// The steps, in order of time, those of [common.from_ns, common.to_ns]. Payload is read from the trace as it is shown;
// errors are those of reading it.
absl::Status PrintSteps(Trace& trace, const Timeline& timeline, const View& view, const ConversationOptions& options,
                        const CommonOptions& common, Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CONVERSATION_H_
