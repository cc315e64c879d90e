// SPDX-License-Identifier: Apache-2.0
//
// How a connection's life was spent.

#ifndef SOCKTALE_VIEWER_MODEL_PHASES_H_
#define SOCKTALE_VIEWER_MODEL_PHASES_H_

#include <cstdint>
#include <vector>

#include "viewer/model/exchange.h"
#include "viewer/model/timeline.h"

namespace socktale {

// Time within [from_ns, until_ns) in which an end asked. asked: by start; stretches may overlap.
uint64_t TimeAsked(const std::vector<Asked>& asked, uint64_t from_ns, uint64_t until_ns);

// Told from the client's end, from the server's where the client was not recorded. connect + send + wait + recv + idle
// are the connection's life, from the end's start to the connection's end (its last call where it has none).
Phases MakePhases(const Exchange& exchange);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_PHASES_H_
