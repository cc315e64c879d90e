// SPDX-License-Identifier: Apache-2.0
//
// Writes events into the calling thread's open chunk: reserve, encode in place, publish with one release store. No
// lock, no allocation, no system call except when a chunk is full. Everything here may run in a signal handler.
//
//   EventHead head = call.Head(result);                      // fields 1 to 14 of Event
//   EventWriter event(head, wire::kMaxNumberField * 2);      // room for what is written below
//   if (event.ok()) {
//     event.tail().Uint<field::event::kSocketId>(cookie);    // fields from 15 on, ascending
//     event.tail().Uint<field::event::kDomain>(domain);
//     event.Commit();
//   }
//
// Between the constructor and Commit() the thread is *busy* at one nesting level: a signal handler that records in
// between takes the next level, with a chunk of its own. Nothing that may block, be cancelled or jump away may stand
// there: copy memory, nothing else. A handler that does jump out of a busy level is noticed by its stack frame later.

#ifndef SOCKTALE_PRELOAD_ARENA_WRITER_H_
#define SOCKTALE_PRELOAD_ARENA_WRITER_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>

#include "preload/abi/arena_abi.h"
#include "preload/event_fields.h"
#include "preload/wire.h"

namespace socktale {

// Bytes of the traced program, or of ours. data may be null when size is 0.
struct ByteSpan {
  const void* data = nullptr;
  size_t size = 0;
};

// Where `size` bytes of payload come from. The kernel must have proved them readable. One of:
//   parts     the front of places as readv gives them, which hold at least `size` bytes together;
//   messages  datagrams of sendmmsg or recvmmsg one after another: of each, MessageBytes() from its places;
//   file      a regular file, from `offset` on: read into the chunk by pread, which may give less than `size`.
struct Payload {
  const iovec* parts = nullptr;
  size_t size = 0;
  const mmsghdr* messages = nullptr;
  int file = -1;
  uint64_t offset = 0;
};

// Whether it comes from `parts`.
inline bool IsOfParts(const Payload& payload) { return payload.messages == nullptr && payload.file < 0; }

// Bytes that moved in a datagram and lie in its places: fewer than msg_len when the caller asked, by MSG_TRUNC, for the
// true length of one that was cut.
inline size_t MessageBytes(const mmsghdr& message) {
  size_t room = 0;
  for (size_t i = 0; i < message.msg_hdr.msg_iovlen && room < message.msg_len; ++i) {
    room += message.msg_hdr.msg_iov[i].iov_len;
  }
  return room < message.msg_len ? room : message.msg_len;
}

// Fields 1 to 14 of Event (proto/event.proto says what each means). Zero or empty: the field is left out.
struct EventHead {
  uint32_t call = 0;  // field::Call
  int32_t fd = 0;
  uint64_t start_ns = 0;  // CLOCK_MONOTONIC
  uint64_t end_ns = 0;    // CLOCK_MONOTONIC, not before start_ns
  int64_t result = 0;
  uint32_t error = 0;
  Payload payload = {};  // what to keep
  uint64_t moved = 0;    // bytes that moved; when more than payload.size, payload_size and EVENT_NOTE_CUT say so,
                         // unless EVENT_NOTE_NOT_SEEN stands in notes already
  uint64_t size = 0;
  uint32_t flags = 0;
  ByteSpan address = {};  // at most kMaxAddress bytes are kept
  uint32_t notes = 0;     // EVENT_NOTE_MORE, _CUT (see moved), _VFORK_CHILD and _CAME_BACK are added by the writer
  int32_t new_fd = 0;
};

inline constexpr size_t kMaxAddress = 128;  // sizeof(sockaddr_storage)

// The most that `tail_room` may be: an event without payload always fits a chunk of the largest class.
inline constexpr size_t kMaxTail = 60 << 10;

class EventWriter {
 public:
  // Reserves room for the head, for `tail_room` bytes after it and for as much of the payload as the chunk holds, and
  // writes the head. Takes a new chunk when the open one is too full, which may wait for the collector (arena_map.h).
  // tail_room: the most bytes that tail() will be given, tags included; at most kMaxTail.
  EventWriter(const EventHead& head, size_t tail_room);
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // False: the event was dropped, and counted by its cause. tail() and Commit() must not be called then.
  bool ok() const { return ok_; }

  // For the fields from 15 on, in ascending order. (`pid` of a vfork child is added by Commit, after all others.)
  wire::Writer& tail() { return writer_; }

  // Publishes the event, then writes what was left of the payload as continuation events. Ends the busy section.
  void Commit();

 private:
  bool Begin(size_t tail_room);
  bool Reserve(size_t fixed_room);
  bool ReserveAnew(size_t least, size_t wanted);
  wire::Writer BeginEvent();
  size_t WritePayload(size_t size);
  void CopyPayload(uint8_t* to, size_t size);
  bool Publish(size_t published);
  void WriteContinuations();
  void Drop(abi::DropCause cause);

  const EventHead& head_;
  wire::Writer writer_{nullptr};
  uint8_t* length_ = nullptr;  // where the frame's length stands
  uint64_t generation_ = 0;    // of the process image that this event belongs to
  size_t room_ = 0;            // bytes of payload that fit the chunk
  size_t carried_ = 0;         // payload bytes written so far
  size_t part_ = 0;            // where the next payload byte is: index of its place,
  size_t part_offset_ = 0;     //   offset in that,
  size_t message_ = 0;         //   index of its datagram,
  size_t message_offset_ = 0;  //   offset in that
  uint32_t level_ = 0;
  uint32_t ticket_ = 0;     // of the busy section: tells whether it was taken for abandoned
  uint32_t vfork_pid_ = 0;  // not 0: this event belongs to that vfork child
  bool more_ = false;       // payload is left for continuation events
  bool ok_ = false;
};

// Writes an event that has nothing after its head.
inline void WriteEvent(const EventHead& head) {
  EventWriter event(head, 0);
  if (event.ok()) event.Commit();
}

// ---- The calls in progress -------------------------------------------------------------------------------------

// Notes that the thread is inside `call` on `fd` since `start_ns`, also in its open chunk, where the collector sees it.
// No system call; takes a chunk when the thread has none yet, and attaches a forked child that has not attached.
// frame: of the hook, its canonical frame address. A call that did not leave and whose frame cannot be alive any more,
// as this one stands no deeper or is one that it was made within, was left by a jump: CALL_LEFT says so.
void EnterCall(uint32_t call, int fd, uint64_t start_ns, uintptr_t frame);

// Takes the note of this call back. An EventWriter does it as it commits, or drops, the call's event.
void LeaveCall(uint32_t call, uint64_t start_ns);

// ---- Threads and processes -------------------------------------------------------------------------------------

// Makes this process the writer of `image`, whose ProcessSlot has index `slot`: threads notice by the wipe page, and
// drop the chunks they had (of the image that forked). False when there is no memory for that page or the kernel cannot
// empty it at fork: nothing may be recorded then, for a child would write into its parent's chunks.
bool BecomeWriter(uint32_t image, uint32_t slot);

// The image that this process writes as, 0 before the first BecomeWriter; in a child that has not attached, its
// parent's. Likewise the slot.
uint32_t CurrentImage();
uint32_t CurrentSlot();

// In a child made by fork since BecomeWriter: true for the one thread that is to attach now, which then calls
// BecomeWriter or GiveUpAttach. False anywhere else.
bool BeginAttachAfterFork();
void GiveUpAttach();

// In such a child, before BecomeWriter: whether a signal handler forked amid the writing of an event, so that once it
// returns, the writing goes on in this process too: in the parent's chunk.
bool ForkedAmidWriting();

// A child of clone() is to run on this very thread's memory and thread-local variables, beside it (CLONE_VM without
// CLONE_VFORK and CLONE_SETTLS): before the call. Of neither anything is recorded as long as the child lives; it is
// counted. ThreadSharedWith: after the call, with what it returned.
void ShareThread();
void ThreadSharedWith(int tid);
bool ThreadIsShared();

// Whether the caller runs on an alternate signal stack, whose addresses say nothing of who called whom. True also where
// the kernel may not be asked.
bool OnAlternateStack();

// Seals the chunks of the calling thread: before exec (the image ends) and _exit. What the thread records afterwards
// (a failed exec) goes into new chunks.
void SealThreadChunks();

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_ARENA_WRITER_H_
