// SPDX-License-Identifier: Apache-2.0
//
// The file behind the shared memory of preload/abi/arena_abi.h: where it lies, how it is allocated and how it grows.
//
// Pages are allocated before anybody may touch them, so a full file system is an error of Create or Grow and never a
// SIGBUS in a traced program. Chunks whose pages are not allocated yet stand in state Claimed, where writers pass over
// them; Grow allocates more and sets them Free.
//
// The file is locked (flock) by the collector for as long as it lives: a lock that can be had means a collector that
// was killed. Beside NAME.arena lies the symbolic link NAME.trace to the trace file, which tells a recovery what to
// salvage into; it is no part of the arena because traced programs can write there.

#ifndef SOCKTALE_COLLECTOR_ARENA_H_
#define SOCKTALE_COLLECTOR_ARENA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "preload/abi/arena_abi.h"

namespace socktale {

inline constexpr char kArenaSuffix[] = ".arena";
inline constexpr char kArenaTraceSuffix[] = ".trace";

// Directories where arenas may lie, best first: $SOCKTALE_ARENA_DIR alone if it is set, else /dev/shm/socktale-UID,
// $XDG_RUNTIME_DIR/socktale, $XDG_STATE_HOME/socktale or ~/.local/state/socktale. They need not exist.
std::vector<std::string> ArenaDirectories();

// Makes a directory (0700) or checks that it is one of ours alone. kPermissionDenied when it is another's or open to
// others.
absl::Status EnsurePrivateDirectory(const std::string& path);

struct ArenaOptions {
  std::string trace_path;      // what the session records into
  uint64_t payload_limit = 0;  // ArenaHeader::payload_limit
  uint32_t options = 0;        // abi::ArenaOption bits
  uint64_t first_bytes = 0;    // allocated at once; at least one chunk of each size
  uint64_t limit_bytes = 0;    // most that Grow allocates
};

// The mapped arena. Moves, does not copy; unmaps on destruction, removes nothing (Remove does).
class Arena {
 public:
  // Creates the arena in the first of `directories` that takes it. kResourceExhausted: none has the room; the message
  // names each with its reason.
  static absl::StatusOr<Arena> Create(const std::vector<std::string>& directories, const ArenaOptions& options);

  // Maps an arena that a killed collector left. kUnavailable: its collector lives (the file is locked); kDataLoss: it
  // is no arena, or of another ABI.
  static absl::StatusOr<Arena> OpenOrphan(const std::string& path);

  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  abi::ArenaHeader& header() const { return *header_; }
  abi::ProcessSlot& slot(uint32_t index) const { return slots_[index]; }
  uint32_t segments() const { return static_cast<uint32_t>(segments_.size()); }
  abi::ChunkHeader& chunk(uint32_t segment, uint32_t index) const {
    return reinterpret_cast<abi::ChunkHeader*>(segments_[segment])[index];
  }
  const char* data(uint32_t segment, uint32_t index) const { return segments_[segment] + abi::ChunkDataOffset(index); }
  // True for chunks whose pages are allocated: only these hold data.
  bool Usable(uint32_t segment, uint32_t index) const;
  // How many chunks of a size class are usable in a segment: its first ones.
  uint32_t UsableInSegment(uint32_t segment, uint32_t size_class) const;

  // Chunks of a size class that writers may use.
  uint32_t usable_chunks(uint32_t size_class) const { return usable_chunks_[size_class]; }
  uint64_t bytes() const { return bytes_; }
  bool may_grow() const { return bytes_ < limit_bytes_; }

  // Doubles the arena, or goes up to its limit, and wakes those who wait for room. kResourceExhausted: no room in the
  // file system, or the limit is reached.
  absl::Status Grow();

  // Gets the pages of a chunk into our address space at once: one by one, as each is read for the first time, they cost
  // several times as much.
  void Populate(uint32_t segment, uint32_t index) const;

  // Tells waiting writers that there is room, or news.
  void WakeWriters() const;

  // A second, unlocked descriptor of the file, to be handed to programs that cannot open its path.
  int share_fd() const { return share_fd_.get(); }
  const std::string& path() const { return path_; }
  uint64_t base_ns() const { return base_ns_; }
  const std::string& token() const { return token_; }

  // Removes the file and its link. Programs that still map it keep their memory.
  void Remove();

 private:
  Arena() = default;
  absl::Status CreateFile(const std::string& directory, const ArenaOptions& options);
  absl::Status MapHeader();
  absl::Status MapSegment(uint32_t segment);
  absl::Status Allocate(uint64_t bytes);
  void MakeHugePages(uint64_t chunk_bytes);
  absl::Status AddSegment();

  UniqueFd fd_;
  UniqueFd share_fd_;
  std::string path_;
  abi::ArenaHeader* header_ = nullptr;
  abi::ProcessSlot* slots_ = nullptr;
  std::vector<char*> segments_;
  uint64_t bytes_ = 0;  // allocated, counted as if segments had no headers
  uint64_t limit_bytes_ = 0;
  uint32_t usable_chunks_[abi::kSizeClasses] = {};
  uint64_t base_ns_ = 0;  // our own copies: traced programs can write the header
  std::string token_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_ARENA_H_
