// SPDX-License-Identifier: Apache-2.0
//
// Events → records, and records in order of time.

#include "collector/aggregate/pending.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>

#include "base/status_macros.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

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

// Appends an encoded event without its payload field (tag 7, length, bytes), or whole where that cannot be cut out.
void AppendWithoutPayload(absl::string_view bytes, absl::string_view payload, std::string& to) {
  constexpr char kPayloadTag = 7 << 3 | 2;
  size_t begin = static_cast<size_t>(payload.data() - bytes.data());
  if (!payload.empty()) {
    if (begin > 0) --begin;  // the length's last byte; those before it have their top bit set
    while (begin > 0 && (bytes[begin - 1] & 0x80) != 0) --begin;
    if (begin > 0 && bytes[begin - 1] == kPayloadTag) {
      to.append(bytes.data(), begin - 1);
      const size_t end = static_cast<size_t>(payload.data() - bytes.data()) + payload.size();
      to.append(bytes.data() + end, bytes.size() - end);
      return;
    }
  }
  to.append(bytes.data(), bytes.size());
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
  }
  return entry->second;
}

absl::Status Pending::Add(RunView& run, uint64_t block, uint64_t now_ns, size_t most) {
  const uint32_t stream = StreamOf(run);
  while (waiting_.size() < most) {
    absl::string_view bytes;
    bool found = false;
    RETURN_IF_ERROR(NextEvent(run.events, bytes, found));
    if (!found) return absl::OkStatus();
    RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event_));
    const EventView& event = event_;
    Record& record = waiting_.emplace_back();
    record.start_ns = std::min(event.start_ns, now_ns);
    record.end_ns = std::min(std::max(event.start_ns, event.end_ns()), now_ns);  // a hostile duration may wrap
    uint64_t& last_key_ns = streams_[stream].last_key_ns;
    record.continuation = event.continuation != 0;
    record.key_ns = record.continuation
                        ? last_key_ns
                        : std::max(last_key_ns, CountsFromEntry(event.call) ? record.start_ns : record.end_ns);
    // A time that is no time must not hold back what the thread does later.
    if (record.key_ns < UINT64_MAX / 2) last_key_ns = record.key_ns;
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
    record.rest = waiting_bytes_.size();
    switch (WhatRemains(event)) {
      case Rest::kNothing:
        break;
      case Rest::kAllButPayload:
        AppendWithoutPayload(bytes, event.payload, waiting_bytes_);
        break;
      case Rest::kAll:
        waiting_bytes_.append(bytes.data(), bytes.size());
        break;
    }
    record.rest_size = static_cast<uint32_t>(waiting_bytes_.size() - record.rest);
  }
  return absl::OkStatus();
}

uint64_t Pending::MedianKey() const {
  std::vector<uint64_t> keys;
  keys.reserve(waiting_.size());
  for (const Record& record : waiting_) keys.push_back(record.key_ns);
  const auto middle = keys.begin() + static_cast<std::ptrdiff_t>(keys.size() / 2);
  std::nth_element(keys.begin(), middle, keys.end());
  return *middle;
}

void Pending::Take(uint64_t horizon_ns) {
  taken_.swap(waiting_);
  taken_bytes_.swap(waiting_bytes_);
  waiting_.clear();
  waiting_bytes_.clear();
  order_.clear();
  order_.reserve(taken_.size());
  for (uint32_t i = 0; i < taken_.size(); ++i) {
    const Record& record = taken_[i];
    if (record.key_ns < horizon_ns || horizon_ns == UINT64_MAX) {
      order_.emplace_back(record.key_ns, i);
      continue;
    }
    Record& kept = waiting_.emplace_back(record);
    kept.rest = waiting_bytes_.size();
    waiting_bytes_.append(taken_bytes_, record.rest, record.rest_size);
  }
  std::sort(order_.begin(), order_.end());
}

bool Pending::Rest(const Record& record, EventView& event) const {
  if (record.rest_size == 0) return false;
  return ParseEvent(absl::string_view(taken_bytes_).substr(record.rest, record.rest_size), 0, event).ok();
}

}  // namespace socktale
