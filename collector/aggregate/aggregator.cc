// SPDX-License-Identifier: Apache-2.0
//
// The aggregator's parts put together: waiting events, the state machine, and the tables made of it.

#include "collector/aggregate/aggregator.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "collector/aggregate/machine.h"
#include "collector/aggregate/pending.h"
#include "collector/aggregate/snapshot.h"

namespace socktale {

struct Aggregator::State {
  explicit State(const Limits& limits) : machine(limits) {}

  Pending pending;
  Machine machine;
  uint64_t horizon_ns = 0;
  size_t most_waiting = SIZE_MAX;
  std::vector<Joined> joined;  // connections of the last Snapshot
  Meanwhile meanwhile;

  bool Advance(uint64_t to_ns, size_t most) {
    horizon_ns = std::max(horizon_ns, to_ns);
    return machine.Apply(pending, horizon_ns, most);
  }
};

Aggregator::Aggregator(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
Aggregator::~Aggregator() = default;
Aggregator::Aggregator(Aggregator&&) noexcept = default;
Aggregator& Aggregator::operator=(Aggregator&&) noexcept = default;

absl::Status Aggregator::Add(const RunView& run, uint64_t block, uint64_t now_ns) {
  RunView rest = run;
  while (true) {
    RETURN_IF_ERROR(state_->pending.Add(rest, block, now_ns, state_->most_waiting));
    if (rest.events.empty()) return absl::OkStatus();
    state_->machine.Apply(state_->pending, UINT64_MAX, state_->pending.waiting() / 2);
  }
}

void Aggregator::LimitWaiting(size_t most) { state_->most_waiting = std::max<size_t>(most, 2); }

void Aggregator::WhileBusy(std::function<void()> work) { state_->meanwhile.Set(std::move(work)); }

bool Aggregator::Advance(uint64_t horizon_ns, size_t most) { return state_->Advance(horizon_ns, most); }

size_t Aggregator::waiting() const { return state_->pending.waiting(); }

void Aggregator::ProcessEnded(uint32_t image, uint64_t end_ns) {
  state_->machine.Ended({.end_ns = end_ns, .image = image});
}

void Aggregator::ProcessGone(uint32_t pid, uint64_t end_ns, uint64_t pid_namespace) {
  state_->machine.Ended({.end_ns = end_ns, .pid = pid, .pid_namespace = pid_namespace});
}

void Aggregator::ExitStatus(uint32_t pid, int wait_status, uint64_t end_ns, uint64_t pid_namespace) {
  state_->machine.Ended({.end_ns = end_ns, .pid = pid, .wait_status = wait_status, .pid_namespace = pid_namespace});
}

void Aggregator::ThreadInCall(uint32_t image, uint32_t tid, Call call, int32_t fd, uint64_t since_ns) {
  const uint32_t process = state_->machine.processes().Known(image);
  if (process == 0) return;
  std::vector<ThreadState>& threads = state_->machine.world().threads;
  const auto thread = std::find_if(threads.rbegin(), threads.rend(),
                                   [&](const ThreadState& t) { return t.process == process && t.tid == tid; });
  if (thread == threads.rend()) return;
  thread->in_call = call;
  thread->in_fd = fd;
  thread->in_since_ns = since_ns;
}

void Aggregator::DropsOf(uint32_t image, uint64_t events) {
  const uint32_t process = state_->machine.processes().Known(image);
  if (process != 0) state_->machine.world().processes[process].drops += events;
}

void Aggregator::NotRecorded(uint32_t pid, const Image& image, const char* kind, uint64_t pid_namespace) {
  World& world = state_->machine.world();
  const uint32_t process = state_->machine.processes().Latest(pid, pid_namespace);
  Missing& missing = world.not_recorded.emplace_back();
  missing.set_kind(kind);
  missing.set_count(1);
  missing.set_process(process);
  missing.set_detail(image.path());
  if (process == 0) return;
  ProcessState& owner = world.processes[process];
  owner.executing = false;
  owner.next_image.Clear();
  state_->machine.processes().DropMemory(process);
  state_->machine.processes().AddImage(process, image);
  const std::string& path = image.path();
  if (!path.empty()) owner.name = path.substr(path.rfind('/') + 1).substr(0, 15);
}

Tables Aggregator::Snapshot(uint64_t end_ns) {
  state_->Advance(state_->horizon_ns, SIZE_MAX);  // what came late
  const World& world = state_->machine.world();
  state_->joined = JoinFlows(world, state_->meanwhile);
  state_->meanwhile.Work();
  Tables tables = MakeTables(world, state_->joined, end_ns, state_->meanwhile);
  state_->meanwhile.Work();
  AddMissing(world, tables);
  return tables;
}

std::vector<ConnectionBlocks> Aggregator::BlocksOfConnections() const {
  return MakeConnectionBlocks(state_->machine.world(), state_->joined);
}

}  // namespace socktale
