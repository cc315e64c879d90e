// SPDX-License-Identifier: Apache-2.0
//
// An event as a JSON object of type "event": every field that it has, under the names of proto/event.proto where ux.md
// has no shorter one.

#ifndef SOCKTALE_VIEWER_CLI_EVENT_JSON_H_
#define SOCKTALE_VIEWER_CLI_EVENT_JSON_H_

#include "viewer/cli/json.h"
#include "viewer/model/trace.h"

namespace socktale {

// {"type":"event","id":"e20931","t_ns":…,"dur_ns":…,"pid":…,"process":…,"tid":…,"call":"recv","fd":"4242/5",
//  "conn":"c1","ret":151, …}. t_ns is the entry time. Without the payload, which may go on in other events: AddPayload.
Json EventJson(const TracedEvent& event);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_EVENT_JSON_H_
