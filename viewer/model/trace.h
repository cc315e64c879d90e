// SPDX-License-Identifier: Apache-2.0
//
// A trace as the faces see it: tables, and events on demand. Prints nothing.

#ifndef SOCKTALE_VIEWER_MODEL_TRACE_H_
#define SOCKTALE_VIEWER_MODEL_TRACE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/aggregate/aggregator.h"
#include "proto/event_view.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_reader.h"
#include "viewer/model/event_source.h"
#include "viewer/model/lookup.h"

namespace socktale {

// An event with all that the tables know of its surroundings. Null: not known.
struct TracedEvent {
  uint64_t number = 0;               // the N of eN
  const EventView* event = nullptr;  // valid during the callback only
  const RunView* run = nullptr;      // likewise
  EventKey key;                      // to read the event again
  const Process* process = nullptr;
  const DescriptorLife* life = nullptr;     // of event->fd at the call's entry (socket, accept: of the new descriptor)
  const DescriptorLife* fd_life = nullptr;  // of event->fd itself (accept: of the listener)
  const Object* object = nullptr;
  const Object* source = nullptr;  // sendfile, splice: what the bytes were taken from
  const Connection* connection = nullptr;
  bool from_client = false;  // with a connection: this end is its client (socketpair: the first end)
};

// Pointers that it gives out live as long as the Trace, but for a trace that is being recorded only until the next call
// of ForEachNewEvent.
//
// While a trace is being recorded its last few milliseconds are held back: the recorder takes one thread's calls after
// another's, so that what led to the latest ones (the accept in one thread behind the recv in another) may not be in
// the file yet. They come with the next blocks, or when no more have come.
class Trace {
 public:
  // Opens a trace file. Uses its tables where they were written at the end, else aggregates its events; the statement
  // of what is missing then says that the trace was cut off, unless its recorder lives. kInvalidArgument for several
  // traces in one file.
  static absl::StatusOr<Trace> Open(const std::string& path);

  Trace(Trace&&) = default;
  Trace& operator=(Trace&&) = default;

  const TraceHeader& header() const { return reader_.header(); }
  const Tables& tables() const { return *tables_; }
  const TraceFileReader& file() const { return reader_; }

  const Process* process(uint32_t id) const;
  const Process* process_of_image(uint32_t image) const;
  const DescriptorLife* life(uint32_t id) const;
  const Object* object(uint32_t id) const;
  const Connection* connection(uint32_t id) const;

  // The life of number `fd` in `process` at `time_ns` (lives that ended at that very moment count); null: none known.
  const DescriptorLife* LifeAt(uint32_t process, int32_t fd, uint64_t time_ns) const;

  // Calls `visit` for every event, or for every event of one connection (reading only its blocks where the index tells
  // them), in order of time (entry time; calls of one thread keep their order). `visit` returns false to stop.
  // Damaged blocks are skipped; damage() of file() lists them.
  // from_ns, to_ns: blocks with nothing in this stretch of time are not read; events beside it are visited where they
  // stand in the same blocks.
  absl::Status ForEachEvent(const std::function<bool(const TracedEvent&)>& visit, uint64_t from_ns = 0,
                            uint64_t to_ns = UINT64_MAX);
  absl::Status ForEachEventOf(const Connection& connection, const std::function<bool(const TracedEvent&)>& visit);

  // Looks for events appended since Open or the last call (a trace being recorded) and visits those only.
  absl::Status ForEachNewEvent(const std::function<bool(const TracedEvent&)>& visit);

  // For timelines: every event of the blocks that hold `connection`, also those of others, in order of time.
  absl::Status ForEachEventNear(const Connection& connection, const std::function<bool(const TracedEvent&)>& visit);

  // Reads an event again. run and event are valid until the next call of any function that reads events.
  absl::Status ReadEvent(const EventKey& key, RunView& run, EventView& event) {
    return source_.Read(reader_, key, run, event);
  }
  const Lookup& lookup() const { return *lookup_; }

 private:
  Trace(TraceFileReader reader, std::string path) : reader_(std::move(reader)), path_(std::move(path)) {}

  // Takes blocks from position `from` on into the aggregator, as far as view_ns_, and makes tables and lookup anew.
  absl::Status Aggregate(size_t from);
  void SetTables(Tables tables);
  void Describe(const EventKey& key, const RunView& run, const EventView& event, TracedEvent& traced) const;
  absl::Status VisitBlocks(const std::vector<size_t>& positions, const std::function<bool(const TracedEvent&)>& visit);
  std::vector<size_t> PositionsOf(const Connection& connection);
  std::vector<size_t> PositionsFrom(size_t first) const;

  TraceFileReader reader_;
  std::string path_;
  bool recorded_ = false;          // its recorder lived when last asked
  uint64_t view_ns_ = UINT64_MAX;  // what was entered from here on is held back
  EventSource source_;
  std::unique_ptr<Aggregator> aggregator_;           // null when the file's own tables are used
  std::vector<ConnectionBlocks> connection_blocks_;  // as `aggregator_` knows them: sequence numbers of blocks
  std::unique_ptr<Tables> tables_;
  std::unique_ptr<Lookup> lookup_;
  size_t seen_blocks_ = 0;  // blocks that Open or ForEachNewEvent have seen
};

// Whether a living recorder is still writing this file.
bool IsBeingRecorded(const std::string& path);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_TRACE_H_
