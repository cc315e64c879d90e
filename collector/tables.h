// SPDX-License-Identifier: Apache-2.0
//
// What the collector adds to the tables of a trace beyond what events tell: drops by cause, and damage.

#ifndef SOCKTALE_COLLECTOR_TABLES_H_
#define SOCKTALE_COLLECTOR_TABLES_H_

#include <cstdint>

#include "preload/abi/arena_abi.h"
#include "proto/trace.pb.h"

namespace socktale {

// Adds a Drop for each cause that the shims counted, and its line of the completeness statement.
void AddDrops(const abi::ArenaHeader& header, Tables& tables);

// Adds the line for chunks whose content made no sense, if there were any.
void AddDamage(uint64_t places, Tables& tables);

// Adds the line for events that a ring gave back, if there are any.
void AddRing(uint64_t given_back, Tables& tables);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_TABLES_H_
