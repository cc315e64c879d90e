// SPDX-License-Identifier: Apache-2.0
//
// Takes committed events out of the arena's chunks and gives drained chunks back.
//
// Chunks of one writer (a thread of a process image at one signal level) are taken in the order of their sequence.
// Nothing in the arena is trusted: a chunk's description is copied and checked when it is first seen, its bytes are
// copied out before they are checked, and a chunk that makes no sense is counted and never looked at again.

#ifndef SOCKTALE_COLLECTOR_ARENA_READER_H_
#define SOCKTALE_COLLECTOR_ARENA_READER_H_

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "collector/arena.h"
#include "proto/event_view.h"

namespace socktale {

// Names one writer's chunks: as in message Run. Times are ns since the trace began.
struct WriterKey {
  uint32_t image = 0;
  uint32_t tid = 0;
  uint32_t level = 0;
  uint64_t thread_start_ns = 0;

  friend bool operator==(const WriterKey&, const WriterKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const WriterKey& key) {
    return H::combine(std::move(h), key.image, key.tid, key.level, key.thread_start_ns);
  }
};

// Where a recovered trace file already has bytes of: (writer, sequence of the chunk) → bytes from the chunk's start.
using TakenBefore = absl::flat_hash_map<std::pair<WriterKey, uint64_t>, uint32_t>;

// What a collection of runs holds, for a block's header.
struct RunTotals {
  uint64_t events = 0;
  uint64_t first_ns = UINT64_MAX;  // entry time of the earliest event, ns since the trace began
  uint64_t last_ns = 0;            // return time of the latest
};

// A thread inside of a recorded call.
struct ThreadInCallHint {
  WriterKey writer;
  uint32_t call = 0;  // value of Call
  int32_t fd = 0;
  uint64_t since_ns = 0;  // ns since the trace began
};

class ArenaReader {
 public:
  // A chunk whose bytes were taken, to be given to Written() once they stand in the file.
  struct Taken {
    uint32_t chunk = 0;  // number of the chunk through the arena
    uint32_t end = 0;    // bytes from the chunk's start that are taken now
  };

  // Called for each event that tells of processes: ATTACHED, EXECUTING, EXECVE, FORK, VFORK, CLONE, FORKPTY,
  // POSIX_SPAWN.
  using ProcessEvents = std::function<void(uint32_t image, const EventView& event)>;

  // arena: outlives the reader.
  ArenaReader(const Arena* arena, ProcessEvents process_events)
      : arena_(*arena), process_events_(std::move(process_events)) {}

  // Tells what a recovered file already holds. Before the first Look.
  void SetTakenBefore(TakenBefore taken) { taken_before_ = std::move(taken); }

  // Finds chunks that were opened since. `thorough`: looks at all of them, whatever the shims' counter says.
  void Look(bool thorough);

  // Images of which the first chunk was found since the last call.
  std::vector<uint32_t> TakeNewImages() { return std::exchange(new_images_, {}); }

  // Bytes that can be taken, and how many sealed chunks hold them.
  struct Ready {
    uint64_t bytes = 0;
    uint32_t sealed = 0;
  };
  Ready Measure() const;

  // Begins a pass over the writers that are known now. A pass takes all that they had committed when it began.
  void BeginPass() { pass_.assign(active_.begin(), active_.end()); }

  // Goes on with the pass, some chunks of each writer in turn, so that none waits for another's to be written: appends
  // encoded Runs (with tag and length, so that `out` is a message Events) until out holds about target_bytes or the
  // pass is over. everything: also takes chunks behind a missing one of their writer
  // (at the end, no such chunk will come any more). Times later than now_ns (ns since the trace began) count as now_ns
  // in `totals`. images: numbers seen are added. Returns whether the pass has more.
  bool TakeInto(std::string& out, size_t target_bytes, bool everything, uint64_t now_ns, RunTotals& totals,
                absl::flat_hash_set<uint32_t>& images, std::vector<Taken>& taken);

  // Amid a pass: of what it has yet to take, nothing takes effect before this (ns since the trace began). UINT64_MAX:
  // the pass is over.
  uint64_t SettledBefore() const;

  // The bytes of `taken` stand in the file: frees the chunks that are sealed and wholly written.
  void Written(const std::vector<Taken>& taken);

  // Chunks given back so far.
  uint64_t chunks_freed() const { return freed_; }

  // The image's process is gone, or it executed another program: its chunks grow no more, whatever their state says.
  void EndImage(uint32_t image);

  // Nothing of the image will come any more: its slot is given back. Else images would take memory for ever.
  void ForgetImage(uint32_t image);

  // Frees chunks that writers of a process slot had claimed when they were killed, before they were open. Only once
  // the slot's image has ended.
  void FreeClaimed(uint32_t slot);

  // True while chunks of this image are not freed.
  bool HasChunks(uint32_t image) const;

  // Writers whose only chunk is open, wholly taken and unchanged since before quiet_since_ns (CLOCK_MONOTONIC).
  std::vector<WriterKey> QuietWriters(uint64_t quiet_since_ns) const;

  // The writer's thread is gone: its chunks grow no more.
  void EndWriter(const WriterKey& writer);

  // Calls in progress now. Hints: each may be half changed.
  std::vector<ThreadInCallHint> CallsInProgress() const;

  // Chunks of a size class that are not free, as far as they were seen.
  uint32_t chunks_in_use(uint32_t size_class) const { return in_use_[size_class]; }
  uint64_t malformed_chunks() const { return malformed_; }

 private:
  struct Chunk {
    uint32_t segment = 0;
    uint32_t index = 0;
    WriterKey writer;
    uint64_t sequence = 0;
    uint64_t base_ns = 0;
    uint32_t taken = 0;       // bytes given out
    uint32_t written = 0;     // bytes that stand in the file
    bool ended = false;       // grows no more, though its state may still be Open
    bool done = false;        // final, and all of it is taken
    bool bad = false;         // made no sense: left alone from there on
    uint64_t changed_ns = 0;  // when bytes were last taken, CLOCK_MONOTONIC
  };
  struct Writer {
    uint64_t next_sequence = 1;
    std::map<uint64_t, uint32_t> chunks;  // not done, by sequence → number in chunks_
    uint64_t entry_ns = 0;                // latest entry of the events taken
  };
  // What there is to take of a chunk.
  struct Available {
    uint32_t end = 0;
    bool final = false;
  };

  void Discover(uint32_t number);
  Available AvailableOf(const Chunk& chunk) const;
  void MarkBad(Chunk& chunk);
  void TakeChunk(uint32_t number, Chunk& chunk, std::string& out, uint64_t now_ns, RunTotals& totals,
                 uint64_t& entry_ns, absl::flat_hash_set<uint32_t>& images, std::vector<Taken>& taken);
  uint32_t Validate(absl::string_view bytes, const Chunk& chunk, uint64_t now_ns, RunTotals& totals,
                    uint64_t& entry_ns);
  void FreeIfDone(uint32_t number, Chunk& chunk);
  uint64_t SinceStart(uint64_t clock_ns) const { return clock_ns < arena_.base_ns() ? 0 : clock_ns - arena_.base_ns(); }
  abi::ChunkHeader& header(const Chunk& chunk) const { return arena_.chunk(chunk.segment, chunk.index); }

  const Arena& arena_;
  ProcessEvents process_events_;
  TakenBefore taken_before_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<Chunk>> chunks_;  // by number through the arena
  absl::flat_hash_map<WriterKey, Writer> writers_;
  absl::flat_hash_set<WriterKey> active_;                       // writers with chunks that are not done
  std::deque<WriterKey> pass_;                                  // writers that the pass has yet to visit
  std::vector<std::bitset<abi::kChunksPerSegment>> populated_;  // per segment: chunks seen before
  absl::flat_hash_set<uint32_t> images_;  // of which a chunk was found, and that are not forgotten
  std::vector<uint32_t> new_images_;      // since TakeNewImages
  uint32_t seen_taken_ = 0;               // ArenaHeader::chunks_taken at the last Look
  uint32_t missing_ = 0;                  // chunks counted there that were not found yet
  uint32_t in_use_[abi::kSizeClasses] = {};
  uint64_t freed_ = 0;
  uint64_t malformed_ = 0;
  EventView event_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_ARENA_READER_H_
