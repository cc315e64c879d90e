// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a conversation: of one transfer, of one side.

#include <algorithm>

#include "base/status_macros.h"
#include "collector/aggregate/socket_type.h"
#include "viewer/model/exchange.h"
#include "viewer/model/timeline.h"

namespace socktale {

absl::StatusOr<std::string> ReadPayload(Trace& trace, const Transfer& transfer, uint64_t from, uint64_t limit) {
  std::string payload;
  for (const Fragment& fragment : transfer.fragments) {
    if (payload.size() >= limit) break;
    if (from >= fragment.size) {
      from -= fragment.size;
      continue;
    }
    RunView run;
    EventView event;
    RETURN_IF_ERROR(trace.ReadEvent(fragment.key, run, event));
    const uint64_t size = std::min(fragment.size - from, limit - payload.size());
    const absl::string_view bytes = event.payload.substr(fragment.begin + from, size);
    payload.append(bytes.data(), bytes.size());
    from = 0;
  }
  return payload;
}

uint64_t MovedUntold(const Connection& connection, bool from_client, uint64_t told) {
  const Endpoint& sender = from_client ? connection.client() : connection.server();
  const Endpoint& receiver = from_client ? connection.server() : connection.client();
  const bool lossy = !IsStreamType(connection.type());  // what was received is then what arrived of it
  const uint64_t moved = lossy && sender.object() != 0 ? sender.sent() : std::max(sender.sent(), receiver.received());
  return moved - std::min(moved, told);
}

absl::Status StreamBytes(Trace& trace, const Connection& connection, bool from_client,
                         const std::function<absl::Status(absl::string_view)>& sink, uint64_t* missing) {
  ASSIGN_OR_RETURN(const Exchange exchange, ReadExchange(trace, connection));
  uint64_t not_kept = 0, told = 0;
  for (const Piece& piece : Direction(exchange, from_client)) {
    for (const Fragment& fragment : piece.fragments) {
      RunView run;
      EventView event;
      RETURN_IF_ERROR(trace.ReadEvent(fragment.key, run, event));
      RETURN_IF_ERROR(sink(event.payload.substr(fragment.begin, fragment.size)));
    }
    not_kept += piece.size - piece.kept;
    told += piece.size;
  }
  if (missing != nullptr) *missing = not_kept + MovedUntold(connection, from_client, told);
  return absl::OkStatus();
}

}  // namespace socktale
