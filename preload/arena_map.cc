// SPDX-License-Identifier: Apache-2.0

#include "preload/arena_map.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "preload/abi/hooks_hash.h"
#include "preload/attach.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale::arena {

constinit abi::ArenaHeader* header = nullptr;
constinit abi::ProcessSlot* slots = nullptr;

namespace {

constexpr uint64_t kWindowBytes = 512 << 10;
constexpr uint32_t kWindowsPerSegment = abi::kSegmentBytes / kWindowBytes;
constexpr uint32_t kWindows = abi::kMaxSegments * kWindowsPerSegment;
static_assert(abi::kChunkHeadersBytes == kWindowBytes, "a segment's chunk headers are its first window");
static_assert(kWindowBytes % abi::kChunkBytes[2] == 0 &&
                  abi::ChunkDataOffset(abi::kChunkCount[0]) % kWindowBytes == 0 &&
                  abi::kHugePagesOffset % kWindowBytes == 0,
              "no chunk straddles two windows");
constexpr uint32_t kWindowsPerHugePage = abi::kHugePageBytes / kWindowBytes;
constexpr uint32_t kFirstHugeWindow = abi::kHugePagesOffset / kWindowBytes;  // of a segment

constinit std::atomic<uint8_t*> windows[kWindows];

// One bit per chunk: this process has its pages.
constexpr uint32_t kWordsPerSegment = abi::kChunksPerSegment / 64;
static_assert(abi::kChunksPerSegment % 64 == 0 && abi::kChunkCount[0] % 64 == 0 && abi::kChunkCount[1] % 64 == 0);
constinit std::atomic<uint64_t> touched[abi::kMaxSegments][kWordsPerSegment];

// Most touched chunks of one class to look at before an untouched one is taken: a process that holds thousands must
// not walk them all for every chunk.
constexpr uint32_t kMostTouchedTried = 128;
constexpr uint32_t kLowestTried = 4;
// Per class, the touched chunk that was taken last when the lowest were not free. A hint.
constinit std::atomic<uint32_t> taken_last[abi::kSizeClasses];

constexpr uint64_t kWaitNs = 100'000'000;        // one wait for room; then the collector is looked after
constexpr uint64_t kPatienceNs = 2'000'000'000;  // a collector whose heart stands still this long is not waited for
constexpr uint32_t kChunksPerWake = 64;          // a sleeping collector is woken at every 64th chunk taken
constexpr uint32_t kBacklogPerWake = Backlog::kMost / 2;  // and when so many wait for it in one backlog
// The oldest chunk of a backlog is waited for while room is made for anybody at least so often, and so long in all.
constexpr uint64_t kBacklogWaitNs = 10'000'000;
constexpr uint64_t kBacklogPatienceNs = 200'000'000;

// Heartbeat at which patience ended, plus 1: until the heart moves again, nobody waits. 0: patient.
constinit std::atomic<uint64_t> gave_up_at{0};

// room_futex at which patience ended although the heart beats, plus 1: all chunks are held by threads that live and
// write nothing. Until room is made, nobody waits. 0: patient.
constinit std::atomic<uint64_t> stuck_at{0};

// First index, in a segment, of the chunks of a class.
constexpr uint32_t FirstOfClass(uint32_t size_class) {
  uint32_t first = 0;
  for (uint32_t c = 0; c < size_class; ++c) first += abi::kChunkCount[c];
  return first;
}

// Maps the window that begins `skipped` bytes behind `source` once more: mremap with an old size of 0 maps the same
// file again (mremap(2)), longer than before, and all but the wanted end is unmapped. Null: no room for all of that.
uint8_t* Duplicate(const uint8_t* source, uint64_t skipped) {
  const long base =
      RawSyscall(SYS_mremap, RawPointer(source), 0, static_cast<long>(skipped + kWindowBytes), MREMAP_MAYMOVE);
  if (base < 0 && base > -4096) return nullptr;
  RawSyscall(SYS_munmap, base, static_cast<long>(skipped));
  return reinterpret_cast<uint8_t*>(base + static_cast<long>(skipped));
}

// The same in steps of one window, which need the addresses of three windows at a time: under a tight limit.
uint8_t* DuplicateInSteps(const uint8_t* source, uint64_t skipped) {
  uint8_t* window = nullptr;
  while (skipped > 0) {
    const uint64_t step = skipped < kWindowBytes ? skipped : kWindowBytes;
    uint8_t* const next = Duplicate(window != nullptr ? window : source, step);
    if (window != nullptr) RawSyscall(SYS_munmap, RawPointer(window), kWindowBytes);
    if (next == nullptr) return nullptr;
    window = next;
    skipped -= step;
  }
  return window;
}

// Where a window's pages are to be had from: the nearest window below it that is mapped, or the header.
struct Source {
  const uint8_t* mapped;
  uint64_t skipped;  // bytes from there to the window, in the file
};

Source SourceOf(uint32_t number) {
  for (uint32_t below = number; below-- > 0 && number - below < kWindowsPerSegment;) {
    if (const uint8_t* mapped = windows[below].load(std::memory_order_acquire)) {
      return {mapped, uint64_t{number - below} * kWindowBytes};
    }
  }
  return {reinterpret_cast<uint8_t*>(header), abi::kHeaderBytes + uint64_t{number} * kWindowBytes};
}

bool AddressSpaceIsLimited() {
  uint64_t limit[2] = {};  // struct rlimit64
  return RawSyscall(SYS_prlimit64, 0, RLIMIT_AS, 0, RawPointer(limit)) != 0 || limit[0] != RLIM_INFINITY;
}

// Maps the windows of the huge page that window `number` is part of, if there may be one there, at an address where one
// touch maps it whole. Null: there is none, or no room, or some of these windows are mapped.
uint8_t* MapHugePage(uint32_t number) {
  if (number % kWindowsPerSegment < kFirstHugeWindow || AddressSpaceIsLimited()) return nullptr;
  const uint32_t first = number - (number - kFirstHugeWindow) % kWindowsPerHugePage;
  for (uint32_t i = 0; i < kWindowsPerHugePage; ++i) {
    if (windows[first + i].load(std::memory_order_relaxed) != nullptr) return nullptr;
  }
  const Source source = SourceOf(first);
  const uint64_t room = source.skipped + 2 * abi::kHugePageBytes;
  const long base =
      RawSyscall(SYS_mmap, 0, static_cast<long>(room), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base < 0 && base > -4096) return nullptr;
  const uint64_t begin = static_cast<uint64_t>(base);
  const uint64_t page = (begin + source.skipped + abi::kHugePageBytes - 1) / abi::kHugePageBytes * abi::kHugePageBytes;
  const long moved =
      RawSyscall(SYS_mremap, RawPointer(source.mapped), 0, static_cast<long>(source.skipped + abi::kHugePageBytes),
                 MREMAP_MAYMOVE | MREMAP_FIXED, static_cast<long>(page - source.skipped));
  if (moved < 0 && moved > -4096) {
    RawSyscall(SYS_munmap, base, static_cast<long>(room));
    return nullptr;
  }
  const uint64_t page_end = page + abi::kHugePageBytes;
  if (page > begin) RawSyscall(SYS_munmap, base, static_cast<long>(page - begin));
  if (begin + room > page_end) {
    RawSyscall(SYS_munmap, static_cast<long>(page_end), static_cast<long>(begin + room - page_end));
  }
  RawSyscall(SYS_madvise, static_cast<long>(page), abi::kHugePageBytes, MADV_DONTDUMP);
  for (uint32_t i = 0; i < kWindowsPerHugePage; ++i) {
    uint8_t* expected = nullptr;
    uint8_t* const window = reinterpret_cast<uint8_t*>(page) + i * kWindowBytes;
    if (!windows[first + i].compare_exchange_strong(expected, window, std::memory_order_acq_rel)) {
      RawSyscall(SYS_munmap, RawPointer(window), kWindowBytes);  // another thread was faster
    }
  }
  return windows[number].load(std::memory_order_acquire);
}

// Maps window `number`. Null: it cannot be mapped (limits on address space, locked memory or the number of mappings).
uint8_t* MapWindow(uint32_t number) {
  if (uint8_t* const window = MapHugePage(number)) return window;
  const auto [source, skipped] = SourceOf(number);
  uint8_t* window = Duplicate(source, skipped);
  if (window == nullptr) window = DuplicateInSteps(source, skipped);
  if (window == nullptr) return nullptr;
  RawSyscall(SYS_madvise, RawPointer(window), kWindowBytes, MADV_DONTDUMP);
  uint8_t* expected = nullptr;
  if (windows[number].compare_exchange_strong(expected, window, std::memory_order_acq_rel)) return window;
  RawSyscall(SYS_munmap, RawPointer(window), kWindowBytes);  // another thread was faster
  return expected;
}

uint8_t* Window(uint32_t number) {
  uint8_t* const window = windows[number].load(std::memory_order_acquire);
  return window != nullptr ? window : MapWindow(number);
}

uint32_t Segments() {
  const uint32_t segments = header->segments.load(std::memory_order_acquire);
  return segments <= abi::kMaxSegments ? segments : abi::kMaxSegments;
}

// One search for a chunk.
struct Search {
  static constexpr uint32_t kNone = ~uint32_t{0};
  const uint32_t claimed;       // the state of a chunk that we claim
  uint32_t unmappable = kNone;  // the last window that could not be mapped; it holds free chunks, or headers

  // Null, without asking the kernel again and again, for the window that just failed.
  uint8_t* Map(uint32_t number) {
    if (number == unmappable) return nullptr;
    uint8_t* const window = Window(number);
    if (window == nullptr) unmappable = number;
    return window;
  }
};

// Claims the chunk if it is free and can be mapped.
bool Claim(uint32_t number, bool is_touched, Search& search, Chunk& chunk) {
  const uint32_t segment = number / abi::kChunksPerSegment;
  const uint32_t index = number % abi::kChunksPerSegment;
  uint8_t* const headers = search.Map(segment * kWindowsPerSegment);
  if (headers == nullptr) return false;
  abi::ChunkHeader* const chunk_header = reinterpret_cast<abi::ChunkHeader*>(headers) + index;
  uint32_t state = chunk_header->state.load(std::memory_order_relaxed);
  if (state != abi::kChunkFree) return false;
  const uint64_t offset = abi::ChunkDataOffset(index);
  uint8_t* const window = search.Map(segment * kWindowsPerSegment + static_cast<uint32_t>(offset / kWindowBytes));
  if (window == nullptr) return false;
  // Acquire: the collector's reading of the chunk's last content is over.
  if (!chunk_header->state.compare_exchange_strong(state, search.claimed, std::memory_order_acquire,
                                                   std::memory_order_relaxed)) {
    return false;
  }
  chunk = {number, chunk_header, window + offset % kWindowBytes, abi::kChunkBytes[abi::ClassOfChunk(index)]};
  if (!is_touched) {
    // One call instead of a page fault per 4 KiB. Kernels before 5.14 refuse; the pages then come one by one.
    RawSyscall(SYS_madvise, RawPointer(chunk.data), chunk.capacity, MADV_POPULATE_WRITE);
    touched[segment][index / 64].fetch_or(uint64_t{1} << index % 64, std::memory_order_relaxed);
  }
  return true;
}

// Tries the touched chunks of a class from `from` on, a number of one of them (segment * kChunksPerSegment + index), at
// most `most` of them. Leaves in `from` where it ended.
bool TakeTouchedFrom(uint32_t size_class, uint32_t segments, uint32_t most, Search& search, uint32_t& from,
                     Chunk& chunk) {
  const uint32_t first_word = FirstOfClass(size_class) / 64;
  const uint32_t words = abi::kChunkCount[size_class] / 64;
  uint32_t nth = from / abi::kChunksPerSegment * words + (from % abi::kChunksPerSegment / 64 - first_word);
  uint64_t mask = ~uint64_t{0} << from % 64;
  for (; nth < segments * words; ++nth, mask = ~uint64_t{0}) {
    const uint32_t segment = nth / words;
    const uint32_t word = first_word + nth % words;
    uint64_t bits = touched[segment][word].load(std::memory_order_relaxed) & mask;
    for (; bits != 0; bits &= bits - 1) {
      if (most-- == 0) return false;
      const uint32_t index = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      from = segment * abi::kChunksPerSegment + index;
      if (Claim(from, true, search, chunk)) return true;
    }
  }
  return false;
}

bool TakeTouched(uint32_t size_class, uint32_t segments, Search& search, Chunk& chunk) {
  // The lowest ones, so that a process in no hurry stays on few pages; then those after the one taken last, for the
  // lowest ones of a process in a hurry are still full, and walking past them costs a cache miss each.
  uint32_t at = FirstOfClass(size_class);
  if (TakeTouchedFrom(size_class, segments, kLowestTried, search, at, chunk)) return true;
  uint32_t next = taken_last[size_class].load(std::memory_order_relaxed);
  if (next < at) next = at;
  if (!TakeTouchedFrom(size_class, segments, kMostTouchedTried, search, next, chunk)) {
    next = at;  // once around
    if (!TakeTouchedFrom(size_class, segments, kMostTouchedTried, search, next, chunk)) return false;
  }
  taken_last[size_class].store(next, std::memory_order_relaxed);
  return true;
}

bool TakeUntouched(uint32_t size_class, uint32_t segments, uint32_t start, Search& search, Chunk& chunk) {
  const uint32_t count = abi::kChunkCount[size_class];
  const uint32_t total = segments * count;
  for (uint32_t i = 0; i < total; ++i) {
    const uint32_t nth = (start + i) % total;
    const uint32_t segment = nth / count;
    const uint32_t index = FirstOfClass(size_class) + nth % count;
    const bool is_touched = (touched[segment][index / 64].load(std::memory_order_relaxed) >> index % 64 & 1) != 0;
    if (Claim(segment * abi::kChunksPerSegment + index, is_touched, search, chunk)) return true;
  }
  return false;
}

bool TryTake(uint32_t wanted_class, size_t least, uint32_t start, Search& search, Chunk& chunk) {
  const uint32_t segments = Segments();
  // The class wanted, then larger ones, then smaller ones.
  for (uint32_t i = 0; i < abi::kSizeClasses; ++i) {
    const uint32_t size_class = wanted_class + i < abi::kSizeClasses ? wanted_class + i : abi::kSizeClasses - 1 - i;
    if (abi::kChunkBytes[size_class] < least) continue;
    if (TakeTouched(size_class, segments, search, chunk) || TakeUntouched(size_class, segments, start, search, chunk))
      return true;
  }
  return false;
}

// Follows a collector that is done or dead into silence. True: nothing more is to be recorded. (Not by a forked child
// either that got here in the midst of its parent's search: see CoverWithPrivateMemory.)
bool FollowCollector() {
  const uint32_t state = header->collector_state.load(std::memory_order_relaxed);
  if (state == abi::kCollectorDone) process_mode.store(kModeQuiet, std::memory_order_relaxed);
  if (state == abi::kCollectorDead) process_mode.store(kModeCounting, std::memory_order_relaxed);
  return process_mode.load(std::memory_order_relaxed) != kModeRecording;
}

void WakeCollector() {
  uint32_t asleep = abi::kCollectorAsleep;
  if (header->collector_futex.load() != asleep) return;
  if (header->collector_futex.compare_exchange_strong(asleep, abi::kCollectorCalled)) {
    RawSyscall(SYS_futex, RawPointer(&header->collector_futex), FUTEX_WAKE, INT_MAX);
  }
}

// Sleeps until room is made, unless it was since room_futex held `room`.
void WaitForRoom(uint32_t room, uint64_t most_ns) {
  header->waiters.store(1);  // a flag, not a count: a thread killed in the wait would never be counted off
  WakeCollector();
  const timespec timeout = {0, static_cast<long>(most_ns)};
  RawSyscall(SYS_futex, RawPointer(&header->room_futex), FUTEX_WAIT, static_cast<long>(room), RawPointer(&timeout));
}

// What became of a chunk that the taker sealed.
enum class Fate { kWaits, kFree, kAnothers };
Fate FateOf(uint32_t number, const Taker& taker) {
  const abi::ChunkHeader* const chunk = HeaderOf(number);
  const uint32_t state = chunk != nullptr ? chunk->state.load(std::memory_order_relaxed) : abi::kChunkClaimed;
  if (state == abi::kChunkFree) return Fate::kFree;
  const bool same = state == abi::kChunkSealed && chunk->slot == taker.slot && chunk->tid == taker.tid;
  return same ? Fate::kWaits : Fate::kAnothers;
}

// Takes the oldest chunk of the backlog if the collector has given it back; waits for it when the backlog is as long as
// it may be. False: the backlog may grow, or is not to be waited for.
bool TakeBack(const Taker& taker, Chunk& chunk) {
  Backlog& backlog = taker.backlog;
  // So that it drains the one half while the other is filled.
  if (backlog.count >= kBacklogPerWake && FateOf(backlog.latest(kBacklogPerWake), taker) == Fate::kWaits) {
    WakeCollector();
  }
  uint64_t waiting_ns = 0;  // since when
  uint64_t moved_ns = 0;    // when room was last seen to be made
  uint32_t last_room = 0;
  while (backlog.count > 0) {
    const uint32_t room = header->room_futex.load(std::memory_order_acquire);  // before looking: no wake is missed
    const uint32_t number = backlog.oldest();
    const Fate fate = FateOf(number, taker);
    if (fate == Fate::kFree) {
      Search search = {abi::ClaimedBy(taker.slot)};
      backlog.DropOldest();
      backlog.impatient = false;
      if (Claim(number, true, search, chunk)) return true;
      continue;
    }
    if (fate == Fate::kAnothers) {
      backlog.DropOldest();
      continue;
    }
    if (backlog.count < Backlog::kMost || backlog.impatient) return false;
    if ((header->options & abi::kOptionDropWhenFull) != 0) return false;
    const uint64_t now = Now();
    if (waiting_ns == 0) waiting_ns = now;
    if (moved_ns == 0 || room != last_room) moved_ns = now;
    last_room = room;
    if (Since(moved_ns, now) >= kBacklogWaitNs || Since(waiting_ns, now) >= kBacklogPatienceNs || FollowCollector()) {
      backlog.impatient = true;
      return false;
    }
    WaitForRoom(room, kBacklogWaitNs);
  }
  return false;
}

// True when the collector's process does not exist. Only its own pid namespace can tell.
bool CollectorIsGone() {
  struct stat ns;
  if (RawSyscall(SYS_newfstatat, -100 /* AT_FDCWD */, RawPointer("/proc/self/ns/pid"), RawPointer(&ns), 0) != 0 ||
      ns.st_ino != header->collector_pid_namespace || header->collector_pid == 0) {
    return false;
  }
  return RawSyscall(SYS_kill, static_cast<long>(header->collector_pid), 0) == -ESRCH;
}

}  // namespace

bool Map(int fd, const uint8_t* token) {
  struct stat file;
  if (RawSyscall(SYS_fstat, fd, RawPointer(&file)) != 0 ||
      static_cast<uint64_t>(file.st_size) < abi::kHeaderBytes + abi::kSegmentBytes) {
    return false;  // touching pages behind the file's end would be SIGBUS
  }
  const long base = RawSyscall(SYS_mmap, 0, abi::kHeaderMappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base < 0 && base > -4096) return false;
  RawSyscall(SYS_madvise, base, abi::kHeaderMappedBytes, MADV_DONTDUMP);
  auto* const mapped = reinterpret_cast<abi::ArenaHeader*>(base);
  if (mapped->magic != abi::kArenaMagic || mapped->abi_major != abi::kAbiMajor ||
      mapped->hooks_hash != abi::kHooksHash || __builtin_memcmp(mapped->token, token, sizeof mapped->token) != 0) {
    RawSyscall(SYS_munmap, base, abi::kHeaderMappedBytes);
    return false;
  }
  header = mapped;
  shared_clock = &mapped->clock;
  slots = reinterpret_cast<abi::ProcessSlot*>(base + 4096);
  return true;
}

abi::ChunkHeader* HeaderOf(uint32_t number) {
  uint8_t* const window = Window(number / abi::kChunksPerSegment * kWindowsPerSegment);
  if (window == nullptr) return nullptr;
  return reinterpret_cast<abi::ChunkHeader*>(window) + number % abi::kChunksPerSegment;
}

Taken Take(uint32_t size_class, size_t least, const Taker& taker, Chunk& chunk) {
  uint64_t heartbeat = 0;
  uint64_t heard_ns = 0;  // when the heart was last seen to move; 0: not waited yet
  uint32_t last_room = 0;
  uint64_t room_ns = 0;  // when room was last seen to be made
  for (;;) {
    if (FollowCollector()) return Taken::kQuiet;
    const uint32_t room = header->room_futex.load(std::memory_order_acquire);  // before looking: no wake is missed
    Search search = {abi::ClaimedBy(taker.slot)};
    const bool from_backlog = size_class == abi::kSizeClasses - 1 && TakeBack(taker, chunk);
    if (from_backlog || TryTake(size_class, least, taker.slot, search, chunk)) {
      if ((header->chunks_taken.fetch_add(1, std::memory_order_relaxed) + 1) % kChunksPerWake == 0) WakeCollector();
      return Taken::kYes;
    }
    if ((header->options & abi::kOptionDropWhenFull) != 0) return Taken::kNo;
    // No room on our side, which the collector cannot make. (But for one who is confined to what he has mapped.)
    if (search.unmappable != Search::kNone && !confinement::Active()) return Taken::kNo;

    const uint64_t beat = header->heartbeat.load(std::memory_order_relaxed);
    const uint64_t given_up = gave_up_at.load(std::memory_order_relaxed);
    if (given_up != 0 && given_up == beat + 1) return Taken::kNo;
    if (stuck_at.load(std::memory_order_relaxed) == uint64_t{room} + 1) return Taken::kNo;
    const uint64_t now = Now();
    if (room_ns == 0 || room != last_room) {
      last_room = room;
      room_ns = now;
    } else if (Since(room_ns, now) >= kPatienceNs && beat != heartbeat) {
      stuck_at.store(uint64_t{room} + 1, std::memory_order_relaxed);
      return Taken::kNo;
    }
    if (heard_ns == 0 || beat != heartbeat) {
      heartbeat = beat;
      heard_ns = now;
    } else if (CollectorIsGone()) {
      header->collector_state.store(abi::kCollectorDead, std::memory_order_relaxed);
      continue;
    } else if (Since(heard_ns, now) >= kPatienceNs) {
      gave_up_at.store(beat + 1, std::memory_order_relaxed);
      return Taken::kNo;
    }

    WaitForRoom(room, kWaitNs);
  }
}

void SealLeftBehind(uint32_t image, uint32_t tid, uint64_t thread_start_ns) {
  const uint32_t segments = Segments();
  for (uint32_t segment = 0; segment < segments; ++segment) {
    for (uint32_t word = 0; word < kWordsPerSegment; ++word) {
      uint64_t bits = touched[segment][word].load(std::memory_order_relaxed);
      for (; bits != 0; bits &= bits - 1) {
        const uint32_t index = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
        abi::ChunkHeader* const chunk = HeaderOf(segment * abi::kChunksPerSegment + index);
        if (chunk->state.load(std::memory_order_acquire) == abi::kChunkOpen && chunk->image == image &&
            chunk->tid == tid && chunk->thread_start_ns != thread_start_ns) {
          uint32_t open = abi::kChunkOpen;  // by CAS: the collector may have found the dead owner at the same time
          chunk->state.compare_exchange_strong(open, abi::kChunkSealed, std::memory_order_release);
        }
      }
    }
  }
}

void MapAhead(uint32_t slot) {
  constexpr uint32_t kAhead[abi::kSizeClasses] = {2, 2, 6};  // windows: 256 chunks of 4 KiB, 64 of 16, 48 of 64
  if (Window(0) == nullptr) return;                          // the headers
  for (uint32_t size_class = 0; size_class < abi::kSizeClasses; ++size_class) {
    const uint64_t begin = abi::ChunkDataOffset(FirstOfClass(size_class));
    const uint64_t bytes = uint64_t{abi::kChunkCount[size_class]} * abi::kChunkBytes[size_class];
    const uint64_t first = uint64_t{slot} % abi::kChunkCount[size_class] * abi::kChunkBytes[size_class];
    for (uint32_t i = 0; i < kAhead[size_class]; ++i) {
      Window(static_cast<uint32_t>((begin + (first + i * kWindowBytes) % bytes) / kWindowBytes));
    }
  }
}

void ForgetTouched() {
  const uint32_t segments = Segments();
  for (uint32_t segment = 0; segment < segments; ++segment) {
    for (auto& word : touched[segment]) word.store(0, std::memory_order_relaxed);
  }
}

void CoverWithPrivateMemory() {
  for (const auto& window : windows) {
    // The addresses stay in `windows`: what is covered is not mapped from the file again.
    if (uint8_t* const shared = window.load(std::memory_order_relaxed)) {
      RawSyscall(SYS_mmap, RawPointer(shared), kWindowBytes, PROT_READ | PROT_WRITE,
                 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
  }
}

void CountDrop(abi::DropCause cause, uint64_t bytes, uint32_t slot) {
  header->drops[cause].fetch_add(1, std::memory_order_relaxed);
  if (bytes != 0) header->dropped_bytes[cause].fetch_add(bytes, std::memory_order_relaxed);
  if (slot < abi::kMaxProcesses) slots[slot].drops.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace socktale::arena
