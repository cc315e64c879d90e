// SPDX-License-Identifier: Apache-2.0
//
// Events waiting for their turn. Threads are drained one after another, so events of different threads come out of
// order; here they are kept in compact form until nothing earlier can come, then handed out by time.
//
// Those of one stream come in order, so the streams' queues are merged, and an event's place is free once it was handed
// out: the memory that events wait in is always the same while they do not wait for long.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
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
  uint64_t moved = 0;          // bytes that moved; 0 for MSG_PEEK and in a continuation
  uint64_t kept = 0;           // payload bytes in the event
  uint64_t size = 0;           // bytes asked for
  const char* rest = nullptr;  // the encoded event without payload; null: the fields here say it all
  uint32_t rest_size = 0;
  uint32_t stream = 0;  // index in Pending::streams()
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
};

// Bytes that a call moved: 0 for a failed one, for MSG_PEEK, and for a continuation, whose first event has them all.
uint64_t MovedBytes(const EventView& event);

class Pending {
 public:
  // Takes events off the front of run.events, until there are none or `most` wait. kDataLoss where they stop making
  // sense; those before are kept. Times behind now_ns count as now_ns.
  absl::Status Add(RunView& run, uint64_t block, uint64_t now_ns, size_t most);

  // How many events wait.
  size_t waiting() const { return waiting_; }

  // The one that takes effect first; of several at one time the one that came first. Null: none waits. Valid until
  // DropFirst.
  const Record* First() const;
  void DropFirst();

  // The event's other fields: all but the payload (of an option: with it) and with times not to be used. False when
  // the record has none.
  static bool Rest(const Record& record, EventView& event);

  const std::vector<Stream>& streams() const { return streams_; }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // A place for a waiting event.
  struct Place {
    Record record;
    std::unique_ptr<char[]> rest;  // what record.rest points to
    uint64_t number = 0;           // events are numbered as they come
    uint32_t next = kNone;         // place of the stream's next event, or the next free place
  };
  static constexpr uint32_t kPlacesPerSlab = 4096;

  // The waiting events of a stream.
  struct Queue {
    uint32_t first = kNone;
    uint32_t last = kNone;
    uint64_t last_key_ns = 0;  // of the last event that came: keys of one stream never fall
  };

  // A stream's first event, in the heap of those.
  struct Head {
    uint64_t key_ns = 0;
    uint64_t number = 0;
    uint32_t stream = 0;

    friend bool operator>(const Head& a, const Head& b) {
      return a.key_ns != b.key_ns ? a.key_ns > b.key_ns : a.number > b.number;
    }
  };

  uint32_t StreamOf(const RunView& run);
  Place& place(uint32_t number) { return slabs_[number / kPlacesPerSlab][number % kPlacesPerSlab]; }
  const Place& place(uint32_t number) const { return slabs_[number / kPlacesPerSlab][number % kPlacesPerSlab]; }
  uint32_t FreePlace();
  Head HeadOf(uint32_t stream) const;

  std::vector<Stream> streams_;
  std::vector<Queue> queues_;  // of the stream with the same index
  absl::flat_hash_map<std::pair<uint64_t, std::pair<uint64_t, uint64_t>>, uint32_t> stream_index_;
  std::vector<std::unique_ptr<Place[]>> slabs_;
  uint32_t free_ = kNone;    // the place that became free last
  std::vector<Head> heads_;  // of the streams with waiting events; a heap, the first to take effect on top
  size_t waiting_ = 0;
  uint64_t next_number_ = 0;
  EventView event_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_PENDING_H_
