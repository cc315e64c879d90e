// SPDX-License-Identifier: Apache-2.0
//
// A view of one encoded Event or Run: plain fields, and string_views into the encoded bytes. For scanning: no
// allocation for the common event, several times faster than a parsed message. Accepts hostile bytes.

#ifndef SOCKTALE_PROTO_EVENT_VIEW_H_
#define SOCKTALE_PROTO_EVENT_VIEW_H_

#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/event.pb.h"

namespace socktale {

// The fields that occur at most once, numbers 1 to 15. Apart from the others, so that one assignment clears them.
struct EventHotFields {
  Call call = CALL_UNKNOWN;
  int32_t fd = 0;
  uint64_t start_ns = 0;  // ns since the trace began: Run.base_ns is already added
  uint64_t duration_ns = 0;
  int64_t result = 0;
  uint32_t error = 0;
  absl::string_view payload;
  uint64_t payload_size = 0;  // payload.size() when the event did not say
  uint64_t size = 0;
  uint32_t flags = 0;
  absl::string_view address;
  uint32_t notes = 0;
  uint64_t continuation = 0;
  int32_t new_fd = 0;
  uint64_t socket_id = 0;
};

// And those from 16 on.
struct EventColdFields {
  uint64_t inode = 0;
  absl::string_view local_address;
  uint32_t domain = 0;
  uint32_t type = 0;
  uint32_t protocol = 0;
  uint32_t level = 0;
  uint32_t option = 0;
  absl::string_view path;
  int64_t timeout_ns = 0;
  uint32_t pid = 0;
  absl::string_view host;
  absl::string_view service;
  DescriptorKind kind = DESCRIPTOR_KIND_UNKNOWN;
  AttachReason reason = ATTACH_REASON_UNKNOWN;
  uint32_t parent_pid = 0;
  uint32_t peer_pid = 0;
  absl::string_view peer_address;
  uint64_t offset = 0;
  absl::string_view cwd;
  uint64_t network_namespace = 0;
  uint64_t pid_namespace = 0;
  uint32_t parent_process = 0;
  uint64_t limit = 0;
  uint32_t rtt_us = 0;
  uint32_t retransmits = 0;
  uint32_t user = 0;
  absl::string_view name;
  bool listening = false;
  bool close_on_exec = false;
  uint32_t status_flags = 0;
  uint64_t new_socket_id = 0;
};

// Fields have the names, units and meaning of proto/event.proto. Every view points into the bytes given to Parse.
struct EventView : EventHotFields, EventColdFields {
  absl::InlinedVector<int32_t, 4> passed;
  absl::InlinedVector<absl::string_view, 1> datagrams;  // encoded Datagram messages
  absl::InlinedVector<absl::string_view, 4> polled;     // encoded Polled messages
  absl::InlinedVector<absl::string_view, 1> answers;    // struct sockaddr
  absl::InlinedVector<absl::string_view, 1> argv;

  // ParseEvent's own: a field from 16 on was set, and has to be cleared. Most events have none.
  bool has_cold = false;

  uint64_t end_ns() const { return start_ns + duration_ns; }  // return time
};

struct PolledView {
  int32_t fd = 0;
  uint32_t events = 0;
  uint32_t revents = 0;
};

struct DatagramView {
  uint64_t size = 0;
  absl::string_view address;
};

// Parses an encoded Event. base_ns: Run.base_ns, added to start_ns. kDataLoss when the bytes are no Event; `event` is
// then undefined. Reuses `event`'s vectors.
absl::Status ParseEvent(absl::string_view bytes, uint64_t base_ns, EventView& event);
absl::Status ParsePolled(absl::string_view bytes, PolledView& polled);
absl::Status ParseDatagram(absl::string_view bytes, DatagramView& datagram);

// A Run without its events.
struct RunView {
  uint32_t image = 0;
  uint64_t base_ns = 0;
  uint32_t tid = 0;
  uint32_t level = 0;
  uint64_t chunk_sequence = 0;
  uint32_t chunk_offset = 0;
  uint64_t thread_start_ns = 0;
  absl::string_view events;  // the encoded Run, to be walked with NextEvent
};

// Takes the next Run off an encoded Events message. rest: advanced behind it. Returns false at the end; kDataLoss when
// the bytes are no Run.
absl::Status NextRun(absl::string_view& rest, RunView& run, bool& found);

// Takes the next Event's bytes off run.events (skipping the Run's other fields). Same rules.
absl::Status NextEvent(absl::string_view& rest, absl::string_view& event, bool& found);

// Bytes of the Run's event fields: tag 0x1a, a varint (maybe padded), bytes. Walks the whole of a chunk's committed
// bytes; returns how many events it holds, or kDataLoss with the offset where they stop making sense.
absl::Status CountEvents(absl::string_view committed, uint64_t& count);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_EVENT_VIEW_H_
