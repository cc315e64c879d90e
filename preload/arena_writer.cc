// SPDX-License-Identifier: Apache-2.0

#include "preload/arena_writer.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "preload/arena_map.h"
#include "preload/attach.h"
#include "preload/confining.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale {
namespace {

using field::event::kAddress;

constexpr uint32_t kLevels = 4;

constexpr uint32_t kRunEvent = 3;  // Run.event of proto/trace.proto

// Width of a frame's length: 2^21 is more than the largest chunk.
constexpr size_t kLengthWidth = 3;

// The most bytes of a frame besides payload, address and tail: tag and length; call, fd, times, result, error;
// payload's tag and length; payload_size, size, flags; address's tag and length; notes, continuation, new_fd; pid.
constexpr size_t kHeadRoom = (1 + kLengthWidth) + (1 + 5) + (1 + 5) + 3 * (1 + wire::kMaxVarint64) + (1 + 5) + (1 + 3) +
                             2 * (1 + wire::kMaxVarint64) + (1 + 5) + (1 + 2) + (1 + 5) + (1 + wire::kMaxVarint64) +
                             (1 + 5) + (2 + 5);

// A payload is begun in the rest of a chunk when at least this much of it fits; else it waits for a new chunk.
constexpr size_t kLeastSplit = 1024;

static_assert(kHeadRoom + kMaxAddress + 3 + kMaxTail + kLeastSplit <= abi::kChunkBytes[abi::kSizeClasses - 1]);

// How far a level is: one word, so that the store that commits the event of a call says as well that the call is over.
struct alignas(8) Progress {
  uint32_t used;   // bytes committed to the open chunk. Our own copy: shared memory may say anything
  uint32_t calls;  // of level 0: how many of Thread::in are in progress
};

// A call in progress. (EnterCall)
struct InCall {
  uint64_t start_ns;
  uintptr_t frame;  // of the hook
  int32_t fd;
  uint32_t call;   // 0: being noted, or over: nothing to tell
  bool alternate;  // on an alternate signal stack that lies above what the signal came amid
  bool looked;     // whether it is was asked
};

// Calls in progress of one thread: a handler may make one amid another, and one that was left stands here until its
// stack is used again. Deeper ones are not noted.
constexpr uint32_t kCalls = 8;

// One nesting level of a thread: its open chunk.
struct alignas(64) Level {
  abi::ChunkHeader* header;  // null: no open chunk
  uint8_t* data;
  Progress at;
  uint32_t capacity;
  uint64_t base_ns;   // CLOCK_MONOTONIC that the chunk's events count from
  uint64_t sequence;  // of the last chunk taken
  uint32_t size_class;
  uint32_t number;  // the open chunk's
  uint32_t ticket;  // raised when a busy section begins
  arena::Backlog backlog;
};

// Generation ~0: what no wipe page ever holds, so that a thread's first event finds itself new. Not 0, which is what a
// forked child's page holds.
constexpr uint64_t kNeverAttached = ~uint64_t{0};

// What each call needs comes in three cache lines: this one's first, that of level[0], and that of in[0].
struct alignas(64) Thread {
  uint64_t generation = kNeverAttached;  // of the image that the rest belongs to
  uint64_t left_ns = 0;                  // the beginning of the call last told as left
  uintptr_t frame[kLevels] = {};         // of each level, the stack address of the busy section's writer; 0: idle
  uint64_t start_ns = 0;                 // when it took its first chunk
  uint32_t tid = 0;
  int shared_with = 0;  // while generation is kShared: the other's thread id; 0: not known yet; or kSeveral
  Level level[kLevels] = {};
  InCall in[kCalls] = {};            // the later the deeper. As many as Progress::calls
  uint64_t unshared_generation = 0;  // that it has again when it is alone
  bool attaching = false;            // between BeginAttachAfterFork and BecomeWriter
};

constexpr uint64_t kAttaching = kNeverAttached - 1;
constexpr uint64_t kShared = kNeverAttached - 2;  // another runs on this thread's memory: ShareThread()
constexpr int kSeveral = -1;

constinit __thread Thread thread __attribute__((tls_model("initial-exec"))) = {};

// The page that the kernel empties in a forked child (MADV_WIPEONFORK). It holds the image's generation.
constinit std::atomic<uint64_t> before_attach{0};
constinit std::atomic<uint64_t>* wipe_page = &before_attach;

constinit uint64_t last_generation = 0;
constinit uint32_t current_image = 0;
constinit uint32_t current_slot = abi::kMaxProcesses;

uint64_t Generation() { return wipe_page->load(std::memory_order_acquire); }

void SealLevel(Level& level) {
  if (level.header == nullptr) return;
  level.header->in_call.store(0, std::memory_order_relaxed);
  // Less stands there where a handler jumped out of the very last step of a writer.
  level.header->committed.store(level.at.used, std::memory_order_release);
  level.header->state.store(abi::kChunkSealed, std::memory_order_release);
  level.header = nullptr;
  level.at.used = level.capacity = 0;
}

void Unshare() {
  living_vforks.fetch_sub(1, std::memory_order_relaxed);
  thread.generation = thread.unshared_generation;
}

// Whether nobody runs on this thread's memory beside it any more.
bool AloneAgain() {
  if (thread.shared_with <= 0 || RawSyscall(SYS_tkill, thread.shared_with, 0) != -ESRCH) return false;
  Unshare();
  return true;
}

// Makes the thread's state that of the present image. False: there is none, for this child of a fork did not attach.
bool BeginThread(uint64_t start_ns) {
  if (thread.generation == kShared && !AloneAgain()) return false;
  if (Generation() == 0) AttachAfterFork(start_ns);
  constexpr int kMostYields = 100'000;  // another thread attaches: a few dozen system calls
  for (int i = 0; Generation() == kAttaching; ++i) {
    if (thread.attaching || i == kMostYields) return false;  // (a signal handler that interrupted the attaching)
    RawSyscall(SYS_sched_yield);
  }
  const uint64_t generation = Generation();
  if (!Recording() || generation == 0) return false;
  if (thread.generation == generation) return true;  // attaching wrote events by this thread
  const uint32_t tid = confinement::ThreadNumber();
  if (tid == 0) return false;
  // Chunks that stand here belong to the image that forked: they are not ours to seal.
  for (Level& level : thread.level) level = Level{};
  for (uintptr_t& frame : thread.frame) frame = 0;
  thread.left_ns = 0;
  thread.start_ns = 0;
  thread.tid = tid;
  thread.generation = generation;
  return true;
}

bool ThreadIsCurrent(uint64_t start_ns) {
  return __builtin_expect(thread.generation == Generation(), 1) || BeginThread(start_ns);
}

// Keeps the compiler from moving memory accesses across: a signal handler of this thread may look at what we did.
void SignalFence() { std::atomic_signal_fence(std::memory_order_seq_cst); }

bool Busy() {
  static_assert(kLevels == 4);
  return __builtin_expect((thread.frame[0] | thread.frame[1] | thread.frame[2] | thread.frame[3]) != 0, 0);
}

// Levels that are busy, and those below one that is: the number of the next free one.
uint32_t Depth() {
  uint32_t depth = kLevels;
  while (depth > 0 && thread.frame[depth - 1] == 0) --depth;
  return depth;
}

// A handler that jumped out of a busy section left its level busy. Such a section's frame lies below ours on the same
// stack: it cannot be alive.
bool IsAbandoned(uint32_t number, uintptr_t frame) {
  return thread.frame[number] != 0 && thread.frame[number] <= frame && !OnAlternateStack();
}

// Makes level `number` of this thread busy, for a writer whose frame is at `frame`. Returns its ticket. A handler may
// break in anywhere, and jump away: one store makes the level busy, and one (EndBusy) makes it idle. Before the first
// the handler takes the level for itself and leaves it idle again, or abandoned, which is nobody's by then; after that
// it takes the next.
uint32_t BeginBusy(uint32_t number, uintptr_t frame) {
  SignalFence();
  thread.frame[number] = frame;
  SignalFence();
  return ++thread.level[number].ticket;
}

void EndBusy(uint32_t number) {
  SignalFence();
  thread.frame[number] = 0;
  SignalFence();
}

// The chunks of abandoned levels are sealed, so that if one lives after all (a handler that switches stacks by hand) it
// writes where nobody reads.
void LowerAbandonedLevels(uintptr_t frame) {
  for (uint32_t depth = Depth(); depth > 0 && IsAbandoned(depth - 1, frame); --depth) {
    BeginBusy(depth - 1, frame);  // ours: no handler lowers it a second time
    SealLevel(thread.level[depth - 1]);
    EndBusy(depth - 1);
  }
}

// Puts the deepest call in progress, or that there is none, where the collector sees it.
inline void ShowCall(abi::ChunkHeader& header) {
  const uint32_t calls = thread.level[0].at.calls;
  if (__builtin_expect(calls == 0, 1)) return header.in_call.store(0, std::memory_order_relaxed);
  const InCall& in = thread.in[calls - 1];
  header.in_start_ns.store(in.start_ns, std::memory_order_relaxed);
  header.in_fd.store(in.fd, std::memory_order_relaxed);
  header.in_call.store(in.call, std::memory_order_relaxed);
}

// Opens a new chunk for events of `least` to `wanted` bytes; their times count from base_ns (CLOCK_MONOTONIC).
// Level `number` must be busy. kYes: level holds the chunk.
arena::Taken OpenChunk(uint32_t number, size_t least, size_t wanted, uint64_t base_ns) {
  Level& level = thread.level[number];
  // A thread climbs to larger chunks as it fills them, at once when an event asks for one.
  if (level.header != nullptr && level.at.used * 2 > level.capacity && level.size_class + 1 < abi::kSizeClasses) {
    ++level.size_class;
  }
  uint32_t size_class = level.size_class;
  while (size_class + 1 < abi::kSizeClasses && abi::kChunkBytes[size_class] < wanted) ++size_class;
  if (level.header != nullptr && level.capacity == abi::kChunkBytes[abi::kSizeClasses - 1]) {
    level.backlog.Add(level.number);
  }
  SealLevel(level);

  if (thread.start_ns == 0) {
    thread.start_ns = Now();
    arena::SealLeftBehind(current_image, thread.tid, thread.start_ns);
  }
  arena::Chunk chunk;
  const arena::Taken taken = arena::Take(size_class, least, {current_slot, thread.tid, level.backlog}, chunk);
  if (taken != arena::Taken::kYes) return taken;
  const uint64_t trace_base = arena::header->base_ns;
  if (base_ns < trace_base) base_ns = trace_base;
  abi::ChunkHeader& header = *chunk.header;
  header.committed.store(0, std::memory_order_relaxed);
  header.image = current_image;
  header.tid = thread.tid;
  header.level = number;
  header.slot = current_slot;
  header.sequence = ++level.sequence;
  header.base_ns = base_ns - trace_base;
  header.thread_start_ns = thread.start_ns;
  header.in_call.store(0, std::memory_order_relaxed);
  if (number == 0) ShowCall(header);
  header.state.store(abi::kChunkOpen, std::memory_order_release);
  level.header = &header;
  level.number = chunk.number;
  level.data = chunk.data;
  level.at.used = 0;
  level.capacity = chunk.capacity;
  level.base_ns = base_ns;
  return taken;
}

// Whether the deepest call in progress is the one that began at `start_ns`, or CALL_LEFT tells of it.
inline bool IsDeepest(uint32_t call, uint64_t start_ns) {
  const uint32_t calls = thread.level[0].at.calls;
  if (calls == 0) return false;
  const InCall& in = thread.in[calls - 1];
  return in.start_ns == start_ns && (in.call == call || call == field::CALL_LEFT);
}

// The thread's call in progress number `calls` is over.
void ForgetDeepest(uint32_t calls) {
  thread.level[0].at.calls = calls - 1;
  SignalFence();
  thread.in[calls - 1].call = 0;
}

// The deepest call in progress has lost its frame: a handler jumped out of it, or the thread was cancelled there. What
// it did is not known. frame: a living one: what lies below, is gone.
void TellLeft(uint64_t now_ns, uintptr_t frame) {
  LowerAbandonedLevels(frame);
  const uint32_t calls = thread.level[0].at.calls;
  const InCall left = thread.in[calls - 1];
  if (left.call == 0) return ForgetDeepest(calls);
  EventHead head;
  head.call = field::CALL_LEFT;
  head.fd = left.fd;
  head.start_ns = left.start_ns;
  head.end_ns = now_ns;
  EventWriter event(head, wire::kMaxNumberField);
  if (event.ok()) {
    event.tail().Uint<field::event::kOption>(left.call);
    event.Commit();
  }
  thread.left_ns = left.start_ns;
  if (thread.level[0].at.calls >= calls) ForgetDeepest(calls);  // a handler forked, and this is the child
}

// A call that is about to end: those noted after it that have not ended were left.
void TellLeftWithin(uint32_t call, uint64_t start_ns) {
  for (uint32_t i = thread.level[0].at.calls; i > 0; --i) {
    if (thread.in[i - 1].start_ns != start_ns || thread.in[i - 1].call != call) continue;
    while (thread.level[0].at.calls > i) TellLeft(Now(), thread.in[i - 1].frame);
    return;
  }
}

// The chunk's next lines were last in the cache of the processor that the collector runs on: to have them when the next
// event comes, which is likely of the same size, they are asked for now.
inline void FetchAhead(const uint8_t* at, size_t size) {
#if defined(__x86_64__)
  constexpr size_t kLine = 64;
  constexpr size_t kMost = 8 * kLine;  // further ones come by themselves, as a stream
  const uint8_t* const end = at + kLine + (size < kMost ? size : kMost);
  for (at += kLine; at < end; at += kLine) asm volatile("prefetchw %0" : : "m"(*at));
#else
  (void)at, (void)size;
#endif
}

}  // namespace

// ---- EventWriter -----------------------------------------------------------------------------------------------

EventWriter::EventWriter(const EventHead& head, size_t tail_room) : head_(head) {
  if (__builtin_expect(!Begin(tail_room), 0)) {
    LeaveCall(head.call, head.start_ns);
    return;
  }
  // Our own, in a register: what is written are bytes, which for all the compiler knows may be any member.
  wire::Writer writer = BeginEvent();
  writer.Sint<field::event::kResult>(head.result);
  writer.Uint<field::event::kError>(head.error);
  uint32_t notes = head.notes;
  if (__builtin_expect(head.start_ns == thread.left_ns, 0)) notes |= field::EVENT_NOTE_CAME_BACK;
  size_t kept = head.payload.size;
  if (kept != 0) {
    const size_t fits = kept < room_ ? kept : room_;
    if (__builtin_expect(IsOfParts(head.payload) && fits <= head.payload.parts->iov_len, 1)) {
      __builtin_memcpy(writer.BytesSpace<field::event::kPayload>(fits), head.payload.parts->iov_base, fits);
      carried_ = part_offset_ = fits;
    } else {
      writer_ = writer;
      const size_t written = WritePayload(fits);
      writer = writer_;
      if (written < fits) kept = written;  // the file that sendfile sent has shrunk since
    }
    more_ = carried_ == fits && fits < kept;
  }
  if (__builtin_expect(head.moved > kept || more_, 0)) {
    writer.Uint<field::event::kPayloadSize>(head.moved);
    if (more_) notes |= field::EVENT_NOTE_MORE;
    if (head.moved > kept && (notes & field::EVENT_NOTE_NOT_SEEN) == 0) notes |= field::EVENT_NOTE_CUT;
  }
  writer.Uint<field::event::kSize>(head.size);
  writer.Uint<field::event::kFlags>(head.flags);
  if (__builtin_expect(head.address.size != 0, 0)) {
    writer.Bytes<kAddress>(head.address.data, head.address.size < kMaxAddress ? head.address.size : kMaxAddress);
  }
  if (__builtin_expect(vfork_pid_ != 0, 0)) notes |= field::EVENT_NOTE_VFORK_CHILD;
  writer.Uint<field::event::kNotes>(notes);
  writer.Sint<field::event::kNewFd>(head.new_fd);
  writer_ = writer;
  ok_ = true;
}

// Makes a level busy and finds room in it. False: dropped, and counted.
inline bool EventWriter::Begin(size_t tail_room) {
  if (!Recording() || !ThreadIsCurrent(head_.start_ns)) {
    CountUnrecorded();
    return false;
  }
  generation_ = thread.generation;
  if (__builtin_expect(thread.level[0].at.calls > 1, 0)) TellLeftWithin(head_.call, head_.start_ns);
  const uintptr_t frame = reinterpret_cast<uintptr_t>(this);
  if (Busy()) {
    LowerAbandonedLevels(frame);
    level_ = Depth();
  }
  if (level_ == kLevels) {
    arena::CountDrop(abi::kDropNested, head_.moved, current_slot);
    return false;
  }
  ticket_ = BeginBusy(level_, frame);

  if (__builtin_expect(living_vforks.load(std::memory_order_relaxed) != 0, 0)) vfork_pid_ = VforkChildPid();
  const size_t address_size = head_.address.size < kMaxAddress ? head_.address.size : kMaxAddress;
  return Reserve(kHeadRoom + 3 + address_size + tail_room);
}

// Finds room in the open chunk, or opens another, for `fixed_room` bytes and payload; sets room_. False: dropped.
inline bool EventWriter::Reserve(size_t fixed_room) {
  const Level& level = thread.level[level_];
  const size_t left = head_.payload.size - carried_;
  const size_t least = fixed_room + (left < kLeastSplit ? left : kLeastSplit);
  // (An event that began before the chunk's first one cannot be told in it: times count upwards from that.)
  if (__builtin_expect(level.capacity - level.at.used < least || head_.start_ns < level.base_ns, 0) &&
      !ReserveAnew(least, fixed_room + left)) {
    return false;
  }
  room_ = level.capacity - level.at.used - fixed_room;
  return true;
}

// Opens another chunk.
bool EventWriter::ReserveAnew(size_t least, size_t wanted) {
  if (least > abi::kChunkBytes[abi::kSizeClasses - 1]) {
    Drop(abi::kDropTooBig);
    return false;
  }
  const arena::Taken taken = OpenChunk(level_, least, wanted, head_.start_ns);
  if (taken == arena::Taken::kYes) return true;
  if (taken == arena::Taken::kNo || process_mode.load(std::memory_order_relaxed) == kModeCounting) {
    Drop(confinement::Active() ? abi::kDropConfined : abi::kDropFull);
  } else {
    EndBusy(level_);
  }
  return false;
}

// Begins the frame and writes the fields that each event of a call has, those of its continuations too.
inline wire::Writer EventWriter::BeginEvent() {
  const Level& level = thread.level[level_];
  wire::Writer writer(level.data + level.at.used);
  length_ = writer.BeginReserved<kRunEvent, kLengthWidth>();
  writer.Uint<field::event::kCall>(head_.call);
  writer.Sint<field::event::kFd>(head_.fd);
  writer.Uint<field::event::kStartNs>(Since(level.base_ns, head_.start_ns));
  writer.Uint<field::event::kDurationNs>(Since(head_.start_ns, head_.end_ns));
  return writer;
}

// Writes the next `size` bytes of payload; returns how many there were (fewer only when read from a file).
size_t EventWriter::WritePayload(size_t size) {
  if (head_.payload.file < 0) {
    CopyPayload(writer_.BytesSpace<field::event::kPayload>(size), size);
    carried_ += size;
    return size;
  }
  uint8_t* const length = writer_.BeginReserved<field::event::kPayload, kLengthWidth>();
  size_t got = 0;
  while (got < size) {
    const long n = RawSyscall(SYS_pread64, head_.payload.file, RawPointer(writer_.position() + got),
                              static_cast<long>(size - got), static_cast<long>(head_.payload.offset + carried_ + got));
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  writer_ = wire::Writer(writer_.position() + got);
  writer_.EndReserved<kLengthWidth>(length);
  carried_ += got;
  return got;
}

void EventWriter::CopyPayload(uint8_t* to, size_t size) {
  const Payload& payload = head_.payload;
  while (size > 0) {
    const iovec* parts = payload.parts;
    size_t available = size;  // in this datagram
    if (payload.messages != nullptr) {
      const mmsghdr& message = payload.messages[message_];
      parts = message.msg_hdr.msg_iov;
      available = MessageBytes(message) - message_offset_;
      if (available == 0) {
        ++message_;
        message_offset_ = part_ = part_offset_ = 0;
        continue;
      }
    }
    const iovec& part = parts[part_];
    size_t n = part.iov_len - part_offset_;
    if (n == 0) {
      ++part_;
      part_offset_ = 0;
      continue;
    }
    if (n > available) n = available;
    if (n > size) n = size;
    __builtin_memcpy(to, static_cast<const uint8_t*>(part.iov_base) + part_offset_, n);
    to += n;
    size -= n;
    part_offset_ += n;
    message_offset_ += n;
  }
}

// Ends the busy section without an event.
void EventWriter::Drop(abi::DropCause cause) {
  arena::CountDrop(cause, head_.moved - carried_, current_slot);
  EndBusy(level_);
}

// False: nothing was published, because a handler that interrupted us has forked and this is the child, where the event
// has no business (the parent publishes it), or because the busy section was taken for abandoned, which is counted.
// published: bytes of payload in the events before this one.
inline bool EventWriter::Publish(size_t published) {
  Level& level = thread.level[level_];
  if (__builtin_expect(Generation() != generation_, 0)) return false;
  if (__builtin_expect(level.ticket != ticket_, 0)) {
    arena::CountDrop(abi::kDropNested, head_.moved - published, current_slot);
    return false;
  }
  // A handler came amid the telling and told it itself.
  const bool deepest = IsDeepest(head_.call, head_.start_ns);
  if (__builtin_expect(head_.call == field::CALL_LEFT && !deepest, 0)) {
    EndBusy(level_);
    return false;
  }
  writer_.EndReserved<kLengthWidth>(length_);
  const uint32_t used = static_cast<uint32_t>(writer_.position() - level.data);
  SignalFence();  // a handler that jumps away leaves either the event committed and the call over, or neither
  if (level_ == 0 && deepest) {
    const Progress over = {used, level.at.calls - 1};
    __atomic_store(&level.at, &over, __ATOMIC_RELAXED);
    SignalFence();
    thread.in[over.calls].call = 0;
    ShowCall(*level.header);
  } else {
    level.at.used = used;
  }
  SignalFence();
  level.header->committed.store(used, std::memory_order_release);
  FetchAhead(writer_.position(), static_cast<size_t>(writer_.position() - length_));
  return true;
}

void EventWriter::Commit() {
  if (vfork_pid_ != 0) writer_.Uint<field::event::kPid>(vfork_pid_);
  const bool published = Publish(0);
  if (__builtin_expect(!published || level_ != 0, 0)) LeaveCall(head_.call, head_.start_ns);
  if (!published) return;
  if (__builtin_expect(more_, 0)) {
    WriteContinuations();
    if (Generation() != generation_ || thread.level[level_].ticket != ticket_) return;
  }
  EndBusy(level_);
}

void EventWriter::WriteContinuations() {
  while (carried_ < head_.payload.size) {
    if (!Reserve(kHeadRoom)) return;  // the rest is counted as dropped
    const size_t before = carried_;
    const size_t left = head_.payload.size - before;
    writer_ = BeginEvent();
    const size_t fits = left < room_ ? left : room_;
    const bool whole = WritePayload(fits) == fits;
    uint32_t notes = head_.notes & (field::EVENT_NOTE_PEEK | field::EVENT_NOTE_READ_BACK);
    if (whole && fits < left) notes |= field::EVENT_NOTE_MORE;
    if (!whole) notes |= field::EVENT_NOTE_CUT;
    if (vfork_pid_ != 0) notes |= field::EVENT_NOTE_VFORK_CHILD;
    writer_.Uint<field::event::kNotes>(notes);
    writer_.Uint<field::event::kContinuation>(before);
    if (vfork_pid_ != 0) writer_.Uint<field::event::kPid>(vfork_pid_);
    if (!Publish(before) || !whole) return;
  }
}

// ---- The calls in progress -------------------------------------------------------------------------------------

namespace {

// Whether the address lies on the thread's alternate signal stack.
bool LiesOnAlternateStack(uintptr_t address) {
  stack_t stack;
  if (RawSyscall(SYS_sigaltstack, 0, RawPointer(&stack)) != 0 || (stack.ss_flags & SS_DISABLE) != 0) return false;
  return address - reinterpret_cast<uintptr_t>(stack.ss_sp) < stack.ss_size;
}

}  // namespace

void EnterCall(uint32_t call, int fd, uint64_t start_ns, uintptr_t frame) {
  if (!ThreadIsCurrent(start_ns)) return;
  // Of a vfork child the calls in progress are its parent's.
  if (__builtin_expect(living_vforks.load(std::memory_order_relaxed) != 0, 0) && VforkChildPid() != 0) return;
  Level& level = thread.level[0];
  bool alternate = false;
  while (__builtin_expect(level.at.calls != 0, 0)) {
    InCall& in = thread.in[level.at.calls - 1];
    if (frame < in.frame && !in.alternate) {
      // A handler's, amid that call; or that one was left, and we go deeper; or it was a handler's on a stack above.
      if (!in.looked) in.alternate = LiesOnAlternateStack(in.frame);
      in.looked = true;
      if (!in.alternate) break;
    }
    alternate = OnAlternateStack();
    if (alternate) break;
    TellLeft(start_ns, frame);
  }
  if (Busy()) {
    LowerAbandonedLevels(frame);
    if (Busy()) return;  // in a handler amid the writing of an event: the note would be of another chunk
  }
  if (level.at.calls == kCalls) return;
  if (__builtin_expect(level.header == nullptr, 0)) {
    if (level.sequence != 0) return;  // sealed before exec, or no room: the next event takes one
    BeginBusy(0, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
    OpenChunk(0, 0, 0, start_ns);
    EndBusy(0);
  }
  // A handler that comes before `calls` is raised uses the same place, and leaves it with call 0, as one that jumps
  // away behind that finds it. The call itself comes last.
  InCall& in = thread.in[level.at.calls];
  in.call = 0;
  in.frame = frame;
  SignalFence();
  ++level.at.calls;
  SignalFence();
  in.start_ns = start_ns;
  in.frame = frame;
  in.fd = fd;
  in.alternate = in.looked = alternate;
  SignalFence();
  in.call = call;
  // A handler may seal the chunk at any moment, and find no other: one look at the pointer.
  abi::ChunkHeader* const header = *const_cast<abi::ChunkHeader* volatile*>(&level.header);
  if (header != nullptr) ShowCall(*header);
}

void LeaveCall(uint32_t call, uint64_t start_ns) {
  const bool current = thread.generation == Generation();
  if (current) TellLeftWithin(call, start_ns);
  if (!IsDeepest(call, start_ns)) return;
  ForgetDeepest(thread.level[0].at.calls);
  if (!current) return;  // the chunk is another process's, or a child writes there
  abi::ChunkHeader* const header = *const_cast<abi::ChunkHeader* volatile*>(&thread.level[0].header);
  if (header != nullptr) ShowCall(*header);
}

// ---- Threads and processes -------------------------------------------------------------------------------------

bool OnAlternateStack() {
  stack_t stack;
  return RawSyscall(SYS_sigaltstack, 0, RawPointer(&stack)) != 0 || (stack.ss_flags & SS_ONSTACK) != 0;
}

bool BecomeWriter(uint32_t image, uint32_t slot) {
  if (wipe_page == &before_attach) {
    const long page = RawSyscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page < 0 && page > -4096) return false;
    if (RawSyscall(SYS_madvise, page, 4096, MADV_WIPEONFORK) != 0) {
      RawSyscall(SYS_munmap, page, 4096);
      return false;
    }
    wipe_page = reinterpret_cast<std::atomic<uint64_t>*>(page);
  } else {
    arena::ForgetTouched();
  }
  current_image = image;
  current_slot = slot;
  thread.attaching = false;
  wipe_page->store(++last_generation, std::memory_order_release);
  return true;
}

uint32_t CurrentImage() { return current_image; }
uint32_t CurrentSlot() { return current_slot; }

bool BeginAttachAfterFork() {
  uint64_t wiped = 0;
  if (wipe_page == &before_attach || !wipe_page->compare_exchange_strong(wiped, kAttaching)) return false;
  thread.attaching = true;
  if (ThreadIsShared()) thread.generation = kNeverAttached;  // the child's copy is its own
  return true;
}

bool ForkedAmidWriting() {
  const uintptr_t frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  for (uint32_t i = 0; i < kLevels; ++i) {
    if (thread.frame[i] != 0 && !IsAbandoned(i, frame)) return true;
  }
  return false;
}

void GiveUpAttach() {
  thread.attaching = false;
  wipe_page->store(0, std::memory_order_release);
}

void ShareThread() {
  if (thread.generation == kShared) {
    thread.shared_with = kSeveral;
    return;
  }
  SealThreadChunks();
  living_vforks.fetch_add(1, std::memory_order_relaxed);
  thread.unshared_generation = thread.generation;
  thread.shared_with = 0;
  thread.generation = kShared;
}

void ThreadSharedWith(int tid) {
  if (thread.shared_with != 0) return;
  if (tid > 0) {
    thread.shared_with = tid;
  } else {
    Unshare();
  }
}

bool ThreadIsShared() { return thread.generation == kShared; }

void SealThreadChunks() {
  if (thread.generation != Generation() || Busy()) return;
  // Busy meanwhile: a handler's event must not find a chunk that is half sealed. From the highest, for such an event
  // opens one above. (It stays open: the collector takes it when the thread is gone.)
  for (uint32_t i = kLevels; i-- > 0;) {
    if (thread.level[i].header == nullptr) continue;
    BeginBusy(i, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
    SealLevel(thread.level[i]);
    EndBusy(i);
  }
}

}  // namespace socktale
