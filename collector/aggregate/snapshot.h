// SPDX-License-Identifier: Apache-2.0
//
// The state machine's state as the tables of a trace.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_SNAPSHOT_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_SNAPSHOT_H_

#include <cstdint>
#include <vector>

#include "collector/aggregate/joins.h"
#include "collector/aggregate/meanwhile.h"
#include "collector/aggregate/state.h"
#include "proto/trace.pb.h"

namespace socktale {

// Tables of `world`; connection n of the result is element n - 1 of `joined`. meanwhile: worked off now and then.
Tables MakeTables(const World& world, const std::vector<Joined>& joined, uint64_t end_ns, Meanwhile& meanwhile);

// The completeness statement: what the trace does not hold, per process.
void AddMissing(const World& world, Tables& tables);

// For each connection of `joined` the blocks with its events, sorted.
std::vector<ConnectionBlocks> MakeConnectionBlocks(const World& world, const std::vector<Joined>& joined);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_SNAPSHOT_H_
