// SPDX-License-Identifier: Apache-2.0
#include "collector/arena_reader.h"

#include <algorithm>

#include "collector/clock.h"
#include "proto/wire_append.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

using abi::kChunksPerSegment;

// Levels of signal nesting that an honest shim has; more are damage.
constexpr uint32_t kMaxLevel = 64;
// What is taken of one writer before others have their turn.
constexpr size_t kBytesPerTurn = 256 << 10;
constexpr uint8_t kEventTag = 0x1a;  // Run.event
constexpr uint32_t kRunField = 1;    // Events.run

void AppendField(std::string& out, uint32_t number, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, number << 3);
  AppendVarint(out, value);
}

bool TellsOfProcesses(uint64_t call) {
  switch (call) {
    case CALL_ATTACHED:
    case CALL_EXECUTING:
    case CALL_EXECVE:
    case CALL_FORK:
    case CALL_VFORK:
    case CALL_CLONE:
    case CALL_FORKPTY:
    case CALL_POSIX_SPAWN:
      return true;
    default:
      return false;
  }
}

}  // namespace

void ArenaReader::Look(bool thorough) {
  const uint32_t taken = arena_.header().chunks_taken.load(std::memory_order_acquire);
  missing_ += taken - seen_taken_;
  seen_taken_ = taken;
  if (missing_ == 0 && !thorough) return;
  // Writers take the lowest free chunk, so the new ones are found early. One that is counted and not open yet is looked
  // for again the next time; not for ever: its writer may have been killed before it was.
  uint32_t missing = thorough ? UINT32_MAX : missing_;
  for (uint32_t s = 0; s < arena_.segments(); ++s) {
    for (uint32_t c = 0, first = 0; c < abi::kSizeClasses; first += abi::kChunkCount[c++]) {
      const uint32_t end = first + arena_.UsableInSegment(s, c);
      for (uint32_t i = first; i < end && missing > 0; ++i) {
        const uint32_t state = arena_.chunk(s, i).state.load(std::memory_order_acquire);
        if (state != abi::kChunkOpen && state != abi::kChunkSealed) continue;
        const uint32_t number = s * kChunksPerSegment + i;
        if (chunks_.contains(number)) continue;
        Discover(number);
        --missing;
      }
    }
  }
  missing_ = thorough ? 0 : missing;
}

// Copies and checks the description of a chunk that is seen for the first time.
void ArenaReader::Discover(uint32_t number) {
  auto chunk = std::make_unique<Chunk>();
  chunk->segment = number / kChunksPerSegment;
  chunk->index = number % kChunksPerSegment;
  const abi::ChunkHeader& shared = header(*chunk);
  const uint32_t slot = shared.slot;
  chunk->writer = {shared.image, shared.tid, shared.level, SinceStart(shared.thread_start_ns)};
  chunk->sequence = shared.sequence;
  chunk->base_ns = shared.base_ns;
  chunk->changed_ns = MonotonicNs();
  Chunk& kept = *chunks_.emplace(number, std::move(chunk)).first->second;
  ++in_use_[abi::ClassOfChunk(kept.index)];
  const bool plausible = kept.writer.image != 0 && kept.writer.level < kMaxLevel && kept.sequence != 0 &&
                         slot < abi::kMaxProcesses && arena_.slot(slot).image == kept.writer.image;
  if (!plausible) return MarkBad(kept);
  if (populated_.size() <= kept.segment) populated_.resize(kept.segment + 1);
  if (!populated_[kept.segment][kept.index]) {
    populated_[kept.segment].set(kept.index);
    arena_.Populate(kept.segment, kept.index);
  }
  if (images_.insert(kept.writer.image).second) new_images_.push_back(kept.writer.image);
  if (!taken_before_.empty()) {
    const auto before = taken_before_.find({kept.writer, kept.sequence});
    if (before != taken_before_.end()) {
      kept.taken = kept.written = std::min(before->second, abi::kChunkBytes[abi::ClassOfChunk(kept.index)]);
    }
  }
  Writer& writer = writers_[kept.writer];
  if (kept.sequence < writer.next_sequence || !writer.chunks.emplace(kept.sequence, number).second) {
    return MarkBad(kept);
  }
  active_.insert(kept.writer);
}

void ArenaReader::MarkBad(Chunk& chunk) {
  chunk.bad = true;
  ++malformed_;
}

ArenaReader::Available ArenaReader::AvailableOf(const Chunk& chunk) const {
  // The state first: once it is Sealed, `committed` is final.
  const uint32_t state = header(chunk).state.load(std::memory_order_acquire);
  const uint32_t committed = header(chunk).committed.load(std::memory_order_acquire);
  return {committed, chunk.ended || state == abi::kChunkSealed};
}

ArenaReader::Ready ArenaReader::Measure() const {
  Ready ready;
  for (const WriterKey& key : active_) {
    const Writer& writer = writers_.find(key)->second;
    uint64_t expected = writer.next_sequence;
    for (const auto& [sequence, number] : writer.chunks) {
      const Chunk& chunk = *chunks_.find(number)->second;
      if (sequence != expected && !chunk.ended) break;  // what lies behind a missing chunk cannot be taken yet
      expected = sequence + 1;
      const Available available = AvailableOf(chunk);
      if (available.end > chunk.taken) ready.bytes += available.end - chunk.taken;
      ready.sealed += available.final;
    }
  }
  return ready;
}

bool ArenaReader::TakeInto(std::string& out, size_t target_bytes, bool everything, uint64_t now_ns, RunTotals& totals,
                           absl::flat_hash_set<uint32_t>& images, std::vector<Taken>& taken) {
  while (!pass_.empty()) {
    if (out.size() >= target_bytes) return true;
    const WriterKey key = pass_.front();
    pass_.pop_front();
    const auto found = writers_.find(key);
    if (found == writers_.end()) continue;
    Writer& writer = found->second;
    const size_t end_of_turn = std::min(out.size() + kBytesPerTurn, target_bytes);
    while (!writer.chunks.empty()) {
      if (out.size() >= end_of_turn) {
        pass_.push_back(key);
        break;
      }
      const auto [sequence, number] = *writer.chunks.begin();
      Chunk& chunk = *chunks_.find(number)->second;
      if (sequence != writer.next_sequence && !everything && !chunk.ended) break;
      writer.next_sequence = sequence;
      TakeChunk(number, chunk, out, now_ns, totals, writer.entry_ns, images, taken);
      if (!chunk.bad && !chunk.done) break;
      writer.chunks.erase(sequence);  // the writer goes on with its next one
      writer.next_sequence = sequence + 1;
      FreeIfDone(number, chunk);  // unless bytes of it wait for their write
    }
    if (writer.chunks.empty()) active_.erase(key);
  }
  return false;
}

// Takes what is new in one chunk as one Run: our copy is made first and checked then.
void ArenaReader::TakeChunk(uint32_t number, Chunk& chunk, std::string& out, uint64_t now_ns, RunTotals& totals,
                            uint64_t& entry_ns, absl::flat_hash_set<uint32_t>& images, std::vector<Taken>& taken) {
  const Available available = AvailableOf(chunk);
  if (available.end < chunk.taken || available.end > abi::kChunkBytes[abi::ClassOfChunk(chunk.index)]) {
    return MarkBad(chunk);
  }
  const uint32_t size = available.end - chunk.taken;
  if (size > 0) {
    std::string fields;
    AppendField(fields, 1, chunk.writer.image);
    AppendField(fields, 2, chunk.base_ns);
    AppendField(fields, 4, chunk.writer.tid);
    AppendField(fields, 5, chunk.writer.level);
    AppendField(fields, 6, chunk.sequence);
    AppendField(fields, 7, chunk.taken);
    AppendField(fields, 8, chunk.writer.thread_start_ns);
    const size_t start = out.size();
    const auto begin_run = [&](uint32_t bytes) {
      AppendBytesHead(out, kRunField, fields.size() + bytes);
      out += fields;
    };
    begin_run(size);
    const size_t body = out.size();
    out.append(arena_.data(chunk.segment, chunk.index) + chunk.taken, size);
    const uint32_t good = Validate(absl::string_view(out).substr(body), chunk, now_ns, totals, entry_ns);
    if (good < size) {
      const std::string kept = out.substr(body, good);
      out.resize(start);
      if (good > 0) {
        begin_run(good);
        out += kept;
      }
      MarkBad(chunk);
    }
    if (good > 0) {
      chunk.taken += good;
      chunk.changed_ns = MonotonicNs();
      images.insert(chunk.writer.image);
      taken.push_back({number, chunk.taken});
    }
  }
  chunk.done = available.final && !chunk.bad;
}

// Walks the events of our copy. Returns how many bytes of it make sense.
uint32_t ArenaReader::Validate(absl::string_view bytes, const Chunk& chunk, uint64_t now_ns, RunTotals& totals,
                               uint64_t& entry_ns) {
  WireScanner run(bytes);
  size_t good = 0;
  for (uint32_t tag = 0; run.Next(tag);) {
    if (tag != kEventTag) break;
    const absl::string_view encoded = run.Bytes();
    if (!run.ok()) break;
    uint64_t call = 0, start = 0, duration = 0;
    WireScanner event(encoded);
    // The shim writes fields in ascending order: these are the first four.
    for (uint32_t field = 0; event.Next(field) && field >> 3 <= 4;) {
      switch (field) {
        case Tag(1, WireType::kVarint):
          call = event.Varint();
          break;
        case Tag(3, WireType::kVarint):
          start = event.Varint();
          break;
        case Tag(4, WireType::kVarint):
          duration = event.Varint();
          break;
        default:
          event.Skip(field);
      }
    }
    if (!event.ok()) break;
    const uint64_t entry = std::min(chunk.base_ns + start, now_ns);
    entry_ns = std::max(entry_ns, entry);
    totals.first_ns = std::min(totals.first_ns, entry);
    totals.last_ns = std::max(totals.last_ns, std::min(duration, now_ns - entry) + entry);
    ++totals.events;
    good = static_cast<size_t>(encoded.data() + encoded.size() - bytes.data());
    if (TellsOfProcesses(call) && ParseEvent(encoded, chunk.base_ns, event_).ok()) {
      process_events_(chunk.writer.image, event_);
    }
  }
  return static_cast<uint32_t>(good);
}

void ArenaReader::FreeIfDone(uint32_t number, Chunk& chunk) {
  if (!chunk.done || chunk.written < chunk.taken) return;
  header(chunk).in_call.store(0, std::memory_order_relaxed);
  header(chunk).state.store(abi::kChunkFree, std::memory_order_release);
  --in_use_[abi::ClassOfChunk(chunk.index)];
  chunks_.erase(number);
  ++freed_;
}

uint64_t ArenaReader::SettledBefore() const {
  uint64_t settled_ns = UINT64_MAX;
  for (const WriterKey& key : pass_) {
    const auto writer = writers_.find(key);
    if (writer != writers_.end()) settled_ns = std::min(settled_ns, writer->second.entry_ns);
  }
  return settled_ns;
}

void ArenaReader::Written(const std::vector<Taken>& taken) {
  for (const Taken& part : taken) {
    const auto found = chunks_.find(part.chunk);
    if (found == chunks_.end()) continue;
    Chunk& chunk = *found->second;
    chunk.written = std::max(chunk.written, part.end);
    header(chunk).drained.store(chunk.written, std::memory_order_release);
    FreeIfDone(part.chunk, chunk);
  }
}

void ArenaReader::EndImage(uint32_t image) {
  for (auto& [number, chunk] : chunks_) {
    if (chunk->writer.image == image) chunk->ended = true;
  }
}

void ArenaReader::ForgetImage(uint32_t image) {
  images_.erase(image);
  absl::erase_if(writers_,
                 [image](const auto& entry) { return entry.first.image == image && entry.second.chunks.empty(); });
}

void ArenaReader::FreeClaimed(uint32_t slot) {
  for (uint32_t s = 0; s < arena_.segments(); ++s) {
    for (uint32_t i = 0; i < kChunksPerSegment; ++i) {
      std::atomic<uint32_t>& state = arena_.chunk(s, i).state;
      uint32_t claimed = abi::ClaimedBy(slot);
      if (state.load(std::memory_order_relaxed) != claimed) continue;
      if (state.compare_exchange_strong(claimed, abi::kChunkFree)) ++freed_;
    }
  }
}

bool ArenaReader::HasChunks(uint32_t image) const {
  return std::any_of(chunks_.begin(), chunks_.end(),
                     [image](const auto& entry) { return entry.second->writer.image == image && !entry.second->bad; });
}

std::vector<WriterKey> ArenaReader::QuietWriters(uint64_t quiet_since_ns) const {
  std::vector<WriterKey> quiet;
  for (const WriterKey& key : active_) {
    const Writer& writer = writers_.find(key)->second;
    if (writer.chunks.size() != 1) continue;
    const Chunk& chunk = *chunks_.find(writer.chunks.begin()->second)->second;
    if (chunk.changed_ns < quiet_since_ns && AvailableOf(chunk).end == chunk.taken) quiet.push_back(key);
  }
  return quiet;
}

void ArenaReader::EndWriter(const WriterKey& key) {
  const auto writer = writers_.find(key);
  if (writer == writers_.end()) return;
  for (const auto& [sequence, number] : writer->second.chunks) chunks_.find(number)->second->ended = true;
}

std::vector<ThreadInCallHint> ArenaReader::CallsInProgress() const {
  std::vector<ThreadInCallHint> hints;
  for (const auto& [number, chunk] : chunks_) {
    if (chunk->bad) continue;
    const abi::ChunkHeader& shared = header(*chunk);
    const uint32_t call = shared.in_call.load(std::memory_order_relaxed);
    if (call == 0) continue;
    hints.push_back({chunk->writer, call, shared.in_fd.load(std::memory_order_relaxed),
                     SinceStart(shared.in_start_ns.load(std::memory_order_relaxed))});
  }
  return hints;
}

}  // namespace socktale
