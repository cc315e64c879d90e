// SPDX-License-Identifier: Apache-2.0
//
// Events waiting for their turn. Threads are drained one after another, so events of different threads come out of
// order; here they are kept in compact form until nothing earlier can come, then handed out by time.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/event_view.h"

namespace socktale {

// One event without its payload.
struct Record {
  uint64_t key_ns = 0;    // when it takes effect: entry time for what ends something, else return time
  uint64_t start_ns = 0;  // ns since the trace began
  uint64_t end_ns = 0;
  int64_t result = 0;
  uint64_t moved = 0;      // bytes that moved; 0 for MSG_PEEK and in a continuation
  uint64_t kept = 0;       // payload bytes in the event
  uint64_t size = 0;       // bytes asked for
  uint64_t rest = 0;       // where the encoded event without payload stands in Pending's bytes
  uint32_t rest_size = 0;  // 0: the fields here say it all
  uint32_t stream = 0;     // index in Pending::streams()
  uint32_t block = 0;
  int32_t fd = 0;
  int32_t new_fd = 0;
  uint32_t flags = 0;
  uint32_t notes = 0;
  uint32_t error = 0;
  Call call = CALL_UNKNOWN;
  bool continuation = false;
};

// One thread at one signal nesting level.
struct Stream {
  uint32_t image = 0;
  uint32_t tid = 0;
  uint32_t level = 0;
  uint64_t thread_start_ns = 0;
  uint64_t last_key_ns = 0;  // of its last record: keys of one stream never fall
};

// Bytes that a call moved: 0 for a failed one, for MSG_PEEK, and for a continuation, whose first event has them all.
uint64_t MovedBytes(const EventView& event);

class Pending {
 public:
  // Takes events off the front of run.events, until there are none or `most` wait. kDataLoss where they stop making
  // sense; those before are kept. Times behind now_ns count as now_ns.
  absl::Status Add(RunView& run, uint64_t block, uint64_t now_ns, size_t most);

  // The time that half of the waiting events take effect at or before. Only while some wait.
  uint64_t MedianKey() const;

  // Moves every record with key_ns < horizon_ns out of the waiting ones. They can be read in order of key_ns (those of
  // one stream in the order they came) by taken() until the next call.
  void Take(uint64_t horizon_ns);
  size_t taken() const { return order_.size(); }
  const Record& record(size_t index) const { return taken_[order_[index].second]; }

  // The event's other fields: all but the payload (of an option: with it) and with times not to be used. False when
  // the record has none.
  bool Rest(const Record& record, EventView& event) const;

  const std::vector<Stream>& streams() const { return streams_; }

 private:
  uint32_t StreamOf(const RunView& run);

  std::vector<Stream> streams_;
  absl::flat_hash_map<std::pair<uint64_t, std::pair<uint64_t, uint64_t>>, uint32_t> stream_index_;
  std::vector<Record> waiting_;
  std::string waiting_bytes_;
  std::vector<Record> taken_;
  std::string taken_bytes_;
  std::vector<std::pair<uint64_t, uint32_t>> order_;  // key, position in taken_
  EventView event_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_
