// SPDX-License-Identifier: Apache-2.0
//
// What a shim does to the arena, in a few lines and in this process: claims a slot, takes chunks, commits events. Only
// preload/abi/arena_abi.h is shared with the real one.

#ifndef SOCKTALE_TESTS_COLLECTOR_FAKE_WRITER_H_
#define SOCKTALE_TESTS_COLLECTOR_FAKE_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "preload/abi/arena_abi.h"
#include "proto/event.pb.h"

namespace socktale {

// The arena as a traced process maps it.
class FakeShim {
 public:
  // arena_path: the last part of SOCKTALE_ATTACH. Ends the test program when it cannot be mapped.
  explicit FakeShim(const std::string& arena_path);
  FakeShim(const FakeShim&) = delete;
  FakeShim& operator=(const FakeShim&) = delete;
  ~FakeShim();

  // Claims a process slot for this process, or for any identity.
  void Attach();
  void AttachAs(uint32_t pid, uint64_t start_ticks, uint64_t pid_namespace);

  abi::ArenaHeader& header() const { return *header_; }
  abi::ProcessSlot& slot(uint32_t index) const { return slots_[index]; }
  abi::ChunkHeader& chunk(uint32_t number) const;
  char* data(uint32_t number) const;
  uint32_t chunks() const;  // of all segments there are now

  uint32_t image() const { return image_; }
  uint32_t slot_index() const { return slot_index_; }

 private:
  abi::ArenaHeader* header_ = nullptr;
  abi::ProcessSlot* slots_ = nullptr;
  char* base_ = nullptr;
  uint32_t image_ = 0;
  uint32_t slot_index_ = 0;
};

// One thread's writer at one level.
class FakeThread {
 public:
  FakeThread(FakeShim* shim, uint32_t tid, uint32_t level = 0);

  // Commits an event; waits for room while the collector runs. False: the collector is done, or there is no room and
  // nobody to wait for.
  bool Write(const Event& event);
  bool WriteBytes(const std::string& encoded_event);

  // Takes a chunk now, of a class; false: none is free.
  bool TakeChunk(uint32_t size_class);
  void Seal();

  // The collector is dead: do not wait for it.
  void WaitNoMore() { waits_ = false; }

  uint32_t chunk_number() const { return number_; }
  uint64_t sequence() const { return sequence_; }
  void set_sequence(uint64_t sequence) { sequence_ = sequence; }

 private:
  FakeShim& shim_;
  const uint32_t tid_;
  const uint32_t level_;
  const uint64_t start_ns_;
  uint64_t sequence_ = 0;
  uint32_t number_ = 0;
  bool waits_ = true;
  bool open_ = false;
  uint32_t used_ = 0;
  uint32_t size_class_ = 0;
};

// An event that names itself: a recv of `payload` on descriptor `fd`, the number-th of its thread.
Event NumberedEvent(int fd, uint64_t number, const std::string& payload = "");

}  // namespace socktale

#endif  // SOCKTALE_TESTS_COLLECTOR_FAKE_WRITER_H_
