// SPDX-License-Identifier: Apache-2.0

#include "preload/fd_table.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "preload/abi/arena_abi.h"
#include "preload/arena_writer.h"
#include "preload/attach.h"
#include "preload/found.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale::fds {

constinit std::atomic<uint8_t> table[kTableSize];

namespace {

// When the TCP connection on a descriptor began, in ms of CLOCK_MONOTONIC (wrapping); 0: none.
constexpr size_t kConnectedSize = 1 << 16;
constinit std::atomic<uint32_t> connected_ms[kConnectedSize];
constexpr uint32_t kLongLivedMs = 50;

// Payload bytes kept of a descriptor's life, each way. Mapped only for sessions with a limit, and in blocks, for those
// numbers that are used: mlockall, limits on address space and core dumps count all that is mapped.
struct Kept {
  std::atomic<uint64_t> sent;
  std::atomic<uint64_t> received;
};
constexpr size_t kKeptBlock = 1024;
constinit std::atomic<Kept*> kept[kTableSize / kKeptBlock];  // [kKeptBlock] each; null: not mapped
constinit uint64_t limit = UINT64_MAX;

// The counters of a descriptor in the table. Null: there are none, for no number near it needed them yet.
Kept* KnownKept(int fd) {
  Kept* const block = kept[static_cast<size_t>(fd) / kKeptBlock].load(std::memory_order_acquire);
  return block == nullptr ? nullptr : block + static_cast<size_t>(fd) % kKeptBlock;
}

// The same, mapped if need be. Null: no room for counters; everything is kept then.
Kept* KeptOf(int fd) {
  if (Kept* const known = KnownKept(fd)) return known;
  constexpr long kBytes = kKeptBlock * sizeof(Kept);
  const long memory =
      RawSyscall(SYS_mmap, 0, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory < 0 && memory > -4096) return nullptr;
  Kept* none = nullptr;
  if (!kept[static_cast<size_t>(fd) / kKeptBlock].compare_exchange_strong(none, reinterpret_cast<Kept*>(memory),
                                                                          std::memory_order_acq_rel)) {
    RawSyscall(SYS_munmap, memory, kBytes);  // another thread was faster
  }
  return KnownKept(fd);
}

constinit bool keeps_pipe_data = false;
constinit bool keeps_file_data = false;

// The highest number that the table was told of, ever; -1: none. What closes all numbers from one on stops there.
constinit std::atomic<int> highest{-1};

void NoteHighest(int fd) {
  int known = highest.load(std::memory_order_relaxed);
  while (fd > known && !highest.compare_exchange_weak(known, fd, std::memory_order_relaxed)) {
  }
}

bool InTable(int fd) { return static_cast<unsigned>(fd) < kTableSize; }
bool InConnected(int fd) { return static_cast<unsigned>(fd) < kConnectedSize; }

uint32_t Milliseconds(uint64_t ns) {
  const uint32_t ms = static_cast<uint32_t>(ns / 1'000'000);
  return ms == 0 ? 1 : ms;
}

void ResetLife(int fd) {
  if (InConnected(fd)) connected_ms[fd].store(0, std::memory_order_relaxed);
  if (limit == UINT64_MAX) return;
  if (Kept* const counters = KnownKept(fd)) {
    counters->sent.store(0, std::memory_order_relaxed);
    counters->received.store(0, std::memory_order_relaxed);
  }
}

size_t Keep(std::atomic<uint64_t>& counter, size_t size) {
  // No locked instruction: where threads send on one descriptor at the same moment, one's bytes may go uncounted, and so
  // many more are kept.
  const uint64_t before = counter.load(std::memory_order_relaxed);
  if (before >= limit) return 0;
  counter.store(before + size, std::memory_order_relaxed);
  return limit - before < size ? static_cast<size_t>(limit - before) : size;
}

}  // namespace

uint8_t EntryFor(uint32_t kind) {
  bool data = keeps_file_data;
  if (kind == field::DESCRIPTOR_KIND_SOCKET) data = true;
  if (kind == field::DESCRIPTOR_KIND_PIPE) data = keeps_pipe_data;
  return static_cast<uint8_t>((kind & kKindMask) | (data ? kData : 0));
}

uint8_t EntryForSocket(int domain, int type, int protocol) {
  uint8_t entry = EntryFor(field::DESCRIPTOR_KIND_SOCKET);
  const int plain_type = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (domain == AF_INET || domain == AF_INET6) {
    if (plain_type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)) {
      entry |= kTcp;
    } else if (plain_type == SOCK_DGRAM) {
      entry |= kAskName;
    }
  } else if (domain == AF_UNIX) {
    entry |= kUnix;
  }
  return entry;
}

uint8_t Find(int fd) {
  struct stat status;
  if (RawSyscall(SYS_fstat, fd, RawPointer(&status)) != 0) return kInvalid;
  if (!InTable(fd)) {
    // Beyond the table it is asked each time; told to the trace it is by what follows.
    return S_ISSOCK(status.st_mode) ? EntryFor(field::DESCRIPTOR_KIND_SOCKET) : EntryFor(AskKind(fd, status));
  }
  const uint8_t entry = WriteFound(fd, status);
  if (VforkChildPid() != 0) return entry;
  uint8_t known =
      kUnknown;  // unless another thread closed it and made a new one meanwhile, which is not what was asked
  NoteHighest(fd);
  if (!table[fd].compare_exchange_strong(known, entry, std::memory_order_relaxed)) return known;
  ResetLife(fd);
  return entry;
}

void FoundReceived(int fd) {
  struct stat status;
  const bool known = RawSyscall(SYS_fstat, fd, RawPointer(&status)) == 0;
  Made(fd, known ? WriteFound(fd, status) : kInvalid);  // of what cannot be asked about everything is recorded
}

void Made(int fd, uint8_t entry) {
  if (!InTable(fd) || VforkChildPid() != 0) return;
  ResetLife(fd);
  NoteHighest(fd);
  table[fd].store(entry, std::memory_order_relaxed);
}

void MadeCopy(int fd, int original) {
  Made(fd, Get(original));
  if (!(InConnected(fd) && InConnected(original)) || VforkChildPid() != 0) return;
  connected_ms[fd].store(connected_ms[original].load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void Gone(int fd) {
  if (InTable(fd) && VforkChildPid() == 0) table[fd].store(kUnknown, std::memory_order_relaxed);
}

void GoneRange(unsigned first, unsigned last) {
  if (VforkChildPid() != 0) return;  // its parent has them all still
  const int known = highest.load(std::memory_order_relaxed);
  if (known < 0) return;
  if (last > static_cast<unsigned>(known)) last = static_cast<unsigned>(known);
  for (unsigned fd = first; fd <= last; ++fd) {
    if (table[fd].load(std::memory_order_relaxed) == kUnknown)
      continue;  // (a store would make the page this process's)
    SummarizeBeforeClose(static_cast<int>(fd));
    table[fd].store(kUnknown, std::memory_order_relaxed);
  }
}

void StillThere(int fd, uint8_t entry) {
  if (!InTable(fd) || VforkChildPid() != 0) return;
  uint8_t gone = kUnknown;  // unless another thread made a new one meanwhile
  table[fd].compare_exchange_strong(gone, entry, std::memory_order_relaxed);
}

void ClearBits(int fd, uint8_t bits) {
  if (!InTable(fd) || VforkChildPid() != 0) return;
  table[fd].fetch_and(static_cast<uint8_t>(~bits), std::memory_order_relaxed);
}

void Connected(int fd, uint64_t now_ns) {
  if (InConnected(fd) && VforkChildPid() == 0) {
    connected_ms[fd].store(Milliseconds(now_ns), std::memory_order_relaxed);
  }
}

void SummarizeBeforeClose(int fd) {
  if ((Get(fd) & kTcp) == 0 || !InConnected(fd)) return;
  const uint32_t since = connected_ms[fd].load(std::memory_order_relaxed);
  if (since == 0) return;
  const uint64_t now = Now();
  if (Milliseconds(now) - since <= kLongLivedMs) return;
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (RawSyscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, RawPointer(&info), RawPointer(&size)) != 0) return;
  EventHead head;
  head.call = field::CALL_SOCKET_SUMMARY;
  head.fd = fd;
  head.start_ns = head.end_ns = now;
  EventWriter event(head, 2 * wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kRttUs>(info.tcpi_rtt);
  event.tail().Uint<field::event::kRetransmits>(info.tcpi_total_retrans);
  event.Commit();
}

size_t KeepSent(int fd, size_t size) {
  if (limit == UINT64_MAX || !InTable(fd)) return size;
  Kept* const counters = KeptOf(fd);
  return counters == nullptr ? size : Keep(counters->sent, size);
}

size_t KeepReceived(int fd, size_t size) {
  if (limit == UINT64_MAX || !InTable(fd)) return size;
  Kept* const counters = KeptOf(fd);
  return counters == nullptr ? size : Keep(counters->received, size);
}

void Configure(uint32_t arena_options, uint64_t payload_limit) {
  keeps_pipe_data = (arena_options & abi::kOptionPipeData) != 0;
  keeps_file_data = (arena_options & abi::kOptionFileData) != 0;
  limit = payload_limit;
}

bool KeepsFileOrPipeData() { return keeps_pipe_data || keeps_file_data; }

}  // namespace socktale::fds
