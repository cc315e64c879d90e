// SPDX-License-Identifier: Apache-2.0
//
// A connection as seen from one of its ends, and what is said of it wherever it is shown: how it ended, what to mark.

#ifndef SOCKTALE_VIEWER_CLI_ENDPOINTS_H_
#define SOCKTALE_VIEWER_CLI_ENDPOINTS_H_

#include <cstdint>
#include <string>

#include "proto/trace.pb.h"
#include "viewer/cli/json.h"
#include "viewer/model/trace.h"

namespace socktale {

enum class Mark { kNone, kWarning, kError };

// The near end is the client's where that was recorded, else the server's. Pointers live as long as the Trace.
struct View {
  const Connection* connection = nullptr;
  const Endpoint* near = nullptr;
  const Endpoint* far = nullptr;
  const Process* near_process = nullptr;  // null: not known
  const Process* far_process = nullptr;   // null: that end was not recorded
  bool near_is_client = true;
  bool both_recorded = false;
  bool pair = false;     // a socketpair
  bool guessed = false;  // that these two ends belong together is a guess
  // Nobody closed the near end, and no process that held it is left.
  bool never_closed = false;
  uint64_t abandoned_ns = 0;  // with never_closed: the end of the last process that held it
};

View ViewOf(const Trace& trace, const Connection& connection);

// ns from the start to the last end of both; where it was never closed, until its last process or the trace ended.
uint64_t LifeNs(const Trace& trace, const View& view);

// "closed", "refused", "open" (a process that holds it lives on), "never closed", "failed (EACCES)"; by_whom: "closed
// by client".
std::string EndInWords(const View& view, bool by_whom);
// "closed_by_client", "refused", … as in JSON.
std::string EndName(const View& view);

Mark MarkOf(const View& view);

// "curl[4242]"; its whole command line where it is known and `wide`. "?" for none.
std::string ProcessInWords(const Process* process, bool wide = false);

// "4242/5", "512/23#3", "512#2/7": the descriptor of an end that was recorded.
std::string DescriptorLabel(const Trace& trace, const Endpoint& endpoint);

// "localhost:8080", "/run/db.sock"; "-" when the end has no name.
std::string AddressOfEnd(const View& view, bool near);

// The JSON object of a connection, as in ux: {"type":"conn","id":"c1",…}.
Json ConnectionJson(const Trace& trace, const Connection& connection);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_ENDPOINTS_H_
