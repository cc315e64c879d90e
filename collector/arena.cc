// SPDX-License-Identifier: Apache-2.0
#include "collector/arena.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "collector/clock.h"
#include "collector/errno_status.h"
#include "preload/abi/hooks_hash.h"

namespace socktale {
namespace {

using abi::ArenaHeader;
using abi::ChunkHeader;
using abi::kSegmentBytes;

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

// Of the first segment, so many huge pages at most: what a few threads that stream data go round in.
constexpr uint64_t kHugePages = 2;
constexpr uint64_t kSmallPageBytes = 4096;

uint64_t SegmentOffset(uint32_t segment) { return abi::kHeaderBytes + segment * kSegmentBytes; }

// How many chunks of a size class are usable in a segment of which `bytes` are allocated.
uint32_t UsableOfClass(uint32_t size_class, uint64_t bytes) {
  const uint64_t share = abi::kChunkCount[size_class] * std::min(bytes, kSegmentBytes) / kSegmentBytes;
  return static_cast<uint32_t>(std::max<uint64_t>(share, bytes > 0 ? 1 : 0));
}

uint32_t FirstOfClass(uint32_t size_class) {
  uint32_t first = 0;
  for (uint32_t c = 0; c < size_class; ++c) first += abi::kChunkCount[c];
  return first;
}

uint64_t BytesOfSegment(uint64_t arena_bytes, uint32_t segment) {
  const uint64_t before = segment * kSegmentBytes;
  return arena_bytes <= before ? 0 : std::min(arena_bytes - before, kSegmentBytes);
}

absl::Status AllocateRange(int fd, uint64_t offset, uint64_t size) {
  int error;
  do {
    error = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(size));
  } while (error == EINTR);
  if (error != 0) return ErrnoStatus(absl::StrCat("cannot allocate ", size >> 10, " KiB of shared memory"), error);
  return absl::OkStatus();
}

// MAP_SHARED, kept out of core dumps, at an address where a huge page may begin if `offset` is one.
absl::StatusOr<char*> Map(int fd, uint64_t offset, uint64_t size) {
  constexpr uint64_t kAlign = abi::kHugePageBytes;
  const auto cannot = [size] { return ErrnoStatus(absl::StrCat("cannot map ", size >> 10, " KiB of shared memory")); };
  void* const room = mmap(nullptr, size + kAlign, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return cannot();
  char* const begin = static_cast<char*>(room);
  const uint64_t before = (kAlign - reinterpret_cast<uintptr_t>(begin) % kAlign) % kAlign;
  void* const memory =
      mmap(begin + before, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) {
    const absl::Status status = cannot();
    munmap(room, size + kAlign);
    return status;
  }
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, kAlign - before);
  madvise(memory, size, MADV_DONTDUMP);
  return static_cast<char*>(memory);
}

absl::Status Random(void* out, size_t size) {
  if (getrandom(out, size, 0) != static_cast<ssize_t>(size)) return ErrnoStatus("getrandom");
  return absl::OkStatus();
}

uint64_t NamespaceInode(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

std::vector<std::string> ArenaDirectories() {
  if (const char* given = getenv("SOCKTALE_ARENA_DIR"); given != nullptr && *given == '/') return {given};
  std::vector<std::string> directories = {absl::StrCat("/dev/shm/socktale-", getuid())};
  const auto add = [&directories](const char* variable, const char* behind) {
    const char* value = getenv(variable);
    if (value == nullptr || *value != '/') return false;
    directories.push_back(absl::StrCat(value, behind));
    return true;
  };
  add("XDG_RUNTIME_DIR", "/socktale");
  if (!add("XDG_STATE_HOME", "/socktale")) add("HOME", "/.local/state/socktale");
  return directories;
}

absl::Status EnsurePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(path);
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return ErrnoStatus(path);
  if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": not a directory of this user alone (mode 0700)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Arena> Arena::Create(const std::vector<std::string>& directories, const ArenaOptions& options) {
  std::vector<std::string> reasons;
  for (const std::string& directory : directories) {
    absl::Status status = EnsurePrivateDirectory(directory);
    if (status.ok()) {
      Arena arena;
      status = arena.CreateFile(directory, options);
      if (status.ok()) return arena;
      if (!arena.path_.empty()) arena.Remove();
      status = absl::Status(status.code(), absl::StrCat(directory, ": ", status.message()));
    }
    reasons.emplace_back(status.message());
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no directory takes the recording's shared memory: ", absl::StrJoin(reasons, "; ")));
}

absl::Status Arena::CreateFile(const std::string& directory, const ArenaOptions& options) {
  uint8_t name[8];
  RETURN_IF_ERROR(Random(name, sizeof name));
  const std::string stem = absl::StrCat(
      directory, "/", absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(name), sizeof name)));
  // Locked before it has its name: a recovery that finds the name without the lock may take it.
  const std::string unnamed = stem + ".new";
  fd_.reset(open(unnamed.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_.valid()) return ErrnoStatus(unnamed);
  path_ = unnamed;
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) return ErrnoStatus("flock");

  limit_bytes_ =
      std::min<uint64_t>(std::max(options.limit_bytes, options.first_bytes), abi::kMaxSegments * kSegmentBytes);
  RETURN_IF_ERROR(AllocateRange(fd_.get(), 0, abi::kHeaderMappedBytes));
  RETURN_IF_ERROR(MapHeader());
  RETURN_IF_ERROR(AddSegment());
  RETURN_IF_ERROR(Allocate(std::max<uint64_t>(std::min(options.first_bytes, limit_bytes_), 1)));

  base_ns_ = MonotonicNs();
  ArenaHeader& header = *header_;
  header.abi_major = abi::kAbiMajor;
  header.abi_minor = abi::kAbiMinor;
  header.hooks_hash = abi::kHooksHash;
  header.base_ns = base_ns_;
  header.payload_limit = options.payload_limit;
  header.options = options.options;
  header.collector_pid = static_cast<uint32_t>(getpid());
  header.collector_pid_namespace = NamespaceInode("/proc/self/ns/pid");
  RETURN_IF_ERROR(Random(header.token, sizeof header.token));
  token_.assign(reinterpret_cast<const char*>(header.token), sizeof header.token);
  header.magic = abi::kArenaMagic;
  header.collector_state.store(abi::kCollectorRunning, std::memory_order_release);

  if (symlink(options.trace_path.c_str(), (stem + kArenaTraceSuffix).c_str()) != 0) return ErrnoStatus("symlink");
  const std::string named = stem + kArenaSuffix;
  if (rename(unnamed.c_str(), named.c_str()) != 0) return ErrnoStatus("rename");
  path_ = named;
  share_fd_.reset(open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!share_fd_.valid()) return ErrnoStatus(path_);
  return absl::OkStatus();
}

absl::StatusOr<Arena> Arena::OpenOrphan(const std::string& path) {
  Arena arena;
  arena.fd_.reset(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!arena.fd_.valid()) return ErrnoStatus(path);
  struct stat status;
  if (fstat(arena.fd_.get(), &status) != 0) return ErrnoStatus(path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": not a file of this user"));
  }
  if (flock(arena.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": its collector is running"));
  }
  // Another recovery may have finished with it and removed it between our open and our lock.
  struct stat now;
  if (stat(path.c_str(), &now) != 0 || now.st_ino != status.st_ino) {
    return absl::UnavailableError(absl::StrCat(path, ": recovered by another process"));
  }
  arena.path_ = path;
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size < abi::kHeaderBytes) return absl::DataLossError(absl::StrCat(path, ": ", size, " bytes are no arena"));
  RETURN_IF_ERROR(arena.MapHeader());
  const ArenaHeader& header = *arena.header_;
  if (header.magic != abi::kArenaMagic || header.abi_major != abi::kAbiMajor) {
    return absl::DataLossError(
        absl::StrCat(path, ": not an arena of ABI ", abi::kAbiMajor, " (it says ", header.abi_major, ")"));
  }
  arena.base_ns_ = header.base_ns;
  const uint64_t whole = std::min<uint64_t>((size - abi::kHeaderBytes) / kSegmentBytes, abi::kMaxSegments);
  for (uint32_t s = 0; s < whole; ++s) RETURN_IF_ERROR(arena.MapSegment(s));
  arena.bytes_ = arena.limit_bytes_ = whole * kSegmentBytes;
  return arena;
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(share_fd_, other.share_fd_);
  std::swap(path_, other.path_);
  std::swap(header_, other.header_);
  std::swap(slots_, other.slots_);
  std::swap(segments_, other.segments_);
  std::swap(bytes_, other.bytes_);
  std::swap(limit_bytes_, other.limit_bytes_);
  std::swap(usable_chunks_, other.usable_chunks_);
  std::swap(base_ns_, other.base_ns_);
  std::swap(token_, other.token_);
  return *this;
}

Arena::~Arena() {
  for (char* segment : segments_) munmap(segment, kSegmentBytes);
  if (header_ != nullptr) munmap(header_, abi::kHeaderMappedBytes);
}

bool Arena::Usable(uint32_t segment, uint32_t index) const {
  const uint32_t size_class = abi::ClassOfChunk(index);
  return index - FirstOfClass(size_class) < UsableInSegment(segment, size_class);
}

uint32_t Arena::UsableInSegment(uint32_t segment, uint32_t size_class) const {
  return UsableOfClass(size_class, BytesOfSegment(bytes_, segment));
}

absl::Status Arena::MapHeader() {
  ASSIGN_OR_RETURN(char* memory, Map(fd_.get(), 0, abi::kHeaderMappedBytes));
  header_ = reinterpret_cast<ArenaHeader*>(memory);
  slots_ = reinterpret_cast<abi::ProcessSlot*>(memory + 4096);
  return absl::OkStatus();
}

absl::Status Arena::MapSegment(uint32_t segment) {
  ASSIGN_OR_RETURN(char* memory, Map(fd_.get(), SegmentOffset(segment), kSegmentBytes));
  segments_.push_back(memory);
  return absl::OkStatus();
}

// Makes the file long enough for one segment more, with all its chunks withheld, and shows it to the shims.
absl::Status Arena::AddSegment() {
  const uint32_t segment = segments();
  if (ftruncate(fd_.get(), static_cast<off_t>(SegmentOffset(segment + 1))) != 0) {
    return ErrnoStatus("cannot lengthen the arena's file");
  }
  RETURN_IF_ERROR(AllocateRange(fd_.get(), SegmentOffset(segment), abi::kChunkHeadersBytes));
  RETURN_IF_ERROR(MapSegment(segment));
  madvise(segments_[segment], abi::kChunkHeadersBytes, MADV_POPULATE_WRITE);  // refused before Linux 5.14
  for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) {
    chunk(segment, i).state.store(abi::kChunkClaimed, std::memory_order_relaxed);
  }
  header_->segments.store(segment + 1, std::memory_order_release);
  return absl::OkStatus();
}

// Puts the first 64 KiB chunks into huge pages, as far as they are to be allocated. Who streams data touches them for
// the first time: a huge page takes 0.2 to 0.5 ms to make, its 512 small ones 5 ms to touch, in each process (virtual
// machine, shadow page tables). Kernels before 6.1 and other file systems than tmpfs refuse; then pages are small, as
// all others.
void Arena::MakeHugePages(uint64_t chunk_bytes) {
  const uint64_t pages = std::min(kHugePages, chunk_bytes / abi::kHugePageBytes);
  for (uint64_t page = 0; page < pages; ++page) {
    const uint64_t offset = abi::kHugePagesOffset + page * abi::kHugePageBytes;
    // Made from what is there; that must be something, and the less the better.
    if (!AllocateRange(fd_.get(), SegmentOffset(0) + offset, kSmallPageBytes).ok()) return;
    if (madvise(segments_[0] + offset, abi::kHugePageBytes, MADV_COLLAPSE) != 0) return;
  }
}

// Allocates until `bytes` of the arena are there, and hands the new chunks to the writers.
absl::Status Arena::Allocate(uint64_t bytes) {
  while (bytes_ < bytes) {
    const auto segment = static_cast<uint32_t>(bytes_ / kSegmentBytes);
    if (segment == segments()) RETURN_IF_ERROR(AddSegment());
    const uint64_t had = BytesOfSegment(bytes_, segment);
    const uint64_t has = BytesOfSegment(bytes, segment);
    for (uint32_t c = 0; c < abi::kSizeClasses; ++c) {
      const uint32_t from = UsableOfClass(c, had), to = UsableOfClass(c, has);
      if (from == to) continue;
      if (c == abi::kSizeClasses - 1 && bytes_ == 0) MakeHugePages(uint64_t{to} * abi::kChunkBytes[c]);
      RETURN_IF_ERROR(AllocateRange(fd_.get(), SegmentOffset(segment) + abi::ChunkDataOffset(FirstOfClass(c) + from),
                                    uint64_t{to - from} * abi::kChunkBytes[c]));
    }
    for (uint32_t c = 0; c < abi::kSizeClasses; ++c) {
      for (uint32_t i = UsableOfClass(c, had); i < UsableOfClass(c, has); ++i, ++usable_chunks_[c]) {
        chunk(segment, FirstOfClass(c) + i).state.store(abi::kChunkFree, std::memory_order_release);
      }
    }
    bytes_ = segment * kSegmentBytes + has;
  }
  return absl::OkStatus();
}

absl::Status Arena::Grow() {
  if (!may_grow()) return absl::ResourceExhaustedError("the arena has reached its limit (--arena)");
  const absl::Status status = Allocate(std::min(limit_bytes_, std::max<uint64_t>(bytes_ * 2, 1 << 20)));
  WakeWriters();
  return status;
}

void Arena::Populate(uint32_t segment, uint32_t index) const {
  const uint32_t bytes = abi::kChunkBytes[abi::ClassOfChunk(index)];
  // Kernels before 5.14 refuse, and the pages come one by one.
  madvise(const_cast<char*>(data(segment, index)), bytes, MADV_POPULATE_READ);
}

void Arena::WakeWriters() const {
  header_->room_futex.fetch_add(1);
  if (header_->waiters.exchange(0) == 0) return;  // who goes on waiting says so again
  syscall(SYS_futex, &header_->room_futex, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Arena::Remove() {
  unlink(path_.c_str());
  const size_t stem = path_.rfind('.');
  unlink((path_.substr(0, stem) + kArenaTraceSuffix).c_str());
}

}  // namespace socktale
