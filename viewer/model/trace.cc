// SPDX-License-Identifier: Apache-2.0
//
// A trace file opened: its tables, or tables made of its events, and the events in order of time.

#include "viewer/model/trace.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "collector/aggregate/file_events.h"
#include "collector/aggregate/missing_rows.h"
#include "proto/trace_file_format.h"

namespace socktale {
namespace {

// How much later than another thread's a call may reach the file (the recorder allows as much).
constexpr uint64_t kSlackNs = 20'000'000;

// Several traces in one file have times, process images and numbers of blocks that begin anew: taken for one, they
// would tell of conversations that never were. kInvalidArgument says how to take them apart.
absl::Status CheckThatItIsOneTrace(const TraceFileReader& reader, const std::string& path) {
  for (size_t i = 1; i < reader.blocks().size(); ++i) {
    const BlockEntry& block = reader.blocks()[i];
    if (block.kind() != BLOCK_KIND_HEADER && reader.sequence(i) > reader.sequence(i - 1)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": holds several traces, one behind the other, which cannot be read as one (the first: head -c ",
        block.offset(), " FILE > FIRST.tale; the rest: tail -c +", block.offset() + 1, " FILE > REST.tale)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Trace> Trace::Open(const std::string& path) {
  const bool recorded = IsBeingRecorded(path);  // asked first: a recorder that ends now is not one that was killed
  ASSIGN_OR_RETURN(TraceFileReader reader, TraceFileReader::Open(path));
  RETURN_IF_ERROR(CheckThatItIsOneTrace(reader, path));
  Trace trace(std::move(reader), path);
  trace.recorded_ = recorded && !trace.reader_.sealed();
  if (trace.recorded_) trace.view_ns_ = trace.reader_.end_ns() - std::min(trace.reader_.end_ns(), kSlackNs);
  trace.seen_blocks_ = trace.reader_.blocks().size();
  if (trace.reader_.sealed()) {
    bool found = false;
    absl::StatusOr<Tables> tables = trace.reader_.ReadTables(&found);
    if (!tables.ok() && !absl::IsDataLoss(tables.status())) return tables.status();
    if (tables.ok() && found && tables->sealed()) {
      trace.SetTables(*std::move(tables));
      return trace;
    }
  }
  trace.aggregator_ = std::make_unique<Aggregator>();
  RETURN_IF_ERROR(trace.Aggregate(0));
  return trace;
}

void Trace::SetTables(Tables tables) {
  tables_ = std::make_unique<Tables>(std::move(tables));
  lookup_ = std::make_unique<Lookup>(*tables_);
}

absl::Status Trace::Aggregate(size_t from) {
  uint64_t damaged = 0;  // the reader lists where
  RETURN_IF_ERROR(AggregateBlocks(reader_, from, reader_.blocks().size(), *aggregator_, damaged, view_ns_));
  aggregator_->Advance(std::min(view_ns_, reader_.end_ns() == UINT64_MAX ? UINT64_MAX : reader_.end_ns() + 1));
  Tables tables = aggregator_->Snapshot(reader_.end_ns());
  connection_blocks_ = aggregator_->BlocksOfConnections();
  if (!reader_.sealed() && !recorded_) {
    Missing& missing = *tables.add_missing();
    missing.set_kind("cut_off");
    missing.set_count(1);
  }
  bool found = false;
  const absl::StatusOr<Tables> interim = reader_.ReadTables(&found);
  if (interim.ok() && found) {
    *tables.mutable_drop() = interim->drop();
    MissingRows(tables).AddFromInterim(*interim);
  }
  SetTables(std::move(tables));
  return absl::OkStatus();
}

const Process* Trace::process(uint32_t id) const { return lookup_->process(id); }
const Process* Trace::process_of_image(uint32_t image) const { return lookup_->ProcessOfImage(image); }
const DescriptorLife* Trace::life(uint32_t id) const { return lookup_->life(id); }
const Object* Trace::object(uint32_t id) const { return lookup_->object(id); }
const Connection* Trace::connection(uint32_t id) const { return lookup_->connection(id); }

const DescriptorLife* Trace::LifeAt(uint32_t process, int32_t fd, uint64_t time_ns) const {
  return lookup_->LifeAt(process, fd, time_ns);
}

void Trace::Describe(const EventKey& key, const RunView& run, const EventView& event, TracedEvent& traced) const {
  traced = {};
  traced.number = key.number;
  traced.key = key;
  traced.event = &event;
  traced.run = &run;
  traced.process = lookup_->ProcessOf(run, event);
  const auto object_of = [this](const DescriptorLife* life) {
    return life == nullptr ? nullptr : lookup_->object(life->object());
  };
  traced.life = lookup_->LifeOf(traced.process, event);
  traced.fd_life = lookup_->LifeOfNumber(traced.process, event, traced.life);
  traced.object = object_of(traced.life);
  traced.source = object_of(lookup_->SourceOf(traced.process, event));
  for (const Object* object : {traced.object, traced.source}) {
    if (object == nullptr) continue;
    const std::vector<Side> sides = lookup_->SidesOf(*object, event);
    if (sides.empty()) continue;
    traced.connection = sides.front().connection;
    traced.from_client = sides.front().client;
    return;
  }
}

absl::Status Trace::VisitBlocks(const std::vector<size_t>& positions,
                                const std::function<bool(const TracedEvent&)>& visit) {
  TracedEvent traced;
  return source_.Visit(
      reader_, positions,
      [&](const EventKey& key, const RunView& run, const EventView& event) {
        if (key.time_ns >= view_ns_) return true;
        Describe(key, run, event, traced);
        return visit(traced);
      },
      nullptr);
}

std::vector<size_t> Trace::PositionsFrom(size_t first) const {
  std::vector<size_t> positions;
  for (size_t i = first; i < reader_.blocks().size(); ++i) positions.push_back(i);
  return positions;
}

// Without an index, or with one that does not know the connection, it may be anywhere.
std::vector<size_t> Trace::PositionsOf(const Connection& connection) {
  if (aggregator_ != nullptr) {
    absl::flat_hash_set<uint64_t> sequences;
    for (const ConnectionBlocks& entry : connection_blocks_) {
      if (entry.connection() == connection.id()) sequences.insert(entry.block().begin(), entry.block().end());
    }
    std::vector<size_t> positions;
    for (size_t i = 0; i < reader_.blocks().size(); ++i) {
      if (sequences.contains(reader_.sequence(i))) positions.push_back(i);
    }
    return positions;
  }
  for (const ConnectionBlocks& entry : reader_.connections()) {
    if (entry.connection() != connection.id()) continue;
    std::vector<size_t> positions;
    for (const uint32_t position : entry.block()) {
      if (position < reader_.blocks().size()) positions.push_back(position);
    }
    std::sort(positions.begin(), positions.end());
    positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
    return positions;
  }
  return PositionsFrom(0);
}

absl::Status Trace::ForEachEvent(const std::function<bool(const TracedEvent&)>& visit, uint64_t from_ns,
                                 uint64_t to_ns) {
  std::vector<size_t> positions;
  for (size_t i = 0; i < reader_.blocks().size(); ++i) {
    if (reader_.blocks()[i].last_ns() >= from_ns && reader_.blocks()[i].first_ns() <= to_ns) positions.push_back(i);
  }
  return VisitBlocks(positions, visit);
}

absl::Status Trace::ForEachEventNear(const Connection& connection,
                                     const std::function<bool(const TracedEvent&)>& visit) {
  return VisitBlocks(PositionsOf(connection), visit);
}

absl::Status Trace::ForEachEventOf(const Connection& connection, const std::function<bool(const TracedEvent&)>& visit) {
  return ForEachEventNear(connection, [&](const TracedEvent& traced) {
    for (const Object* object : {traced.object, traced.source}) {
      if (object == nullptr) continue;
      for (const Side& side : lookup_->SidesOf(*object, *traced.event)) {
        if (side.connection != &connection) continue;
        TracedEvent mine = traced;
        mine.connection = side.connection;
        mine.from_client = side.client;
        if (!visit(mine)) return false;
      }
    }
    return true;
  });
}

absl::Status Trace::ForEachNewEvent(const std::function<bool(const TracedEvent&)>& visit) {
  const bool recorded = IsBeingRecorded(path_);
  const bool held_back = view_ns_ != UINT64_MAX;
  const uint64_t given_ns = std::min(view_ns_, reader_.end_ns() + 1);  // what was entered before has been visited
  RETURN_IF_ERROR(reader_.Refresh().status());
  recorded_ = recorded && !reader_.sealed();
  const size_t from = seen_blocks_;
  seen_blocks_ = reader_.blocks().size();
  // Nothing is held back from a pause.
  const bool goes_on = recorded_ && seen_blocks_ > from;
  const uint64_t settled_ns = reader_.end_ns() - std::min(reader_.end_ns(), kSlackNs);
  view_ns_ = goes_on ? std::max(given_ns, settled_ns) : UINT64_MAX;
  if (seen_blocks_ == from && !held_back) return absl::OkStatus();
  if (aggregator_ != nullptr) RETURN_IF_ERROR(Aggregate(from));

  std::vector<size_t> positions;
  for (size_t i = 0; i < seen_blocks_; ++i) {
    if (i >= from || reader_.blocks()[i].last_ns() >= given_ns) positions.push_back(i);
  }
  return VisitBlocks(positions, [&](const TracedEvent& traced) {
    const bool given = traced.key.block < from && traced.key.time_ns < given_ns;
    return given || visit(traced);
  });
}

bool IsBeingRecorded(const std::string& path) {
  if (!absl::EndsWith(path, kPartSuffix)) return false;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  // The recorder holds the file's lock as long as it lives; ours goes with the descriptor.
  return fd.valid() && flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace socktale
