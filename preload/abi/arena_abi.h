// SPDX-License-Identifier: Apache-2.0
//
// The shared memory between traced programs (the shim writes) and the collector (reads, hands chunks back).
// docs/arena-abi.md explains it with pictures; this header is the reference. It includes nothing of ours, and both
// sides trust nothing they read from it: copy a value, check the copy, use the copy.
//
//   file offset 0                      kHeaderBytes                 + kSegmentBytes        ...
//   | ArenaHeader | ProcessSlot[4096] | segment 0                  | segment 1           | ...
//   (a hole fills what the header leaves of 2 MiB, so that segments begin where a huge page may)
//
//   segment:  | ChunkHeader[kChunksPerSegment], padded to 512 KiB | 4 KiB chunks | 16 KiB chunks | 64 KiB chunks |
//
// A chunk holds `repeated Event event = 3` of message Run (proto/trace.proto) as protobuf bytes: tag 0x1a, length as a
// varint (padded to a fixed width: the shim reserves before it knows the size), Event bytes; one after another.

#ifndef SOCKTALE_PRELOAD_ABI_ARENA_ABI_H_
#define SOCKTALE_PRELOAD_ABI_ARENA_ABI_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace socktale::abi {

inline constexpr uint64_t kArenaMagic = 0x314152454c415431;  // "1TALERA1" as bytes
inline constexpr uint32_t kAbiMajor = 2;  // raised when an older collector or shim would misread
inline constexpr uint32_t kAbiMinor = 0;  // raised when fields are added at an end

inline constexpr uint32_t kMaxProcesses = 4096;  // process images alive (or not yet drained) at one time
inline constexpr uint32_t kMaxSegments = 64;     // 4 GiB
inline constexpr uint64_t kSegmentBytes = 64ull << 20;
inline constexpr uint32_t kSizeClasses = 3;
inline constexpr uint32_t kChunkBytes[kSizeClasses] = {4096, 16384, 65536};
// 512 KiB headers + 1408 × 4 KiB (5.5 MiB) + 1152 × 16 KiB (18 MiB) + 640 × 64 KiB (40 MiB) = 64 MiB
inline constexpr uint32_t kChunkCount[kSizeClasses] = {1408, 1152, 640};
inline constexpr uint32_t kChunksPerSegment = 1408 + 1152 + 640;
inline constexpr uint64_t kChunkHeadersBytes = 512 << 10;

// Causes of drops; the index of ArenaHeader::drops. A trace has the same numbers (Drop.cause of proto/trace.proto).
enum DropCause : uint32_t {
  kDropFull = 0,       // no free chunk, and --on-full drop or no collector to wait for
  kDropNested = 1,     // more signal handlers inside one another than a thread has levels
  kDropTooBig = 2,     // an event without payload that fits no chunk
  kDropUnattached = 3, // the call came before this process could attach
  kDropNoSlot = 4,     // kMaxProcesses images at once
  kDropShared = 5,     // a clone()d child ran on this thread's own memory beside it
  kDropConfined = 6,   // a seccomp filter of the program's keeps the shim from asking the kernel for what it needs
  kDropCauses = 8,
};

// Bits of ArenaHeader::options.
enum ArenaOption : uint32_t {
  kOptionDropWhenFull = 1,  // --on-full drop
  kOptionPipeData = 2,      // --io pipes: keep reads and writes of pipes
  kOptionFileData = 4,      // --io files: keep reads and writes of files and everything else
};

// States of ArenaHeader::collector_state.
enum CollectorState : uint32_t {
  kCollectorStarting = 0,
  kCollectorRunning = 1,
  kCollectorDone = 2,  // told the shims to go quiet: trace sealed, or recording stopped
  kCollectorDead = 3,  // a waiting shim found its heartbeat stopped and its process gone; drops are counted
};

// Values of ArenaHeader::collector_futex.
enum CollectorSleep : uint32_t {
  kCollectorAwake = 0,
  kCollectorAsleep = 1,  // for up to 10 ms
  kCollectorCalled = 2,  // by a shim, out of its sleep
  kCollectorAway = 3,    // nobody can be called any more
};

// How a shim tells the time by the processor's time stamp counter: ns of CLOCK_MONOTONIC =
// base_ns + (ticks - base_ticks) * mult / 2^32. Written by the collector alone, which goes on adjusting it (collector/shared_clock.h); read by
// preload/abi/shared_clock.h.
struct SharedClock {
  std::atomic<uint32_t> sequence;  // odd while the rest changes; raised before and after
  uint32_t reserved;
  std::atomic<uint64_t> base_ticks;
  std::atomic<uint64_t> base_ns;
  std::atomic<uint64_t> mult;  // 0: the counter cannot be used, or not yet: ask the kernel
};

// Page 0. Written by the collector unless a field says otherwise.
struct ArenaHeader {
  uint64_t magic;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint64_t hooks_hash;      // of hooks.def; a shim with another one stays inert
  uint64_t base_ns;         // CLOCK_MONOTONIC when the trace began; every time in the trace counts from here
  uint64_t payload_limit;   // bytes to keep per descriptor life and direction; UINT64_MAX: all
  uint32_t options;         // ArenaOption bits
  uint32_t collector_pid;   // in the collector's pid namespace
  uint64_t collector_pid_namespace;  // inode of its /proc/self/ns/pid: only there does collector_pid mean anything
  uint8_t token[16];        // the session's random token; the attach server compares it

  alignas(64) std::atomic<uint32_t> collector_state;  // CollectorState; shims may store kCollectorDead
  std::atomic<uint32_t> segments;         // segments allocated, 1 to kMaxSegments; release after fallocate
  std::atomic<uint64_t> heartbeat;        // raised at every poll of the collector
  std::atomic<uint32_t> room_futex;       // raised and woken (FUTEX_WAKE, shared) when chunks were given back or a segment added
  std::atomic<uint32_t> collector_futex;  // CollectorSleep; a shim that changes Asleep to Called wakes it (FUTEX_WAKE)

  alignas(64) std::atomic<uint32_t> next_image;  // shims: fetch_add gives a process image its number, from 1
  std::atomic<uint32_t> chunks_taken;            // shims: fetch_add per chunk taken (the collector's measure of pressure)
  std::atomic<uint32_t> waiters;                 // 1: raised by a thread that is about to wait for room; cleared by the
                                                 // collector (exchange) when it wakes them

  alignas(64) std::atomic<uint64_t> drops[kDropCauses];  // shims: events dropped, by cause
  std::atomic<uint64_t> dropped_bytes[kDropCauses];      // shims: their payload bytes, by cause

  alignas(64) SharedClock clock;
};
static_assert(sizeof(ArenaHeader) <= 4096);

enum SlotState : uint32_t { kSlotFree = 0, kSlotClaimed = 1, kSlotLive = 2 };

// One process image: what a shim between attach and exec or exit is. Claimed by the shim (CAS state Free → Claimed),
// filled, then published (Live, release). Freed by the collector alone, after it drained the image's chunks.
struct ProcessSlot {
  std::atomic<uint32_t> state;  // SlotState
  uint32_t image;               // number of this image in the trace, from next_image: Run.image
  uint32_t pid;                 // as the process sees itself
  uint32_t parent_image;        // image that forked or exec'd into this one; 0: none known
  uint64_t start_ticks;         // field 22 of /proc/self/stat, or 0 when unreadable: tells two uses of a pid apart
  uint64_t pid_namespace;       // inode of /proc/self/ns/pid
  std::atomic<uint64_t> drops;  // events dropped by this image
  uint64_t reserved[3];
};
static_assert(sizeof(ProcessSlot) == 64);

inline constexpr uint64_t kHeaderMappedBytes = 4096 + sizeof(ProcessSlot) * kMaxProcesses;
inline constexpr uint64_t kHeaderBytes = 2 << 20;
static_assert(kHeaderMappedBytes % 4096 == 0 && kHeaderMappedBytes <= kHeaderBytes);

enum ChunkState : uint32_t {
  kChunkFree = 0,
  kChunkClaimed = 1,  // withheld, or (ClaimedBy) a writer is filling the fields below; the reader leaves it alone
  kChunkOpen = 2,     // fields are valid; `committed` grows
  kChunkSealed = 3,   // `committed` is final; the reader frees it once drained
};

// The state of a chunk claimed by the writers of a process slot: by it the collector finds, before it frees the slot,
// chunks whose writer was killed before they were Open, and frees them (CAS). Compare states with the three others.
constexpr uint32_t ClaimedBy(uint32_t slot) { return kChunkClaimed | (slot + 1) << 8; }

// One chunk. `state` is claimed by CAS Free → ClaimedBy(slot) and stored with release from then on; `committed` is the
// one store that publishes events (release; pairs with the reader's acquire). Only the reader stores kChunkFree.
struct ChunkHeader {
  std::atomic<uint32_t> state;      // ChunkState
  std::atomic<uint32_t> committed;  // bytes of whole events from the chunk's start
  uint32_t image;                   // ProcessSlot::image of the owner
  uint32_t tid;                     // thread as the process sees it
  uint32_t level;                   // signal nesting level, from 0
  uint32_t slot;                    // index of the owner's ProcessSlot
  uint64_t sequence;                // 1, 2, … per (image, tid, level, thread_start): the order of this owner's chunks
  uint64_t base_ns;                 // Event.start_ns counts from base_ns + this, i.e. Run.base_ns
  uint64_t thread_start_ns;         // CLOCK_MONOTONIC when the owner took its first chunk: tells two threads with one tid apart
  std::atomic<uint32_t> drained;    // collector: bytes that stand in the trace file; the writer never reads it
  uint32_t reserved;

  // The recorded call that the owner is inside of now, so that a trace can say "in recv since +3.1 s". Relaxed stores
  // on a line of their own; in_call is 0 outside of calls. A hint: a reader may catch it half changed.
  alignas(64) std::atomic<uint64_t> in_start_ns;  // entry time, CLOCK_MONOTONIC
  std::atomic<int32_t> in_fd;
  std::atomic<uint32_t> in_call;  // Call of proto/event.proto
};
static_assert(sizeof(ChunkHeader) == 128 && offsetof(ChunkHeader, drained) == 48);
static_assert(kChunksPerSegment * sizeof(ChunkHeader) <= kChunkHeadersBytes);
static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<ChunkHeader> && std::is_trivially_destructible_v<ArenaHeader>);

// Chunks are numbered through a segment: first those of class 0, then 1, then 2.
constexpr uint32_t ClassOfChunk(uint32_t index) {
  return index < kChunkCount[0] ? 0 : index < kChunkCount[0] + kChunkCount[1] ? 1 : 2;
}

// Byte offset of a chunk's data from the start of its segment. index: below kChunksPerSegment.
constexpr uint64_t ChunkDataOffset(uint32_t index) {
  uint64_t offset = kChunkHeadersBytes;
  for (uint32_t c = 0; c < kSizeClasses; ++c) {
    if (index < kChunkCount[c]) return offset + uint64_t{index} * kChunkBytes[c];
    index -= kChunkCount[c];
    offset += uint64_t{kChunkCount[c]} * kChunkBytes[c];
  }
  return offset;
}
static_assert(ChunkDataOffset(kChunksPerSegment) == kSegmentBytes);

// The first 64 KiB chunks lie in huge pages where the collector can have them: whoever maps such a page whole and aligned
// touches it once.
inline constexpr uint64_t kHugePageBytes = 2 << 20;
inline constexpr uint64_t kHugePagesOffset = ChunkDataOffset(kChunkCount[0] + kChunkCount[1]);  // in a segment
static_assert(kHeaderBytes % kHugePageBytes == 0 && kSegmentBytes % kHugePageBytes == 0 &&
              kHugePagesOffset % kHugePageBytes == 0);

// The one environment variable of a session: "1,<32 hex digits of the token>,<abstract socket name>,<arena path>".
// The socket is named "socktale-<uid of the collector>-<hex digits>": anyone may take an abstract name.
// The path comes last and may hold commas. LD_PRELOAD carries the shim's path before the user's own entries.
inline constexpr char kAttachVariable[] = "SOCKTALE_ATTACH";

// What a shim sends over the abstract socket to be given the arena's descriptor (SCM_RIGHTS, one byte of data: 1 given,
// 0 refused), when the arena's path cannot be opened.
struct AttachRequest {
  uint64_t magic;  // kArenaMagic
  uint8_t token[16];
};
static_assert(sizeof(AttachRequest) == 24);

}  // namespace socktale::abi

#endif  // SOCKTALE_PRELOAD_ABI_ARENA_ABI_H_
