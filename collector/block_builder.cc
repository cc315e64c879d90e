// SPDX-License-Identifier: Apache-2.0
#include "collector/block_builder.h"

#include <algorithm>

#include "base/status_macros.h"
#include "proto/trace_file_format.h"

namespace socktale {

absl::Status BlockBuilder::Drain(const Options& options, const std::function<void()>& written,
                                 const std::function<void()>& told) {
  reader_.BeginPass();
  bool more = true;
  while (more) {
    events_.clear();
    images_.clear();
    taken_.clear();
    RunTotals totals;
    more = reader_.TakeInto(events_, kBlockTargetBytes, options.everything, options.now_ns, totals, images_, taken_);
    if (events_.empty()) continue;
    if (writer_.bytes_written() >= options.most_file_bytes)
      return absl::OutOfRangeError("the file is as large as it may be");
    RETURN_IF_ERROR(WriteBlock(totals, options.compress, written));
    told();
  }
  return absl::OkStatus();
}

absl::Status BlockBuilder::WriteBlock(const RunTotals& totals, bool compress, const std::function<void()>& written) {
  EventBlockInfo info;
  info.first_ns = totals.first_ns;
  info.last_ns = totals.last_ns;
  info.event_count = totals.events;
  info.images.assign(images_.begin(), images_.end());
  std::sort(info.images.begin(), info.images.end());
  last_ns_ = std::max(last_ns_, totals.last_ns);
  const uint64_t sequence = writer_.next_sequence();
  RETURN_IF_ERROR(writer_.AppendEvents(events_, info, compress).status());
  // The chunks go back first: writers may be waiting for them, and what follows is about our copy.
  reader_.Written(taken_);
  written();
  absl::string_view rest = events_;
  RunView run;
  for (bool found = true; found;) {
    RETURN_IF_ERROR(NextRun(rest, run, found));
    if (found) sink_(run, sequence);
  }
  return absl::OkStatus();
}

}  // namespace socktale
