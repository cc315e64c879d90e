// SPDX-License-Identifier: Apache-2.0
#include "collector/aggregate/missing_rows.h"

#include "absl/container/flat_hash_map.h"

namespace socktale {
namespace {

// Whether events do not tell rows of this kind.
bool OnlyTheRecorderKnows(const Missing& missing) {
  for (const char* kind :
       {"implicit_close", "left_out", "many_peers", "payload_cut", "payload_broken_off", "payload_not_seen",
        "one_ended", "guessed_join", "not_attached", "past_recorder", "left_call", "cut_off"}) {
    if (missing.kind() == kind) return false;
  }
  return true;
}

// Interim number of each process → its number in `tables`, 0: it is not there.
absl::flat_hash_map<uint32_t, uint32_t> SameProcesses(const Tables& interim, const Tables& tables) {
  absl::flat_hash_map<uint32_t, uint32_t> of_image;
  for (const Process& process : tables.process()) {
    for (const Image& image : process.image()) {
      if (image.number() != 0) of_image.try_emplace(image.number(), process.id());
    }
  }
  absl::flat_hash_map<uint32_t, uint32_t> same;
  for (const Process& process : interim.process()) {
    uint32_t& id = same[process.id()];
    for (const Image& image : process.image()) {
      const auto found = of_image.find(image.number());
      if (id == 0 && found != of_image.end()) id = found->second;
    }
  }
  return same;
}

}  // namespace

MissingRows::MissingRows(Tables& tables) : tables_(tables) {
  for (const Missing& row : tables.missing()) rows_.emplace(row.kind(), row.process(), row.detail());
}

void MissingRows::Add(const Missing& row) {
  if (rows_.emplace(row.kind(), row.process(), row.detail()).second) *tables_.add_missing() = row;
}

void MissingRows::AddFromInterim(const Tables& interim) {
  const absl::flat_hash_map<uint32_t, uint32_t> same = SameProcesses(interim, tables_);
  for (const Missing& missing : interim.missing()) {
    if (!OnlyTheRecorderKnows(missing)) continue;
    Missing row = missing;
    if (const auto process = same.find(row.process()); process != same.end()) row.set_process(process->second);
    Add(row);
  }
}

}  // namespace socktale
