// SPDX-License-Identifier: Apache-2.0
//
// An arena of one segment, all its chunks free, without a collector: the test that maps the recorder onto it plays
// that.

#ifndef SOCKTALE_TESTS_PRELOAD_MEMORY_ARENA_H_
#define SOCKTALE_TESTS_PRELOAD_MEMORY_ARENA_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "preload/abi/arena_abi.h"
#include "preload/abi/hooks_hash.h"

namespace socktale {

// Ends the test program when there is no memory for it.
class MemoryArena {
 public:
  static constexpr uint8_t kToken[16] = {1, 2, 3};

  MemoryArena() : fd_(memfd_create("arena", MFD_CLOEXEC)) {
    if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(kBytes)) != 0) Die("memfd_create");
    void* const mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapped == MAP_FAILED) Die("mmap");
    base_ = static_cast<uint8_t*>(mapped);
    abi::ArenaHeader& arena = *new (base_) abi::ArenaHeader;
    arena.magic = abi::kArenaMagic;
    arena.abi_major = abi::kAbiMajor;
    arena.hooks_hash = abi::kHooksHash;
    std::memcpy(arena.token, kToken, sizeof kToken);
    arena.segments.store(1);
    arena.collector_state.store(abi::kCollectorRunning);
  }
  ~MemoryArena() {
    munmap(base_, kBytes);
    close(fd_);
  }
  MemoryArena(const MemoryArena&) = delete;
  MemoryArena& operator=(const MemoryArena&) = delete;

  int fd() const { return fd_; }
  abi::ArenaHeader& header() const { return *reinterpret_cast<abi::ArenaHeader*>(base_); }
  // index: below abi::kChunksPerSegment.
  abi::ChunkHeader& chunk(uint32_t index) const {
    return reinterpret_cast<abi::ChunkHeader*>(base_ + abi::kHeaderBytes)[index];
  }
  const char* data(uint32_t index) const {
    return reinterpret_cast<const char*>(base_ + abi::kHeaderBytes + abi::ChunkDataOffset(index));
  }

 private:
  static constexpr uint64_t kBytes = abi::kHeaderBytes + abi::kSegmentBytes;

  [[noreturn]] static void Die(const char* what) {
    std::perror(what);
    std::abort();
  }

  int fd_;
  uint8_t* base_ = nullptr;
};

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_MEMORY_ARENA_H_
