// SPDX-License-Identifier: Apache-2.0
#include "collector/tables.h"

#include <algorithm>

namespace socktale {
namespace {

// Rows of proto/stats.def, by DropCause.
constexpr const char* kDropKinds[] = {"dropped_full",    "dropped_nested", "dropped_too_big", "dropped_unattached",
                                      "dropped_no_slot", "dropped_shared", "dropped_confined"};
static_assert(std::size(kDropKinds) == abi::kDropConfined + 1);

void AddMissing(const char* kind, uint64_t count, const char* detail, Tables& tables) {
  Missing& missing = *tables.add_missing();
  missing.set_kind(kind);
  missing.set_count(count);
  missing.set_detail(detail);
}

}  // namespace

void AddDrops(const abi::ArenaHeader& header, Tables& tables) {
  for (uint32_t cause = 0; cause < std::size(kDropKinds); ++cause) {
    const uint64_t events = header.drops[cause].load(std::memory_order_acquire);
    if (events == 0) continue;
    Drop& drop = *tables.add_drop();
    drop.set_cause(cause);
    drop.set_events(events);
    drop.set_bytes(header.dropped_bytes[cause].load(std::memory_order_acquire));
    AddMissing(kDropKinds[cause], events, "", tables);
  }
}

void AddDamage(uint64_t places, Tables& tables) {
  if (places > 0) AddMissing("damaged", places, "pieces of shared memory that made no sense", tables);
}

void AddRing(uint64_t given_back, Tables& tables) {
  if (given_back > 0) AddMissing("ring", given_back, "", tables);
}

}  // namespace socktale
