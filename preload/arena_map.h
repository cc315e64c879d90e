// SPDX-License-Identifier: Apache-2.0
//
// The arena as this process sees it: the mapped parts of the file, chunks taken from it and given away, drops counted.
// abi/arena_abi.h is the layout. No descriptor is kept: further windows are duplicated from mapped ones (mremap).
//
// The chunk headers and the data of a segment are mapped in windows of 512 KiB on demand, so that a small program maps
// little more than a megabyte: limits on address space and on locked memory count what is mapped.

#ifndef SOCKTALE_PRELOAD_ARENA_MAP_H_
#define SOCKTALE_PRELOAD_ARENA_MAP_H_

#include <stddef.h>
#include <stdint.h>

#include "preload/abi/arena_abi.h"

namespace socktale::arena {

// Null until Map(); never changes afterwards.
extern constinit abi::ArenaHeader* header;
extern constinit abi::ProcessSlot* slots;  // [abi::kMaxProcesses]

// Maps the header and the process slots of the file open as `fd`, which the caller closes. False: not an arena of this
// ABI, hook table and token, or no address space; nothing is mapped then. token: 16 bytes.
bool Map(int fd, const uint8_t* token);

// Chunks are numbered through the file: segment * kChunksPerSegment + index in the segment.
struct Chunk {
  uint32_t number = 0;
  abi::ChunkHeader* header = nullptr;  // null: no chunk
  uint8_t* data = nullptr;
  uint32_t capacity = 0;  // bytes
};

enum class Taken {
  kYes,
  kNo,     // no room, and not waiting for it (any more): the caller counts the drop
  kQuiet,  // the collector is done or gone: process_mode has been changed, nothing more to record
};

// The chunks of the largest class that one writer sealed last, oldest first. What streams data takes them in turn: they
// stay in the processor's cache from the writer to the collector to the file, where new memory is dear.
struct Backlog {
  static constexpr uint32_t kMost = 16;  // 1 MiB
  uint32_t numbers[kMost];
  uint32_t first;
  uint32_t count;
  bool impatient;  // the oldest did not come back in time: not waited for until it does

  uint32_t oldest() const { return numbers[first % kMost]; }
  uint32_t latest(uint32_t nth) const { return numbers[(first + count - nth) % kMost]; }  // nth: 1 to count
  void DropOldest() {
    ++first;
    --count;
  }
  void Add(uint32_t number) {
    if (count == kMost) DropOldest();
    numbers[(first + count++) % kMost] = number;
  }
};

// Who takes chunks.
struct Taker {
  uint32_t slot;  // this process's
  uint32_t tid;
  Backlog& backlog;  // the writer's
};

// Takes a free chunk and marks it ClaimedBy(taker.slot): of `size_class` if there is one, else of another that holds
// `least` bytes. One of the largest class comes from the backlog if that is long, for which the collector is waited a
// little while. Then chunks that this process touched before come first, then the lowest numbers from the slot's on,
// this process's; a chunk touched for the first time is populated. Without room: waits for the collector while that
// lives, moves and makes room, unless --on-full drop; does not wait when free chunks cannot be mapped here.
Taken Take(uint32_t size_class, size_t least, const Taker& taker, Chunk& chunk);

// The chunk's header, mapped if need be; null when that fails.
abi::ChunkHeader* HeaderOf(uint32_t number);

// Seals every open chunk that `image` holds for thread `tid` from before `thread_start_ns`: their owner was another
// thread with the same number, and is gone. Looks at chunks this process touched.
void SealLeftBehind(uint32_t image, uint32_t tid, uint64_t thread_start_ns);

// Maps windows of each size class for the time when none can be mapped any more: the chunks that this process's slot is
// tried first. What cannot be mapped is left.
void MapAhead(uint32_t slot);

// After fork: the pages that the parent touched are not in this process's page tables.
void ForgetTouched();

// In a forked child whose interrupted code will go on writing into its parent's chunk: puts empty private memory over
// all chunks and their headers. Nothing can be recorded by this process from then on; drops are still counted.
void CoverWithPrivateMemory();

// Counts an event, with `bytes` of payload, that is not in the trace. slot: index of this process's slot.
void CountDrop(abi::DropCause cause, uint64_t bytes, uint32_t slot);

}  // namespace socktale::arena

#endif  // SOCKTALE_PRELOAD_ARENA_MAP_H_
