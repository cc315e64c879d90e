// SPDX-License-Identifier: Apache-2.0
#include "tests/collector/fake_writer.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "collector/clock.h"
#include "collector/process_watch.h"

namespace socktale {
namespace {

constexpr uint64_t kMostBytes = abi::kHeaderBytes + abi::kMaxSegments * abi::kSegmentBytes;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

FakeShim::FakeShim(const std::string& arena_path) {
  const int fd = open(arena_path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) Die(arena_path.c_str());
  void* memory = mmap(nullptr, kMostBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) Die("mmap");
  close(fd);
  base_ = static_cast<char*>(memory);
  header_ = reinterpret_cast<abi::ArenaHeader*>(base_);
  slots_ = reinterpret_cast<abi::ProcessSlot*>(base_ + 4096);
}

FakeShim::~FakeShim() { munmap(base_, kMostBytes); }

void FakeShim::Attach() {
  ProcessStat stat;
  struct stat pid_namespace;
  if (!ReadProcessStat(getpid(), stat) || ::stat("/proc/self/ns/pid", &pid_namespace) != 0) Die("/proc");
  AttachAs(static_cast<uint32_t>(getpid()), stat.start_ticks, pid_namespace.st_ino);
}

void FakeShim::AttachAs(uint32_t pid, uint64_t start_ticks, uint64_t pid_namespace) {
  image_ = header_->next_image.fetch_add(1) + 1;
  for (slot_index_ = 0; slot_index_ < abi::kMaxProcesses; ++slot_index_) {
    uint32_t expected = abi::kSlotFree;
    if (slots_[slot_index_].state.compare_exchange_strong(expected, abi::kSlotClaimed)) break;
  }
  if (slot_index_ == abi::kMaxProcesses) Die("no free slot");
  abi::ProcessSlot& slot = slots_[slot_index_];
  slot.image = image_;
  slot.pid = pid;
  slot.start_ticks = start_ticks;
  slot.pid_namespace = pid_namespace;
  slot.state.store(abi::kSlotLive, std::memory_order_release);
}

uint32_t FakeShim::chunks() const { return header_->segments.load(std::memory_order_acquire) * abi::kChunksPerSegment; }

abi::ChunkHeader& FakeShim::chunk(uint32_t number) const {
  char* segment = base_ + abi::kHeaderBytes + number / abi::kChunksPerSegment * abi::kSegmentBytes;
  return reinterpret_cast<abi::ChunkHeader*>(segment)[number % abi::kChunksPerSegment];
}

char* FakeShim::data(uint32_t number) const {
  return base_ + abi::kHeaderBytes + number / abi::kChunksPerSegment * abi::kSegmentBytes +
         abi::ChunkDataOffset(number % abi::kChunksPerSegment);
}

FakeThread::FakeThread(FakeShim* shim, uint32_t tid, uint32_t level)
    : shim_(*shim), tid_(tid), level_(level), start_ns_(MonotonicNs()) {}

bool FakeThread::TakeChunk(uint32_t size_class) {
  for (uint32_t number = 0; number < shim_.chunks(); ++number) {
    if (abi::ClassOfChunk(number % abi::kChunksPerSegment) != size_class) continue;
    abi::ChunkHeader& chunk = shim_.chunk(number);
    uint32_t expected = abi::kChunkFree;
    if (!chunk.state.compare_exchange_strong(expected, abi::kChunkClaimed)) continue;
    chunk.committed.store(0, std::memory_order_relaxed);
    chunk.image = shim_.image();
    chunk.tid = tid_;
    chunk.level = level_;
    chunk.slot = shim_.slot_index();
    chunk.sequence = ++sequence_;
    chunk.base_ns = MonotonicNs() - shim_.header().base_ns;
    chunk.thread_start_ns = start_ns_;
    chunk.state.store(abi::kChunkOpen, std::memory_order_release);
    shim_.header().chunks_taken.fetch_add(1);
    number_ = number;
    used_ = 0;
    open_ = true;
    size_class_ = size_class;
    return true;
  }
  return false;
}

void FakeThread::Seal() {
  if (open_) shim_.chunk(number_).state.store(abi::kChunkSealed, std::memory_order_release);
  open_ = false;
}

bool FakeThread::Write(const Event& event) { return WriteBytes(event.SerializeAsString()); }

bool FakeThread::WriteBytes(const std::string& event) {
  const auto size = static_cast<uint32_t>(event.size() + 4);
  while (!open_ || used_ + size > abi::kChunkBytes[size_class_]) {
    Seal();
    const uint32_t room = shim_.header().room_futex.load();
    uint32_t size_class = 0;
    while (size_class < 2 && abi::kChunkBytes[size_class] < size) ++size_class;
    bool taken = false;
    for (; !taken && size_class < abi::kSizeClasses; ++size_class) taken = TakeChunk(size_class);
    if (taken) break;
    if (!waits_ || shim_.header().collector_state.load() != abi::kCollectorRunning) return false;
    shim_.header().waiters.store(1);
    const timespec timeout = {.tv_sec = 0, .tv_nsec = 100'000'000};
    syscall(SYS_futex, &shim_.header().room_futex, FUTEX_WAIT, room, &timeout, nullptr, 0);
  }
  char* at = shim_.data(number_) + used_;
  // Run.event, with a length padded to three bytes as the shim writes it.
  const auto length = static_cast<uint32_t>(event.size());
  const char frame[] = {0x1a, static_cast<char>(length | 0x80), static_cast<char>(length >> 7 | 0x80),
                        static_cast<char>(length >> 14)};
  std::memcpy(at, frame, sizeof frame);
  std::memcpy(at + sizeof frame, event.data(), event.size());
  used_ += size;
  shim_.chunk(number_).committed.store(used_, std::memory_order_release);
  return true;
}

Event NumberedEvent(int fd, uint64_t number, const std::string& payload) {
  Event event;
  event.set_call(CALL_RECV);
  event.set_fd(fd);
  event.set_start_ns(number);
  event.set_duration_ns(1);
  event.set_result(static_cast<int64_t>(payload.size()));
  event.set_payload(payload);
  event.set_size(number);  // what the tests read back
  return event;
}

}  // namespace socktale
