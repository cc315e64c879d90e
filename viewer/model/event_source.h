// SPDX-License-Identifier: Apache-2.0
//
// Reads events out of a trace file in order of time, with few blocks in memory: keys are sorted, events are read again
// from their blocks when their turn comes.

#ifndef SOCKTALE_VIEWER_MODEL_EVENT_SOURCE_H_
#define SOCKTALE_VIEWER_MODEL_EVENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"

namespace socktale {

// Where an event stands in the file, and when it takes its place among the others.
struct EventKey {
  uint64_t time_ns = 0;  // entry time; never earlier than an event before it of the same thread
  uint64_t number = 0;   // the N of eN
  uint32_t block = 0;    // position in TraceFileReader::blocks()
  uint32_t run = 0;      // of the block, from 0
  uint32_t offset = 0;   // of the encoded Event in the decoded block
  uint32_t size = 0;
};

// A range of one event's payload.
struct Fragment {
  EventKey key;
  uint64_t begin = 0;
  uint64_t size = 0;
};

class EventSource {
 public:
  // Valid during the callback only.
  using Visitor = std::function<bool(const EventKey& key, const RunView& run, const EventView& event)>;

  // Visits the events of some blocks in order of key. positions: in blocks(), rising; blocks that hold no events are
  // passed over, damaged ones as well. visit returns false to stop. stopped: set to whether it did; may be null. Where
  // more events wait for an earlier one than memory is given to, the earliest of them come before it.
  absl::Status Visit(TraceFileReader& file, const std::vector<size_t>& positions, const Visitor& visit, bool* stopped);

  // Reads one event again. run and event are valid until the next call.
  absl::Status Read(TraceFileReader& file, const EventKey& key, RunView& run, EventView& event);

 private:
  struct Block {
    size_t position = 0;
    std::string bytes;
    std::vector<RunView> runs;
  };

  // Null for a block that is damaged.
  absl::StatusOr<std::shared_ptr<const Block>> Load(TraceFileReader& file, size_t position);

  std::list<std::shared_ptr<const Block>> recent_;  // latest first
  size_t recent_bytes_ = 0;
  std::shared_ptr<const Block> held_;  // what Read's views point into
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_EVENT_SOURCE_H_
