// SPDX-License-Identifier: Apache-2.0
//
// The merge: threads are drained one after another into blocks, so neighbouring blocks overlap in time, and an event is
// given out once no later block can hold an earlier one.

#include "viewer/model/event_source.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"

namespace socktale {
namespace {

// Decoded blocks kept: enough for those that overlap in time.
constexpr size_t kKeptBytes = 64 << 20;
constexpr size_t kKeptBlocks = 64;

// Events that wait for their turn, 32 MiB of keys. Honest files come near it only where one call lasted while
// millions of others came and went; a few hundred bytes of a hostile one can hold more, all at the same moment.
constexpr size_t kMostWaiting = 1 << 20;

using ThreadKey = std::tuple<uint32_t, uint32_t, uint32_t, uint64_t>;
ThreadKey KeyOf(const RunView& run) { return {run.image, run.tid, run.level, run.thread_start_ns}; }

}  // namespace

absl::StatusOr<std::shared_ptr<const EventSource::Block>> EventSource::Load(TraceFileReader& file, size_t position) {
  for (auto it = recent_.begin(); it != recent_.end(); ++it) {
    if ((*it)->position != position) continue;
    recent_.splice(recent_.begin(), recent_, it);
    return recent_.front();
  }
  const absl::StatusOr<absl::string_view> payload = file.ReadBlock(position);
  if (absl::IsDataLoss(payload.status())) return nullptr;
  if (!payload.ok()) return payload.status();
  auto block = std::make_shared<Block>();
  block->position = position;
  block->bytes.assign(payload->data(), payload->size());
  absl::string_view rest = block->bytes;
  while (true) {
    RunView run;
    bool found = false;
    if (!NextRun(rest, run, found).ok() || !found) break;  // what came before damage is kept
    if (!run.events.empty()) block->runs.push_back(run);
  }
  recent_bytes_ += block->bytes.size();
  recent_.push_front(block);
  while (recent_.size() > 1 && (recent_bytes_ > kKeptBytes || recent_.size() > kKeptBlocks)) {
    recent_bytes_ -= recent_.back()->bytes.size();
    recent_.pop_back();
  }
  return block;
}

absl::Status EventSource::Read(TraceFileReader& file, const EventKey& key, RunView& run, EventView& event) {
  ASSIGN_OR_RETURN(held_, Load(file, key.block));
  if (held_ == nullptr || key.run >= held_->runs.size() || key.offset > held_->bytes.size()) {
    return absl::DataLossError("an event that was there before cannot be read any more");
  }
  run = held_->runs[key.run];
  return ParseEvent(absl::string_view(held_->bytes).substr(key.offset, key.size), run.base_ns, event);
}

absl::Status EventSource::Visit(TraceFileReader& file, const std::vector<size_t>& positions, const Visitor& visit,
                                bool* stopped) {
  if (stopped != nullptr) *stopped = false;
  // What is earlier than horizon[i] cannot come from positions[i] or behind.
  std::vector<uint64_t> horizon(positions.size() + 1, UINT64_MAX);
  for (size_t i = positions.size(); i-- > 0;) {
    const BlockEntry& entry = file.blocks()[positions[i]];
    horizon[i] = entry.kind() == BLOCK_KIND_EVENTS ? std::min(horizon[i + 1], entry.first_ns()) : horizon[i + 1];
  }
  absl::flat_hash_map<ThreadKey, uint64_t> last_ns;
  // The earliest on top: one call that is blocked from the start may keep everything else waiting.
  const auto later = [](const EventKey& a, const EventKey& b) {
    return std::tie(a.time_ns, a.number) > std::tie(b.time_ns, b.number);
  };
  std::priority_queue<EventKey, std::vector<EventKey>, decltype(later)> waiting(later);
  EventView event;
  // Visits the earliest: those before until_ns, and of others what `most` has no room for. Returns false to stop.
  const auto give_out = [&](uint64_t until_ns, size_t most) -> absl::StatusOr<bool> {
    while (!waiting.empty() && (waiting.top().time_ns < until_ns || until_ns == UINT64_MAX || waiting.size() > most)) {
      const EventKey key = waiting.top();
      waiting.pop();
      RunView run;
      RETURN_IF_ERROR(Read(file, key, run, event));
      if (!visit(key, run, event)) {
        if (stopped != nullptr) *stopped = true;
        return false;
      }
    }
    return true;
  };
  for (size_t i = 0; i < positions.size(); ++i) {
    const BlockEntry& entry = file.blocks()[positions[i]];
    if (entry.kind() != BLOCK_KIND_EVENTS) continue;
    ASSIGN_OR_RETURN(const std::shared_ptr<const Block> block, Load(file, positions[i]));
    if (block != nullptr) {
      uint64_t number = entry.first_event();
      for (uint32_t r = 0; r < block->runs.size(); ++r) {
        const RunView& run = block->runs[r];
        uint64_t& last = last_ns[KeyOf(run)];
        absl::string_view rest = run.events;
        while (true) {
          absl::string_view bytes;
          bool found = false;
          if (!NextEvent(rest, bytes, found).ok() || !found) break;
          const uint64_t mine = number++;
          if (!ParseEvent(bytes, run.base_ns, event).ok()) continue;
          last = event.continuation != 0 ? last : std::max(last, event.start_ns);
          if (waiting.size() >= kMostWaiting) {
            ASSIGN_OR_RETURN(const bool goes_on, give_out(0, kMostWaiting / 2));
            if (!goes_on) return absl::OkStatus();
          }
          waiting.push({last, mine, static_cast<uint32_t>(positions[i]), r,
                        static_cast<uint32_t>(bytes.data() - block->bytes.data()),
                        static_cast<uint32_t>(bytes.size())});
        }
      }
    }
    ASSIGN_OR_RETURN(const bool goes_on, give_out(horizon[i + 1], SIZE_MAX));
    if (!goes_on) return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace socktale
