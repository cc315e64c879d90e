// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/event_counts.h"

#include <utility>

#include "base/status_macros.h"
#include "collector/aggregate/pending.h"
#include "proto/call_families.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"
#include "viewer/cli/completeness.h"

namespace socktale {
namespace {

void Count(const EventView& event, EventCounts& counts) {
  ++counts.events;
  // Elsewhere the payload is an option's value.
  const bool moves = IsTransfer(event.call) || IsCopy(event.call);
  const bool peek = (event.notes & EVENT_NOTE_PEEK) != 0;
  if (moves && !peek) counts.kept_bytes += event.payload.size();
  if (event.continuation > 0) return;
  CallCount& count = counts.by_call[event.call];
  ++count.calls;
  count.failed += event.error != 0;
  if (!moves || peek) return;
  const uint64_t bytes = MovedBytes(event);
  count.bytes += bytes;
  counts.moved_bytes += bytes;
}

absl::Status CountBlock(absl::string_view payload, EventCounts& counts) {
  EventView event;
  while (true) {
    RunView run;
    bool found = false;
    RETURN_IF_ERROR(NextRun(payload, run, found));
    if (!found) return absl::OkStatus();
    while (true) {
      absl::string_view bytes;
      RETURN_IF_ERROR(NextEvent(run.events, bytes, found));
      if (!found) break;
      RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event));
      Count(event, counts);
    }
  }
}

}  // namespace

std::optional<EventCounts> CountsInTables(const Trace& trace) {
  const Tables& tables = trace.tables();
  // A ring's tables tell also of what it gave back.
  if (!tables.sealed() || trace.file().given_back() > 0 || (tables.call().empty() && tables.event_count() > 0)) {
    return std::nullopt;
  }
  EventCounts counts;
  counts.events = tables.event_count();
  for (const CallTotals& totals : tables.call()) {
    counts.by_call[totals.call()] = {totals.calls(), totals.failed(), totals.bytes()};
    counts.moved_bytes += totals.bytes();
    counts.kept_bytes += totals.kept();
  }
  return counts;
}

absl::StatusOr<EventCounts> CountEventsOf(const std::string& path) {
  ASSIGN_OR_RETURN(TraceFileReader file, TraceFileReader::Open(path));
  EventCounts counts;
  for (size_t position = 0; position < file.blocks().size(); ++position) {
    const absl::StatusOr<absl::string_view> payload = file.ReadBlock(position);
    if (!payload.ok()) {
      // What is damaged is listed by the reader; anything else ends the count.
      if (!absl::IsDataLoss(payload.status())) return payload.status();
      continue;
    }
    if (file.blocks()[position].kind() != BLOCK_KIND_EVENTS) continue;
    if (const absl::Status status = CountBlock(*payload, counts); !status.ok()) {
      counts.unreadable.emplace_back(status.message());
    }
  }
  for (std::string& line : DamageInWords(file)) counts.unreadable.push_back(std::move(line));
  return counts;
}

}  // namespace socktale
