// SPDX-License-Identifier: Apache-2.0
//
// The input is the mapped arena: written over its chunk headers, slots and data, piece by piece, while the reader takes
// from it.

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "collector/arena.h"
#include "collector/arena_reader.h"

namespace socktale {
namespace {

// Where the next piece goes, and its bytes; taken off the front of the input.
struct Piece {
  char* place = nullptr;
  size_t size = 0;
};

Arena& TheArena() {
  static Arena arena = [] {
    char directory[] = "/dev/shm/socktale-fuzz-XXXXXX";
    if (mkdtemp(directory) == nullptr) std::abort();
    auto created = Arena::Create(
        {directory},
        {.trace_path = "/x", .payload_limit = 0, .options = 0, .first_bytes = 128 << 10, .limit_bytes = 128 << 10});
    if (!created.ok()) std::abort();
    created->Remove();
    rmdir(directory);
    return *std::move(created);
  }();
  return arena;
}

// First indexes of a few usable chunks of each class.
constexpr uint32_t kChunks[] = {0, 1, 2, 1408, 1409, 1408 + 1152};

Piece PieceFor(const Arena& arena, uint8_t selector) {
  const uint32_t chunk = kChunks[selector / 4 % std::size(kChunks)];
  switch (selector % 4) {
    case 0:
      return {reinterpret_cast<char*>(&arena.chunk(0, chunk)), sizeof(abi::ChunkHeader)};
    case 1:
      return {const_cast<char*>(arena.data(0, chunk)), 256};
    case 2:
      return {reinterpret_cast<char*>(&arena.slot(selector % 3)), sizeof(abi::ProcessSlot)};
    default:
      return {reinterpret_cast<char*>(&arena.header().chunks_taken), sizeof(uint32_t)};
  }
}

// A chunk that makes sense, so that the fuzzer need not find one by chance.
void Prepare(const Arena& arena) {
  for (const uint32_t index : kChunks) {
    abi::ChunkHeader& chunk = arena.chunk(0, index);
    std::memset(static_cast<void*>(&chunk), 0, sizeof chunk);
    chunk.image = 1;
    chunk.tid = index % 2;
    chunk.sequence = index % 2 == 0 ? index / 2 + 1 : 1;
    chunk.committed = 256;
    chunk.state = index % 3 == 0 ? abi::kChunkSealed : abi::kChunkOpen;
  }
  std::memset(static_cast<void*>(&arena.slot(0)), 0, 3 * sizeof(abi::ProcessSlot));
  arena.slot(0).image = 1;
  arena.slot(0).state = abi::kSlotLive;
}

}  // namespace
}  // namespace socktale

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace socktale;
  Arena& arena = TheArena();
  Prepare(arena);
  ArenaReader reader(&arena, [](uint32_t, const EventView&) {});
  while (size > 1) {
    const Piece piece = PieceFor(arena, data[0]);
    const bool look = data[0] >= 128;
    const size_t n = std::min(piece.size, size - 1);
    std::memcpy(piece.place, data + 1, n);
    data += n + 1;
    size -= n + 1;
    if (!look && size > 1) continue;
    reader.Look(true);
    (void)reader.Measure();
    std::string out;
    RunTotals totals;
    absl::flat_hash_set<uint32_t> images;
    std::vector<ArenaReader::Taken> taken;
    reader.BeginPass();
    while (reader.TakeInto(out, 100, n % 2 == 0, 1000, totals, images, taken)) out.clear();
    // What was taken must be whole Runs of whole events.
    absl::string_view rest = out;
    RunView run;
    for (bool found = true; found;) {
      if (!NextRun(rest, run, found).ok()) std::abort();
      absl::string_view events = run.events, event;
      for (bool more = found; more;) {
        if (!NextEvent(events, event, more).ok()) std::abort();
      }
    }
    if (totals.events > 0 && (totals.first_ns > 1000 || totals.last_ns > 1000)) std::abort();
    reader.Written(taken);
    (void)reader.CallsInProgress();
    for (const WriterKey& writer : reader.QuietWriters(UINT64_MAX)) reader.EndWriter(writer);
    if (n % 5 == 0) reader.EndImage(1);
    if (n % 10 == 0) reader.ForgetImage(1);
  }
  return 0;
}
