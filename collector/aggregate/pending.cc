// SPDX-License-Identifier: Apache-2.0
//
// Events → records, and the streams' queues merged.

#include "collector/aggregate/pending.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>

#include "base/status_macros.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

// Slabs that are kept for the next events when no more wait: some MiB.
constexpr size_t kSlabsKept = 16;

// Ends count from the call's entry: another thread may be given the number while the call still runs. So does fork:
// the child has the table as of then.
bool CountsFromEntry(Call call) {
  if (OnlyEndsDescriptors(call)) return true;
  switch (call) {
    case CALL_ATTACHED:  // after fork: the entry of the fork
    case CALL_EXECUTING:
    case CALL_EXIT:
    case CALL_FORK:
    case CALL_VFORK:
    case CALL_CLONE:
    case CALL_POSIX_SPAWN:
      return true;
    default:
      return false;
  }
}

// A readiness to write is what tells that a connect without blocking has come through.
bool SaysWritable(const EventView& event) {
  for (const absl::string_view bytes : event.polled) {
    PolledView polled;
    if (ParsePolled(bytes, polled).ok() && (polled.revents & (POLLOUT | POLLERR | POLLHUP)) != 0) return true;
  }
  return false;
}
static_assert(POLLOUT == EPOLLOUT && POLLERR == EPOLLERR && POLLHUP == EPOLLHUP);

// Which of an event's fields beyond those of Record matter later.
enum class Rest { kNothing, kAllButPayload, kAll };
Rest WhatRemains(const EventView& event) {
  if (event.continuation != 0) return Rest::kNothing;
  if (IsTransfer(event.call)) {
    const bool more = !event.address.empty() || !event.local_address.empty() || !event.passed.empty() ||
                      !event.datagrams.empty() || event.pid != 0;
    return more ? Rest::kAllButPayload : Rest::kNothing;
  }
  if (IsWait(event.call)) return event.pid != 0 || SaysWritable(event) ? Rest::kAll : Rest::kNothing;
  if (event.call == CALL_CLOSE || event.call == CALL_SHUTDOWN) {
    return event.pid != 0 ? Rest::kAll : Rest::kNothing;
  }
  return Rest::kAll;
}

std::unique_ptr<char[]> Copy(absl::string_view head, absl::string_view tail, uint32_t& size) {
  size = static_cast<uint32_t>(head.size() + tail.size());
  auto copy = std::make_unique_for_overwrite<char[]>(size);
  std::copy(head.begin(), head.end(), copy.get());
  std::copy(tail.begin(), tail.end(), copy.get() + head.size());
  return copy;
}

// Copies an encoded event without its payload field (tag 7, length, bytes), or whole where that cannot be cut out.
std::unique_ptr<char[]> CopyWithoutPayload(absl::string_view bytes, absl::string_view payload, uint32_t& size) {
  constexpr char kPayloadTag = 7 << 3 | 2;
  if (!payload.empty()) {
    size_t begin = static_cast<size_t>(payload.data() - bytes.data());
    const size_t end = begin + payload.size();
    if (begin > 0) --begin;  // the length's last byte; those before it have their top bit set
    while (begin > 0 && (bytes[begin - 1] & 0x80) != 0) --begin;
    if (begin > 0 && bytes[begin - 1] == kPayloadTag) {
      return Copy(bytes.substr(0, begin - 1), bytes.substr(end), size);
    }
  }
  return Copy(bytes, {}, size);
}

}  // namespace

// The shim says the size where the payload does not tell; else a result is taken that is a count of bytes.
uint64_t MovedBytes(const EventView& event) {
  if (event.error != 0 || (event.notes & EVENT_NOTE_PEEK) != 0 || event.continuation != 0) return 0;
  if (event.payload_size != 0) return event.payload_size;
  if (event.call == CALL_SENDMMSG || event.call == CALL_RECVMMSG) return 0;
  return event.result > 0 ? static_cast<uint64_t>(event.result) : 0;
}

uint32_t Pending::StreamOf(const RunView& run) {
  const auto key =
      std::make_pair(uint64_t{run.image} << 32 | run.tid, std::make_pair(uint64_t{run.level}, run.thread_start_ns));
  const auto [entry, inserted] = stream_index_.try_emplace(key, static_cast<uint32_t>(streams_.size()));
  if (inserted) {
    Stream& stream = streams_.emplace_back();
    stream.image = run.image;
    stream.tid = run.tid;
    stream.level = run.level;
    stream.thread_start_ns = run.thread_start_ns;
    queues_.emplace_back();
  }
  return entry->second;
}

uint32_t Pending::FreePlace() {
  if (free_ == kNone) {
    const uint32_t first = static_cast<uint32_t>(slabs_.size()) * kPlacesPerSlab;
    Place* const slab = slabs_.emplace_back(std::make_unique<Place[]>(kPlacesPerSlab)).get();
    for (uint32_t i = 0; i + 1 < kPlacesPerSlab; ++i) slab[i].next = first + i + 1;
    free_ = first;
  }
  return std::exchange(free_, place(free_).next);
}

Pending::Head Pending::HeadOf(uint32_t stream) const {
  const Place& first = place(queues_[stream].first);
  return {first.record.key_ns, first.number, stream};
}

absl::Status Pending::Add(RunView& run, uint64_t block, uint64_t now_ns, size_t most) {
  const uint32_t stream = StreamOf(run);
  Queue& queue = queues_[stream];
  while (waiting_ < most) {
    absl::string_view bytes;
    bool found = false;
    RETURN_IF_ERROR(NextEvent(run.events, bytes, found));
    if (!found) return absl::OkStatus();
    RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event_));
    const EventView& event = event_;
    const uint32_t at = FreePlace();
    Place& taken = place(at);
    taken.number = next_number_++;
    taken.next = kNone;
    Record& record = taken.record;
    record.start_ns = std::min(event.start_ns, now_ns);
    record.end_ns = std::min(std::max(event.start_ns, event.end_ns()), now_ns);  // a hostile duration may wrap
    record.continuation = event.continuation != 0;
    const uint64_t time_ns = CountsFromEntry(event.call) ? record.start_ns : record.end_ns;
    // A time that is no time must not hold back what the thread does later.
    const bool plausible = !record.continuation && time_ns < UINT64_MAX / 2;
    if (plausible) queue.last_key_ns = std::max(queue.last_key_ns, time_ns);
    record.key_ns = queue.last_key_ns;
    record.result = event.result;
    record.moved = MovedBytes(event);
    record.kept = (event.notes & EVENT_NOTE_PEEK) != 0 ? 0 : event.payload.size();
    record.size = event.size;
    record.stream = stream;
    record.block = static_cast<uint32_t>(block);
    record.fd = event.fd;
    record.new_fd = event.new_fd;
    record.flags = event.flags;
    record.notes = event.notes;
    record.error = event.error;
    record.call = event.call;
    switch (WhatRemains(event)) {
      case Rest::kNothing:
        break;
      case Rest::kAllButPayload:
        taken.rest = CopyWithoutPayload(bytes, event.payload, record.rest_size);
        break;
      case Rest::kAll:
        taken.rest = Copy(bytes, {}, record.rest_size);
        break;
    }
    record.rest = taken.rest.get();
    ++waiting_;
    if (queue.first != kNone) {
      place(queue.last).next = at;
      queue.last = at;
    } else {
      queue.first = queue.last = at;
      heads_.push_back(HeadOf(stream));
      std::push_heap(heads_.begin(), heads_.end(), std::greater<>());
    }
  }
  return absl::OkStatus();
}

const Record* Pending::First() const {
  return heads_.empty() ? nullptr : &place(queues_[heads_.front().stream].first).record;
}

void Pending::DropFirst() {
  const uint32_t stream = heads_.front().stream;
  Queue& queue = queues_[stream];
  const uint32_t at = queue.first;
  Place& dropped = place(at);
  queue.first = dropped.next;
  dropped.rest.reset();
  dropped.next = free_;
  free_ = at;
  --waiting_;
  if (queue.first != kNone) {
    // One thread often has many in a row.
    const Head head = HeadOf(stream);
    const auto before = [this, &head](size_t child) { return child >= heads_.size() || heads_[child] > head; };
    if (before(1) && before(2)) {
      heads_.front() = head;
      return;
    }
    std::pop_heap(heads_.begin(), heads_.end(), std::greater<>());
    heads_.back() = head;
    std::push_heap(heads_.begin(), heads_.end(), std::greater<>());
    return;
  }
  queue.last = kNone;
  std::pop_heap(heads_.begin(), heads_.end(), std::greater<>());
  heads_.pop_back();
  // A long wait took much memory; the next ones need not.
  if (waiting_ == 0 && slabs_.size() > kSlabsKept) {
    slabs_.clear();
    free_ = kNone;
  }
}

bool Pending::Rest(const Record& record, EventView& event) {
  return record.rest != nullptr && ParseEvent({record.rest, record.rest_size}, 0, event).ok();
}

}  // namespace socktale
