// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/show.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/event_json.h"
#include "viewer/cli/event_line.h"
#include "viewer/cli/format.h"
#include "viewer/cli/library.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"

namespace socktale {
namespace {

// How long to wait before looking for more in a trace that grows.
constexpr int kLivePollMs = 100;

// What may wait for its turn: far more than threads are ever in calls at one time.
constexpr size_t kMostWaiting = 1 << 16;
constexpr size_t kMostWaitingBytes = 256 << 20;

// Prints events in the order in which their calls returned, each with its whole payload. They come in the order of
// their entry, so one can be printed when a later one was entered once it had returned: no more than one event per
// thread waits here, unless a hostile file has calls that never return.
class ShowPrinter {
 public:
  ShowPrinter(const ShowOptions& options, const CommonOptions& common, const TraceHeader& header, Output& output)
      : common_(common),
        output_(output),
        line_options_{options.payload_bytes.value_or(EventLineOptions().payload_bytes), options.hex},
        payload_bytes_(common.json ? options.payload_bytes.value_or(SIZE_MAX) : line_options_.payload_bytes),
        format_(line_options_, TimeFormat(common.time, header.start_wall_ns(), 4)) {}

  // Returns false when no more are wanted.
  bool Take(const TracedEvent& traced) {
    const EventView& event = *traced.event;
    const Thread thread{traced.run->image, traced.run->tid, traced.run->thread_start_ns, traced.run->level};
    if (event.continuation > 0) {
      Continue(thread, event);
      return !done();
    }
    Complete(thread);
    Print(event.start_ns);
    if (done() || event.start_ns > common_.to_ns) return false;
    if (event.end_ns() < common_.from_ns) return true;
    const Key key{event.end_ns(), traced.number};
    Waiting& waiting = waiting_[key];
    if (common_.json) {
      waiting.json = EventJson(traced);
    } else {
      waiting.line = DescribeEvent(traced, line_options_, output_.look().unicode);
    }
    waiting.payload = std::string(event.payload.substr(0, payload_bytes_));
    waiting_bytes_ += traced.key.size - waiting.bytes;  // (numbers that a hostile file repeats)
    waiting.bytes = traced.key.size;
    waiting.payload_size = event.payload_size;
    waiting.goes_on = (event.notes & EVENT_NOTE_MORE) != 0;
    if (waiting.goes_on) split_[thread] = key;
    while ((waiting_.size() > kMostWaiting || waiting_bytes_ > kMostWaitingBytes) && waiting_.size() > 1 && !done()) {
      PrintFirst();
    }
    return !done();
  }

  // Prints what still waits.
  void Finish() { Print(UINT64_MAX); }

  bool done() const { return output_.done() || (common_.limit > 0 && printed_ >= common_.limit); }
  uint64_t printed() const { return printed_; }

 private:
  using Key = std::pair<uint64_t, uint64_t>;                          // return time, number of the event
  using Thread = std::tuple<uint32_t, uint32_t, uint64_t, uint32_t>;  // image, tid, thread's start, level

  struct Waiting {
    EventLine line;
    Json json;
    std::string payload;
    uint64_t payload_size = 0;
    size_t bytes = 0;      // encoded, without what followed of its payload
    bool goes_on = false;  // more of its payload may come
  };

  void Continue(const Thread& thread, const EventView& event) {
    const auto split = split_.find(thread);
    if (split == split_.end()) return;  // its beginning is before --from, or was dropped
    const auto waiting = waiting_.find(split->second);
    if (waiting == waiting_.end()) return;
    std::string& payload = waiting->second.payload;
    // Only what follows without a hole.
    if (payload.size() == event.continuation && payload.size() < payload_bytes_) {
      payload.append(event.payload.data(), std::min(event.payload.size(), payload_bytes_ - payload.size()));
    }
    if ((event.notes & EVENT_NOTE_MORE) == 0) Complete(thread);
  }

  // No more payload comes for the thread's last event.
  void Complete(const Thread& thread) {
    const auto split = split_.find(thread);
    if (split == split_.end()) return;
    if (const auto waiting = waiting_.find(split->second); waiting != waiting_.end()) waiting->second.goes_on = false;
    split_.erase(split);
  }

  // Prints what had returned by `by_ns`; parts of a payload may come at that very moment.
  void Print(uint64_t by_ns) {
    const auto may_go = [by_ns](const Key& key, const Waiting& event) {
      return by_ns == UINT64_MAX || key.first < by_ns || (key.first == by_ns && !event.goes_on);
    };
    while (!waiting_.empty() && !done() && may_go(waiting_.begin()->first, waiting_.begin()->second)) PrintFirst();
  }

  void PrintFirst() {
    Waiting& waiting = waiting_.begin()->second;
    waiting_bytes_ -= waiting.bytes;
    if (common_.json) {
      if (waiting.payload_size > 0) AddPayload(waiting.json, waiting.payload, waiting.payload_size);
      WriteJson(output_, waiting.json);
    } else {
      waiting.line.payload = std::move(waiting.payload);
      output_.Line(format_.Format(waiting.line, output_));
    }
    ++printed_;
    waiting_.erase(waiting_.begin());
  }

  const CommonOptions& common_;
  Output& output_;
  const EventLineOptions line_options_;
  const size_t payload_bytes_;
  EventLineFormat format_;
  std::map<Key, Waiting> waiting_;
  size_t waiting_bytes_ = 0;                // encoded
  absl::flat_hash_map<Thread, Key> split_;  // events whose payload goes on
  uint64_t printed_ = 0;
};

// Calls that had not returned when the trace ended.
void PrintCallsInProgress(const Trace& trace, const CommonOptions& common, Output& output) {
  // No line stands before that a time could be counted from.
  const TimeForm form = common.time == TimeForm::kDelta ? TimeForm::kSinceStart : common.time;
  TimeFormat since(form, trace.header().start_wall_ns(), 4);
  for (const socktale::Thread& thread : trace.tables().thread()) {
    if (thread.in_call() == CALL_UNKNOWN) continue;
    const Process* process = trace.process(thread.process());
    const bool on_descriptor = WorksOnDescriptor(thread.in_call()) && thread.in_fd() >= 0;
    if (common.json) {
      Json object = {{"type", "in_call"},
                     {"tid", thread.tid()},
                     {"call", CallName(thread.in_call())},
                     {"t_ns", thread.in_since_ns()}};
      if (on_descriptor) {
        const DescriptorLife* life = trace.LifeAt(thread.process(), thread.in_fd(), thread.in_since_ns());
        object["number"] = thread.in_fd();
        object["fd"] = DescriptorId(process, thread.in_fd(), life != nullptr ? life->generation() : 0);
      }
      AddProcess(object, process);
      WriteJson(output, object);
      continue;
    }
    output.Line(output.Paint(
        Style::kRemark, absl::StrCat(process != nullptr ? ProcessLabel(*process) : "", " is still in ",
                                     CallName(thread.in_call()), "(", on_descriptor ? absl::StrCat(thread.in_fd()) : "",
                                     ") since ", since.Format(thread.in_since_ns()))));
  }
}

// Reads on while the trace grows, until it is sealed, its recorder is gone, or nobody reads us.
absl::Status FollowGrowth(Trace& trace, const std::string& path, ShowPrinter& printer, Output& output) {
  while (!trace.file().sealed() && !printer.done()) {
    const bool recorded = IsBeingRecorded(path);  // asked first: what its last act wrote is then still read
    RETURN_IF_ERROR(trace.ForEachNewEvent([&printer](const TracedEvent& event) { return printer.Take(event); }));
    printer.Finish();
    output.Flush();
    if (!recorded) break;
    poll(nullptr, 0, kLivePollMs);
  }
  return absl::OkStatus();
}

absl::Status Print(Trace& trace, const std::string& path, const ShowOptions& options, const CommonOptions& common,
                   Output& output) {
  if (common.json) WriteJson(output, TraceJson(trace));
  ShowPrinter printer(options, common, trace.header(), output);
  RETURN_IF_ERROR(trace.ForEachEvent([&printer](const TracedEvent& event) { return printer.Take(event); },
                                     common.from_ns, common.to_ns));
  printer.Finish();
  if (options.live) {
    output.Flush();
    RETURN_IF_ERROR(FollowGrowth(trace, path, printer, output));
  }
  const bool ranged = common.from_ns > 0 || common.to_ns < UINT64_MAX;
  if (ranged && printer.printed() == 0 && !output.done()) {
    Remark(common, absl::StrCat("0 of ", CountOf(trace.tables().event_count(), "event"), " in that time"));
  }
  if (!printer.done() && common.to_ns == UINT64_MAX) PrintCallsInProgress(trace, common, output);
  return absl::OkStatus();
}

}  // namespace

absl::Status PrintShow(Trace& trace, const ShowOptions& options, const CommonOptions& common, Output& output) {
  return Print(trace, "", options, common, output);
}

int RunShow(const ShowOptions& options, const CommonOptions& common) {
  absl::StatusOr<NamedTrace> opened = OpenNamedTrace(common.trace);
  if (!opened.ok()) return Trouble(opened.status());
  TellWhatIsMissing(*opened, common);
  const std::vector<std::string> known_damage = DamageInWords(opened->trace.file());
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common, true, options.live);
  if (!output.ok()) return Trouble(output.status());
  const absl::Status done = (*output)->Close(Print(opened->trace, opened->path, options, common, **output));
  TellNewDamage(opened->trace, known_damage, common);
  return done.ok() ? kExitDone : Trouble(done);
}

}  // namespace socktale
