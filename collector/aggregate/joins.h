// SPDX-License-Identifier: Apache-2.0
//
// Which two flows are the ends of one connection.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_JOINS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_JOINS_H_

#include <cstdint>
#include <vector>

#include "collector/aggregate/meanwhile.h"
#include "collector/aggregate/state.h"
#include "proto/trace.pb.h"

namespace socktale {

// One connection by its ends: indexes of World::flows, 0 where the end was not recorded. At least one is there.
struct Joined {
  uint32_t client = 0;  // socketpair: the half that came first
  uint32_t server = 0;
  JoinKind kind = JOIN_KIND_ONE_END;
};

// Every flow that is worth telling, in exactly one element, in order of start. Left out are datagram sockets' talks in
// which nothing moved, and socketpairs within one process over which nothing came.
// meanwhile: worked off now and then.
std::vector<Joined> JoinFlows(const World& world, Meanwhile& meanwhile);

// The local address of a flow; as its object learnt it later where the flow itself has none.
const std::string& LocalAddress(const World& world, const FlowState& flow);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_JOINS_H_
