// SPDX-License-Identifier: Apache-2.0
//
// Waiting for descriptors: poll, select and epoll, each with what was asked and what came back (Polled). Of many
// descriptors the ready ones are kept first; Event.size says how many there were.

#include <string.h>

#include "preload/call_scope.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

constexpr size_t kMaxPolled = 128;     // entries kept per call: at most 2.6 KB
constexpr size_t kMaxSelected = 4096;  // descriptors of select's sets that are looked at; fd_set holds 1024
constexpr size_t kBitsPerWord = 8 * sizeof(unsigned long);
constexpr int64_t kForEver = -1;

struct PolledEntry {
  int32_t fd;
  uint32_t events;
  uint32_t revents;
};

size_t EncodedSize(const PolledEntry& entry) {
  using namespace wire;
  const auto field = [](uint64_t v) { return v == 0 ? 0 : 1 + VarintSize(v); };
  return field(ZigZag32(entry.fd)) + field(entry.events) + field(entry.revents);
}

// The entries of one call, gathered before the event is begun: the program's memory may change under us.
class PolledList {
 public:
  bool full() const { return count_ == kMaxPolled; }

  void Add(PolledEntry entry) {
    entries_[count_++] = entry;
    bytes_ += TagAndLength(EncodedSize(entry)) + EncodedSize(entry);
  }

  size_t bytes() const { return bytes_; }

  void Write(wire::Writer& tail) const {
    for (size_t i = 0; i < count_; ++i) {
      const PolledEntry& entry = entries_[i];
      tail.Tag<field::event::kPolled, wire::kLengthDelimited>();
      tail.Varint(EncodedSize(entry));
      tail.Sint<field::polled::kFd>(entry.fd);
      tail.Uint<field::polled::kEvents>(entry.events);
      tail.Uint<field::polled::kRevents>(entry.revents);
    }
  }

 private:
  static size_t TagAndLength(size_t size) { return wire::TagSize(field::event::kPolled) + wire::VarintSize(size); }

  size_t count_ = 0;
  size_t bytes_ = 0;
  PolledEntry entries_[kMaxPolled];
};

// head: of the call, its size set to the number of descriptors asked about.
void RecordWait(const EventHead& head, const PolledList& polled, int64_t timeout_ns) {
  EventWriter event(head, polled.bytes() + wire::kMaxNumberField);
  if (!event.ok()) return;
  polled.Write(event.tail());
  event.tail().Sint<field::event::kTimeoutNs>(timeout_ns);
  event.Commit();
}

int64_t MillisecondsToNs(int timeout_ms) { return timeout_ms < 0 ? kForEver : int64_t{timeout_ms} * 1'000'000; }

// parts: seconds and a fraction in `unit_ns`. Times longer than int64_t holds count as for ever, as the kernel has it.
int64_t ToNs(int64_t seconds, int64_t fraction, int64_t unit_ns) {
  int64_t ns;
  if (__builtin_mul_overflow(seconds, 1'000'000'000, &ns) || __builtin_add_overflow(ns, fraction * unit_ns, &ns)) {
    return kForEver;
  }
  return ns;
}

// select writes the time left into its timeout: to be read before the real call. Null is for ever.
int64_t TimeoutOf(const timeval* timeout) {
  timeval copy;
  return CopyIn(&copy, timeout, sizeof copy) ? ToNs(copy.tv_sec, copy.tv_usec, 1000) : kForEver;
}
int64_t TimeoutOf(const timespec* timeout) {
  timespec copy;
  return CopyIn(&copy, timeout, sizeof copy) ? ToNs(copy.tv_sec, copy.tv_nsec, 1) : kForEver;
}

// ---- poll ---------------------------------------------------------------------------------------------------------

void AddPolled(PolledList& list, const pollfd& entry, bool answered) {
  list.Add({entry.fd, static_cast<uint16_t>(entry.events), answered ? static_cast<uint16_t>(entry.revents) : 0u});
}

void RecordPoll(const CallScope& call, int result, const pollfd* fds, nfds_t count, int64_t timeout_ns) {
  EventHead head = call.Head(result);
  head.size = count;
  PolledList list;
  if (count > 0 && MayRead(result, fds, (count < kMaxPolled ? count : kMaxPolled) * sizeof *fds)) {
    // A failed call (EINTR) leaves revents as they were before it.
    const bool answered = result >= 0;
    if (count <= kMaxPolled) {
      for (nfds_t i = 0; i < count; ++i) AddPolled(list, fds[i], answered);
    } else {
      for (nfds_t i = 0; answered && i < count && !list.full(); ++i) {
        if (fds[i].revents != 0) AddPolled(list, fds[i], true);
      }
      for (nfds_t i = 0; i < count && !list.full(); ++i) {
        if (!answered || fds[i].revents == 0) AddPolled(list, fds[i], answered);
      }
    }
  }
  RecordWait(head, list, timeout_ns);
}

// ---- select -------------------------------------------------------------------------------------------------------

// select's three sets: what was asked, copied before the real call, which overwrites it.
class Selected {
 public:
  // count: select's first argument.
  Selected(const CallScope& call, int count, const fd_set* read, const fd_set* write, const fd_set* except)
      : sets_{read, write, except} {
    if (!call.recording() || count <= 0) return;
    count_ = static_cast<size_t>(count) < kMaxSelected ? static_cast<size_t>(count) : kMaxSelected;
    words_ = (count_ + kBitsPerWord - 1) / kBitsPerWord;
    for (int i = 0; i < 3; ++i) {
      if (!CopyIn(asked_[i], sets_[i], words_ * sizeof(unsigned long))) sets_[i] = nullptr;
    }
  }

  // result: what select returned; when it failed the sets still hold what was asked.
  void List(PolledList& list, bool answered) const {
    if (answered) ListThose(list, true, true);
    ListThose(list, answered, false);
  }

  // Descriptors asked about.
  size_t asked() const {
    size_t asked = 0;
    for (size_t word = 0; word < words_; ++word) {
      unsigned long any = 0;
      for (int i = 0; i < 3; ++i) any |= Asked(i, word);
      for (; any != 0; any &= any - 1) ++asked;  // __builtin_popcountl may call into the compiler's library
    }
    return asked;
  }

 private:
  static constexpr uint32_t kBits[3] = {POLLIN, POLLOUT, POLLPRI};

  unsigned long Asked(int set, size_t word) const { return sets_[set] == nullptr ? 0 : asked_[set][word]; }
  unsigned long Ready(int set, size_t word) const {
    if (sets_[set] == nullptr) return 0;
    unsigned long bits;
    memcpy(&bits, reinterpret_cast<const unsigned long*>(sets_[set]) + word, sizeof bits);
    return bits & asked_[set][word];
  }

  // Adds the descriptors asked about that are ready (or are not).
  void ListThose(PolledList& list, bool answered, bool ready) const {
    for (size_t word = 0; word < words_; ++word) {
      unsigned long asked[3];
      unsigned long answer[3];
      for (int i = 0; i < 3; ++i) {
        asked[i] = Asked(i, word);
        answer[i] = answered ? Ready(i, word) : 0;
      }
      const unsigned long any_ready = answer[0] | answer[1] | answer[2];
      unsigned long left = ready ? any_ready : (asked[0] | asked[1] | asked[2]) & ~any_ready;
      for (; left != 0 && !list.full(); left &= left - 1) {
        const int bit = __builtin_ctzl(left);
        PolledEntry entry = {static_cast<int32_t>(word * kBitsPerWord) + bit, 0, 0};
        if (static_cast<size_t>(entry.fd) >= count_) break;
        for (int i = 0; i < 3; ++i) {
          if (asked[i] >> bit & 1) entry.events |= kBits[i];
          if (answer[i] >> bit & 1) entry.revents |= kBits[i];
        }
        list.Add(entry);
      }
    }
  }

  const fd_set* sets_[3];
  size_t count_ = 0;
  size_t words_ = 0;
  unsigned long asked_[3][kMaxSelected / kBitsPerWord];
};

void RecordSelect(const CallScope& call, int result, const Selected& selected, int64_t timeout_ns) {
  EventHead head = call.Head(result);
  head.size = selected.asked();
  PolledList list;
  selected.List(list, result >= 0);
  RecordWait(head, list, timeout_ns);
}

// slot: of select, __select or pselect. Out of line, for there are as many hooks.
template <typename Function, typename Timeout, typename... Mask>
[[gnu::noinline]] int Select(CallScope& call, Function& slot, int count, fd_set* read, fd_set* write, fd_set* except,
                             Timeout* timeout, Mask... mask) {
  const Selected selected(call, count, read, write, except);
  const int64_t timeout_ns = call.recording() ? TimeoutOf(timeout) : 0;
  const int result = call.Real(slot, count, read, write, except, timeout, mask...);
  if (call.recording()) RecordSelect(call, result, selected, timeout_ns);
  return result;
}

// ---- epoll --------------------------------------------------------------------------------------------------------

// events: the `result` ready ones, when the call succeeded.
[[gnu::noinline]] void RecordEpollControl(const CallScope& call, int result, int operation, int fd,
                                          const epoll_event* wanted) {
  EventHead head = call.Head(result);
  head.new_fd = fd;
  head.flags = static_cast<uint32_t>(operation);
  PolledList list;
  if (result == 0 && operation != EPOLL_CTL_DEL) list.Add({fd, wanted->events, 0});
  RecordWait(head, list, 0);
}

void RecordEpollWait(const CallScope& call, int result, const epoll_event* events, int most, int64_t timeout_ns) {
  EventHead head = call.Head(result);
  head.size = most > 0 ? static_cast<uint64_t>(most) : 0;
  PolledList list;
  for (int i = 0; i < result && !list.full(); ++i) {
    list.Add({static_cast<int32_t>(events[i].data.u64), 0, events[i].events});
  }
  RecordWait(head, list, timeout_ns);
}

}  // namespace

INTERPOSE int poll(pollfd* fds, nfds_t count, int timeout_ms) {
  CallScope call(Hook::poll);
  const int result = call.Real(real.poll, fds, count, timeout_ms);
  if (call.recording()) RecordPoll(call, result, fds, count, MillisecondsToNs(timeout_ms));
  return result;
}

INTERPOSE int __poll(pollfd* fds, nfds_t count, int timeout_ms) {
  CallScope call(Hook::__poll);
  const int result = call.Real(real.__poll, fds, count, timeout_ms);
  if (call.recording()) RecordPoll(call, result, fds, count, MillisecondsToNs(timeout_ms));
  return result;
}

INTERPOSE int __poll_chk(pollfd* fds, nfds_t count, int timeout_ms, size_t fds_size) {
  CallScope call(Hook::__poll_chk);
  const int result = call.Real(real.__poll_chk, fds, count, timeout_ms, fds_size);
  if (call.recording()) RecordPoll(call, result, fds, count, MillisecondsToNs(timeout_ms));
  return result;
}

INTERPOSE int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  CallScope call(Hook::ppoll);
  const int64_t timeout_ns = call.recording() ? TimeoutOf(timeout) : 0;  // (by number the kernel writes what is left)
  const int result = call.Real(real.ppoll, fds, count, timeout, mask);
  if (call.recording()) RecordPoll(call, result, fds, count, timeout_ns);
  return result;
}

INTERPOSE int __ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t fds_size) {
  CallScope call(Hook::__ppoll_chk);
  const int result = call.Real(real.__ppoll_chk, fds, count, timeout, mask, fds_size);
  if (call.recording()) RecordPoll(call, result, fds, count, TimeoutOf(timeout));
  return result;
}

INTERPOSE int select(int count, fd_set* __restrict read_set, fd_set* __restrict write_set,
                     fd_set* __restrict except_set, timeval* __restrict timeout) {
  CallScope call(Hook::select);
  return Select(call, real.select, count, read_set, write_set, except_set, timeout);
}

INTERPOSE int __select(int count, fd_set* read_set, fd_set* write_set, fd_set* except_set, timeval* timeout) {
  CallScope call(Hook::__select);
  return Select(call, real.__select, count, read_set, write_set, except_set, timeout);
}

INTERPOSE int pselect(int count, fd_set* __restrict read_set, fd_set* __restrict write_set,
                      fd_set* __restrict except_set, const timespec* __restrict timeout,
                      const sigset_t* __restrict mask) {
  CallScope call(Hook::pselect);
  return Select(call, real.pselect, count, read_set, write_set, except_set, timeout, mask);
}

INTERPOSE int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* wanted) noexcept {
  CallScope call(Hook::epoll_ctl, epoll_fd);
  const int result = call.Real(real.epoll_ctl, epoll_fd, operation, fd, wanted);
  if (call.recording()) RecordEpollControl(call, result, operation, fd, wanted);
  return result;
}

INTERPOSE int epoll_wait(int epoll_fd, epoll_event* events, int most, int timeout_ms) {
  CallScope call(Hook::epoll_wait, epoll_fd);
  const int result = call.Real(real.epoll_wait, epoll_fd, events, most, timeout_ms);
  if (call.recording()) RecordEpollWait(call, result, events, most, MillisecondsToNs(timeout_ms));
  return result;
}

INTERPOSE int epoll_pwait(int epoll_fd, epoll_event* events, int most, int timeout_ms, const sigset_t* mask) {
  CallScope call(Hook::epoll_pwait, epoll_fd);
  const int result = call.Real(real.epoll_pwait, epoll_fd, events, most, timeout_ms, mask);
  if (call.recording()) RecordEpollWait(call, result, events, most, MillisecondsToNs(timeout_ms));
  return result;
}

INTERPOSE int epoll_pwait2(int epoll_fd, epoll_event* events, int most, const timespec* timeout, const sigset_t* mask) {
  CallScope call(Hook::epoll_pwait2, epoll_fd);
  const int result = call.Real(real.epoll_pwait2, epoll_fd, events, most, timeout, mask);
  if (call.recording()) RecordEpollWait(call, result, events, most, TimeoutOf(timeout));
  return result;
}

}  // namespace socktale
