// SPDX-License-Identifier: Apache-2.0
#include "collector/aggregate/file_events.h"

#include <algorithm>
#include <vector>

#include "proto/event_view.h"

namespace socktale {
namespace {

// About half a GB of waiting events. Honest files come near it only where one call lasted while millions of others came
// and went; a few KB of a hostile one can hold 30 times as many, all at the same moment.
constexpr size_t kMostWaiting = 4 << 20;

}  // namespace

absl::Status AggregateBlocks(TraceFileReader& reader, size_t from, size_t to, Aggregator& aggregator, uint64_t& damaged,
                             uint64_t until_ns) {
  aggregator.LimitWaiting(kMostWaiting);
  const std::vector<BlockEntry>& blocks = reader.blocks();
  // What the blocks behind each one begin with at the earliest.
  std::vector<uint64_t> horizon_ns(to - from + 1, UINT64_MAX);
  for (size_t i = to; i-- > from;) {
    const uint64_t behind_ns = horizon_ns[i - from + 1];
    horizon_ns[i - from] =
        blocks[i].kind() == BLOCK_KIND_EVENTS ? std::min(behind_ns, blocks[i].first_ns()) : behind_ns;
  }
  uint64_t last_ns = 0;
  for (size_t i = from; i < to; ++i) {
    if (blocks[i].kind() != BLOCK_KIND_EVENTS) continue;
    last_ns = std::max(last_ns, blocks[i].last_ns());
    const absl::StatusOr<absl::string_view> payload = reader.ReadBlock(i);
    if (absl::IsDataLoss(payload.status())) {
      ++damaged;
      continue;
    }
    if (!payload.ok()) return payload.status();
    absl::string_view rest = *payload;
    RunView run;
    for (bool found = true; found;) {
      // What does not parse is damage: what came before it counts.
      if (!NextRun(rest, run, found).ok()) ++damaged, found = false;
      if (found && !aggregator.Add(run, reader.sequence(i), blocks[i].last_ns()).ok()) ++damaged;
    }
    if (horizon_ns[i - from + 1] != UINT64_MAX) aggregator.Advance(std::min(until_ns, horizon_ns[i - from + 1]));
  }
  aggregator.Advance(std::min(until_ns, last_ns == UINT64_MAX ? last_ns : last_ns + 1));
  return absl::OkStatus();
}

}  // namespace socktale
