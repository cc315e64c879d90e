// SPDX-License-Identifier: Apache-2.0
#include "collector/recovery.h"

#include <dirent.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "collector/aggregate/aggregator.h"
#include "collector/aggregate/file_events.h"
#include "collector/aggregate/missing_rows.h"
#include "collector/arena.h"
#include "collector/arena_reader.h"
#include "collector/block_builder.h"
#include "collector/clock.h"
#include "collector/tables.h"
#include "collector/unrecorded.h"
#include "proto/trace_file_reader.h"
#include "proto/trace_file_writer.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

// A file without its final name is somebody's who is about to give it one, unless it is older.
constexpr int64_t kUnnamedSeconds = 60;

std::vector<std::string> FilesWithSuffix(const std::string& directory, const std::string& suffix) {
  std::vector<std::string> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) return files;
  while (const dirent* entry = readdir(entries.get())) {
    if (absl::EndsWith(entry->d_name, suffix)) files.push_back(absl::StrCat(directory, "/", entry->d_name));
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Bytes of the event fields of an encoded Run. The collector writes them behind all others.
uint32_t EventBytes(absl::string_view encoded_run) {
  constexpr uint32_t kEvent = Tag(3, WireType::kBytes);
  WireScanner scan(encoded_run);
  for (;;) {
    const absl::string_view rest = scan.rest();
    uint32_t tag = 0;
    if (!scan.Next(tag)) return 0;
    if (tag == kEvent) return static_cast<uint32_t>(rest.size());
    scan.Skip(tag);
  }
}

// One trace being put in order.
class Recovery {
 public:
  explicit Recovery(std::string trace_path) : path_(std::move(trace_path)) {}

  // arena: what its collector left, or none.
  absl::StatusOr<RecoveredTrace> Run(const Arena* arena);

 private:
  absl::StatusOr<TraceFileReader> OpenPart(const TraceFileWriter& writer) const;
  absl::StatusOr<TakenBefore> TakenByThePart(const TraceFileWriter& writer) const;
  absl::Status Salvage(const Arena& arena, TraceFileWriter& writer);
  absl::Status Aggregate(const TraceFileWriter& writer);

  std::string path_;
  Aggregator aggregator_;
  UnrecordedPrograms unrecorded_;
  uint64_t end_ns_ = 0;
  uint64_t damaged_ = 0;
  // What the arena says beyond events.
  std::vector<std::pair<uint32_t, uint64_t>> drops_of_image_;
  std::vector<ThreadInCallHint> calls_in_progress_;
  std::optional<Tables> arena_tables_;  // drops
  Tables interim_;                      // the last that its recorder wrote; empty: none
};

absl::StatusOr<TraceFileReader> Recovery::OpenPart(const TraceFileWriter& writer) const {
  return TraceFileReader::OpenDescriptor(writer.fd(), writer.part_path());
}

// Which bytes of which chunks stand in the file. Damage is left to be counted when the events are read.
absl::StatusOr<TakenBefore> Recovery::TakenByThePart(const TraceFileWriter& writer) const {
  TakenBefore taken_before;
  ASSIGN_OR_RETURN(TraceFileReader reader, OpenPart(writer));
  for (size_t i = 0; i < reader.blocks().size(); ++i) {
    if (reader.blocks()[i].kind() != BLOCK_KIND_EVENTS) continue;
    const absl::StatusOr<absl::string_view> block = reader.ReadBlock(i);
    if (absl::IsDataLoss(block.status())) continue;
    RETURN_IF_ERROR(block.status());
    absl::string_view rest = *block;
    RunView run;
    for (bool found = true; NextRun(rest, run, found).ok() && found;) {
      uint32_t& taken = taken_before[{{run.image, run.tid, run.level, run.thread_start_ns}, run.chunk_sequence}];
      taken = std::max(taken, run.chunk_offset + EventBytes(run.events));
    }
  }
  return taken_before;
}

// Appends what the arena holds and the file lacks.
absl::Status Recovery::Salvage(const Arena& arena, TraceFileWriter& writer) {
  ArenaReader reader(&arena, [this](uint32_t image, const EventView& event) { unrecorded_.Add(image, event); });
  ASSIGN_OR_RETURN(TakenBefore taken_before, TakenByThePart(writer));
  reader.SetTakenBefore(std::move(taken_before));
  for (uint32_t i = 0; i < abi::kMaxProcesses; ++i) {
    const abi::ProcessSlot& slot = arena.slot(i);
    if (slot.state.load(std::memory_order_acquire) != abi::kSlotLive) continue;
    unrecorded_.ImageStarted(slot.image, slot.pid, slot.pid_namespace);
    if (const uint64_t drops = slot.drops.load(); drops > 0) drops_of_image_.emplace_back(slot.image, drops);
  }
  reader.Look(true);
  const uint64_t now = MonotonicNs();
  BlockBuilder builder(&reader, &writer, [](const RunView&, uint64_t) {});  // read with the others, from the file
  RETURN_IF_ERROR(builder.Drain(
      {.everything = true, .compress = true, .now_ns = now - std::min(now, arena.base_ns())}, [] {}, [] {}));
  calls_in_progress_ = reader.CallsInProgress();
  damaged_ += reader.malformed_chunks();
  arena_tables_.emplace();
  AddDrops(arena.header(), *arena_tables_);
  return absl::OkStatus();
}

// Salvaged events stand last in the file, but not last in time: so the file is read whole, by its blocks' times.
absl::Status Recovery::Aggregate(const TraceFileWriter& writer) {
  ASSIGN_OR_RETURN(TraceFileReader reader, OpenPart(writer));
  RETURN_IF_ERROR(AggregateBlocks(reader, 0, reader.blocks().size(), aggregator_, damaged_));
  aggregator_.Advance(UINT64_MAX);
  end_ns_ = reader.end_ns();
  bool found = false;
  absl::StatusOr<Tables> interim = reader.ReadTables(&found);
  if (!interim.ok() && !absl::IsDataLoss(interim.status())) return interim.status();
  if (interim.ok() && found) interim_ = *std::move(interim);
  for (const auto& [image, drops] : drops_of_image_) aggregator_.DropsOf(image, drops);
  for (const ThreadInCallHint& hint : calls_in_progress_) {
    if (hint.call == CALL_EXIT) continue;
    aggregator_.ThreadInCall(hint.writer.image, hint.writer.tid, static_cast<Call>(hint.call), hint.fd, hint.since_ns);
  }
  return absl::OkStatus();
}

absl::StatusOr<RecoveredTrace> Recovery::Run(const Arena* arena) {
  // Resume first: it locks the file, and fails when its recorder lives.
  ASSIGN_OR_RETURN(TraceFileWriter writer, TraceFileWriter::Resume(path_));
  const uint64_t before = writer.next_event();
  if (arena != nullptr) RETURN_IF_ERROR(Salvage(*arena, writer));
  RETURN_IF_ERROR(Aggregate(writer));
  for (const UnrecordedPrograms::Program& program : unrecorded_.Take(UINT64_MAX)) {
    aggregator_.NotRecorded(program.pid, program.image, program.kind.c_str(), program.pid_namespace);
  }
  Tables tables = aggregator_.Snapshot(end_ns_);
  if (arena_tables_.has_value()) tables.MergeFrom(*arena_tables_);
  AddDamage(damaged_, tables);
  AddRing(writer.given_back(), tables);
  MissingRows(tables).AddFromInterim(interim_);
  Missing& cut = *tables.add_missing();
  cut.set_kind("cut_off");
  cut.set_count(1);
  tables.set_sealed(true);
  tables.set_recovered(true);
  RecoveredTrace recovered;
  recovered.trace_path = path_;
  recovered.events = writer.next_event() - 1;
  recovered.salvaged_events = writer.next_event() - before;
  recovered.end_ns = end_ns_;
  recovered.status = writer.Seal(tables, aggregator_.BlocksOfConnections());
  return recovered;
}

// The trace that the arena's collector wrote; empty when its link is not there.
std::string TraceOf(const std::string& arena_path) {
  char target[PATH_MAX];
  const std::string link = arena_path.substr(0, arena_path.rfind('.')) + kArenaTraceSuffix;
  const ssize_t n = readlink(link.c_str(), target, sizeof target);
  return n > 0 ? std::string(target, static_cast<size_t>(n)) : "";
}

void RemoveUnnamed(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0 || time(nullptr) - status.st_mtime < kUnnamedSeconds) return;
  absl::StatusOr<Arena> arena = Arena::OpenOrphan(path);
  if (arena.ok()) return arena->Remove();
  // One that was never finished is no arena; one that is locked belongs to somebody.
  if (absl::IsDataLoss(arena.status())) unlink(path.c_str());
}

}  // namespace

std::vector<RecoveredTrace> RecoverOrphans(const std::string& library_directory) {
  std::vector<RecoveredTrace> all;
  const auto recover = [&all](const std::string& trace, const Arena* arena) {
    absl::StatusOr<RecoveredTrace> recovered = Recovery(trace).Run(arena);
    if (absl::IsAlreadyExists(recovered.status())) return false;  // its recorder lives, or another recovery is at it
    if (absl::IsNotFound(recovered.status())) return true;        // they were faster: it has its final name
    if (recovered.ok()) {
      all.push_back(*std::move(recovered));
    } else {
      all.push_back({.trace_path = trace, .status = recovered.status()});
    }
    return all.back().status.ok();
  };
  for (const std::string& directory : ArenaDirectories()) {
    for (const std::string& path : FilesWithSuffix(directory, ".new")) RemoveUnnamed(path);
    for (const std::string& path : FilesWithSuffix(directory, kArenaSuffix)) {
      absl::StatusOr<Arena> arena = Arena::OpenOrphan(path);
      const std::string trace = TraceOf(path);
      if (!arena.ok()) {
        // Of no use to anybody; a living collector's is locked and comes back as kUnavailable.
        if (absl::IsDataLoss(arena.status())) unlink(path.c_str());
        continue;
      }
      arena->header().collector_state.store(abi::kCollectorDone, std::memory_order_release);
      arena->WakeWriters();
      // Without a part file there is nothing to add to: sealed in its last moment, or removed by the user.
      if (trace.empty() || !Exists(trace + kPartSuffix) || recover(trace, &*arena)) arena->Remove();
    }
  }
  if (library_directory.empty()) return all;
  for (const std::string& part : FilesWithSuffix(library_directory, kPartSuffix)) {
    const std::string trace = part.substr(0, part.size() - sizeof kPartSuffix + 1);
    const bool tried = std::any_of(all.begin(), all.end(), [&trace](const auto& r) { return r.trace_path == trace; });
    if (!tried) recover(trace, nullptr);
  }
  return all;
}

}  // namespace socktale
