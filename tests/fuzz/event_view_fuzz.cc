// SPDX-License-Identifier: Apache-2.0
//
// Holds the scanner of events against libprotobuf: what the one reads as an Event, the other reads alike.

#include <cstdint>
#include <cstdlib>

#include "proto/event_view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  static socktale::EventView view;
  static socktale::Event event;
  uint64_t count = 0;
  socktale::CountEvents(bytes, count).IgnoreError();
  if (!socktale::ParseEvent(bytes, 1000, view).ok()) return 0;  // stricter in few places: no groups, no end of a group
  if (!event.ParseFromArray(data, static_cast<int>(size))) return 0;
  const bool same =
      view.call == event.call() && view.fd == event.fd() && view.start_ns == event.start_ns() + 1000 &&
      view.duration_ns == event.duration_ns() && view.result == event.result() && view.error == event.error() &&
      view.payload == event.payload() && view.size == event.size() && view.flags == event.flags() &&
      view.address == event.address() && view.notes == event.notes() && view.continuation == event.continuation() &&
      view.new_fd == event.new_fd() && view.socket_id == event.socket_id() && view.path == event.path() &&
      view.passed.size() == static_cast<size_t>(event.passed_size()) &&
      view.datagrams.size() == static_cast<size_t>(event.datagram_size()) &&
      view.polled.size() == static_cast<size_t>(event.polled_size()) &&
      view.answers.size() == static_cast<size_t>(event.answer_size()) &&
      view.argv.size() == static_cast<size_t>(event.argv_size()) && view.timeout_ns == event.timeout_ns() &&
      view.pid == event.pid() && view.kind == event.kind() && view.network_namespace == event.network_namespace() &&
      view.listening == event.listening() && view.status_flags == event.status_flags();
  if (!same) std::abort();
  for (size_t i = 0; i < view.passed.size(); ++i) {
    if (view.passed[i] != event.passed(static_cast<int>(i))) std::abort();
  }
  return 0;
}
