// SPDX-License-Identifier: Apache-2.0
//
// One connection's conversation: what each end did, transfers joined across the wire, and the pauses between, with
// who waited for whom.

#ifndef SOCKTALE_VIEWER_MODEL_TIMELINE_H_
#define SOCKTALE_VIEWER_MODEL_TIMELINE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "viewer/model/trace.h"

namespace socktale {

// A run of stream bytes (or one datagram) that went one way: what one end sent and, where both ends were recorded,
// when the other received it.
struct Transfer {
  bool from_client = false;
  uint64_t offset = 0;              // of its first byte in this direction's stream
  uint64_t size = 0;                // bytes
  uint64_t kept = 0;                // bytes of it that the trace holds, from its start; fewer than size where cut
  std::vector<Fragment> fragments;  // where they stand, in order: see ReadPayload
  uint64_t sent_ns = 0;             // return of the first send in it; 0 with !sender_recorded
  uint64_t send_end_ns = 0;         // return of the last send in it
  uint64_t received_ns = 0;         // return of the receive that brought its first byte; 0 with !receiver_recorded
  uint64_t receive_end_ns = 0;      // return of the receive that brought its last byte
  uint64_t received_size = 0;       // bytes of it that the other end was seen to receive; `size` with !sender_recorded
  uint64_t first_event = 0;         // numbers (eN) of the calls
  uint64_t last_event = 0;
  uint32_t sends = 0;     // calls that sent it
  uint32_t receives = 0;  // calls that received it
  bool sender_recorded = false;
  bool receiver_recorded = false;
  bool read_back = false;  // some of it was read back from sendfile's source
  bool not_seen = false;   // some of it moved inside the kernel
};

enum class StepKind { kConnect, kTransfer, kPause, kShutdown, kClose, kError, kGap };

enum class PauseCause {
  kUnknown,
  kClientWorking,   // both ends recorded: the server waits for the client
  kServerWorking,   // both ends recorded: the client waits for the server
  kWaitingForPeer,  // one end recorded: it asked and nothing came
  kNotReading,      // data was there or may have been, and this end did not ask
  kIdle,            // nobody asked
};

// One line of the conversation, in order of time.
struct Step {
  StepKind kind = StepKind::kTransfer;
  uint64_t at_ns = 0;        // ns since the trace began
  uint64_t duration_ns = 0;  // connect: until established; pause: its length; transfer: time on the way where known
  bool from_client = false;  // who did it
  size_t transfer = 0;       // index in Timeline::transfers
  PauseCause pause = PauseCause::kUnknown;
  uint32_t error = 0;
  Call call = CALL_UNKNOWN;   // error: the call that failed
  bool given_back = false;    // gap: a ring kept no more of it; else it could not be read
  bool end_received = false;  // shutdown, close: a receive of the other end returned the end of the stream
  // Pause: events that the trace dropped, so that nobody knows whether this was one. 0: none that may belong here.
  uint64_t dropped = 0;
  uint64_t event = 0;  // eN
};

// How a connection's life was spent, ns. Zero where not known.
struct Phases {
  uint64_t resolve_ns = 0;
  uint64_t connect_ns = 0;
  uint64_t send_ns = 0;
  uint64_t wait_ns = 0;
  uint64_t wait_network_ns = 0;  // with both ends recorded: part of wait spent on the way
  uint64_t wait_peer_ns = 0;     // … and in the peer
  uint64_t recv_ns = 0;
  uint64_t idle_ns = 0;
};

struct Timeline {
  const Connection* connection = nullptr;
  std::vector<Transfer> transfers;
  std::vector<Step> steps;
  Phases phases;
  // Events that the trace dropped, nobody knows when, where some of them may have been made by a process that held this
  // connection; 0: none were.
  uint64_t dropped = 0;
};

// Builds a connection's timeline. merge_ns: sends of one end in one direction with nothing else between and no more
// than this apart become one transfer. pause_ns: shorter quiet stretches are not told.
absl::StatusOr<Timeline> BuildTimeline(Trace& trace, const Connection& connection, uint64_t merge_ns,
                                       uint64_t pause_ns);

// Reads bytes [from, from + limit) of what the trace holds of a transfer, or as many of them as there are.
absl::StatusOr<std::string> ReadPayload(Trace& trace, const Transfer& transfer, uint64_t from = 0,
                                        uint64_t limit = UINT64_MAX);

// Streams one side's bytes in stream order to `sink`: what the client (from_client) or the server sent. Taken from the
// sender's own calls where it was recorded, else from what the other end received. Never holds more than one event.
// missing: bytes that moved but were not kept, or whose calls could not be read (their place in the stream is left
// out).
absl::Status StreamBytes(Trace& trace, const Connection& connection, bool from_client,
                         const std::function<absl::Status(absl::string_view)>& sink, uint64_t* missing);

// Bytes that the tables say moved one way, beyond those that its calls told of: the calls stood where the file is
// damaged. told: the sum of the sizes that the calls gave.
uint64_t MovedUntold(const Connection& connection, bool from_client, uint64_t told);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_TIMELINE_H_
