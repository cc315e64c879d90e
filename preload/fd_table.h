// SPDX-License-Identifier: Apache-2.0
//
// What the shim remembers of a descriptor number: one byte, enough to decide whether a call on it is recorded. The
// table is a cache. A wrong zero costs an fstat and a CALL_FOUND event, never an event of the program.
//
// A vfork child shares this memory with its parent: functions that change the table do nothing in one.

#ifndef SOCKTALE_PRELOAD_FD_TABLE_H_
#define SOCKTALE_PRELOAD_FD_TABLE_H_

#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "preload/event_fields.h"

namespace socktale::fds {

// Bits of an entry.
inline constexpr uint8_t kUnknown = 0;
inline constexpr uint8_t kKindMask = 0x0f;  // field::DescriptorKind
inline constexpr uint8_t kData = 0x10;      // reads and writes of it are recorded
inline constexpr uint8_t kAskName = 0x20;   // an IP datagram socket whose local address nobody asked for yet
inline constexpr uint8_t kTcp = 0x40;       // a TCP socket: TCP_INFO can be asked
inline constexpr uint8_t kUnix = 0x80;      // a UNIX socket: it has peer credentials instead of useful names

inline constexpr size_t kTableSize = 1 << 20;
extern constinit std::atomic<uint8_t> table[kTableSize];

// The entry of a descriptor; kUnknown also for numbers beyond the table and negative ones.
inline uint8_t Get(int fd) {
  if (__builtin_expect(static_cast<unsigned>(fd) >= kTableSize, 0)) return kUnknown;
  return table[fd].load(std::memory_order_relaxed);
}
inline uint32_t Kind(uint8_t entry) { return entry & kKindMask; }
inline bool RecordsData(uint8_t entry) { return (entry & kData) != 0; }

// Entry of an invalid descriptor, as Find gives it: calls on it are recorded (they fail, and that is worth knowing).
inline constexpr uint8_t kInvalid = kData;

// Looks at a descriptor that the table does not know: one fstat; writes CALL_FOUND and remembers it. Returns its entry,
// kInvalid when there is no such descriptor.
uint8_t Find(int fd);

// Writes CALL_FOUND for a descriptor that arrived by SCM_RIGHTS: a new life of the number, whatever the table says.
void FoundReceived(int fd);

// The entry for a new descriptor of `kind` (not a socket), or for a socket of these properties; `type` may carry
// SOCK_CLOEXEC and SOCK_NONBLOCK. What --io asks for decides kData.
uint8_t EntryFor(uint32_t kind);
uint8_t EntryForSocket(int domain, int type, int protocol);

// A new life of number `fd` began: after the real call that made it.
void Made(int fd, uint8_t entry);

// The same for a copy of `original`: dup and its like. What is known of the connection goes with it.
void MadeCopy(int fd, int original);

// The number is about to be closed or replaced: before the real call.
void Gone(int fd);

// All numbers from `first` to `last` are about to be closed: as SummarizeBeforeClose and Gone of each. Looks at no
// number above the highest that the table ever held.
void GoneRange(unsigned first, unsigned last);

// It was not closed after all (the call failed): back to the entry it had.
void StillThere(int fd, uint8_t entry);

// The life of `fd` goes on differently, e.g. the local name was asked: clears bits of its entry.
void ClearBits(int fd, uint8_t bits);

// A TCP connection began on `fd` (connect succeeded or is in progress, accept returned): for CALL_SOCKET_SUMMARY.
void Connected(int fd, uint64_t now_ns);

// Writes CALL_SOCKET_SUMMARY if `fd` is a TCP socket that was connected more than 50 ms ago: before it is closed.
void SummarizeBeforeClose(int fd);

// How many of `size` bytes just sent (or received) on `fd` may be kept under the payload limit; counts them.
size_t KeepSent(int fd, size_t size);
size_t KeepReceived(int fd, size_t size);

// Called by attach: what --io records, and the limit in bytes per life and direction (UINT64_MAX: none).
void Configure(uint32_t arena_options, uint64_t payload_limit);

// Whether --io asks for the data of anything but sockets: then open() must find out what it opened.
bool KeepsFileOrPipeData();

}  // namespace socktale::fds

#endif  // SOCKTALE_PRELOAD_FD_TABLE_H_
