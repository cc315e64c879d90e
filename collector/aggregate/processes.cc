// SPDX-License-Identifier: Apache-2.0
//
// Lives of pids.

#include "collector/aggregate/processes.h"

#include <algorithm>
#include <utility>

namespace socktale {

uint32_t Processes::Make(Pid pid, uint32_t parent, uint64_t now_ns) {
  if (!world_.Room()) return 0;
  const auto id = static_cast<uint32_t>(world_.processes.size());
  ProcessState& process = world_.processes.emplace_back();
  process.parent = parent;
  process.start_ns = now_ns;
  if (pid.first != 0) {
    SetPid(id, pid);
    process.own_pid = pid.first;
    process.own_namespace = pid.second;
  }
  return id;
}

void Processes::SetPid(uint32_t id, Pid pid) {
  ProcessState& process = world_.processes[id];
  process.pid = pid.first;
  process.pid_namespace = pid.second;
  Uses& uses = of_pid_[pid];
  Uses& in_any = in_any_[pid.first];
  ++uses.count;
  ++in_any.count;
  uses.latest = std::max(uses.latest, id);
  in_any.latest = std::max(in_any.latest, id);
  process.pid_use = pid.second == 0 ? in_any.count : uses.count;
  if (pid.second == 0) return;
  const auto unplaced = of_pid_.find({pid.first, 0});
  if (unplaced != of_pid_.end()) process.pid_use += unplaced->second.count;
}

void Processes::SetOwnPid(uint32_t id, Pid pid) {
  ProcessState& process = world_.processes[id];
  if (process.pid == 0) SetPid(id, pid);
  // Told by its parent whose namespace was not known, and now it is.
  if (process.pid == pid.first && process.pid_namespace == 0) process.pid_namespace = pid.second;
  process.own_pid = pid.first;
  if (pid.second == 0) return;
  process.own_namespace = pid.second;
  Uses& uses = of_pid_[pid];
  uses.latest = std::max(uses.latest, id);
  Uses& in_any = in_any_[pid.first];
  in_any.latest = std::max(in_any.latest, id);
}

// Whether it may go by this pid.
bool Processes::Is(const ProcessState& process, Pid pid) const {
  const auto same = [&](uint32_t its_pid, uint64_t its_namespace) {
    return its_pid == pid.first && (its_namespace == pid.second || its_namespace == 0 || pid.second == 0);
  };
  return same(process.pid, process.pid_namespace) || same(process.own_pid, process.own_namespace);
}

uint32_t Processes::Latest(uint32_t pid, uint64_t pid_namespace) const {
  if (pid_namespace == 0) {
    const auto uses = in_any_.find(pid);
    return uses == in_any_.end() ? 0 : uses->second.latest;
  }
  uint32_t latest = 0;
  for (const uint64_t space : {pid_namespace, uint64_t{0}}) {
    const auto uses = of_pid_.find({pid, space});
    if (uses == of_pid_.end() || uses->second.latest <= latest) continue;
    // (Of one that was not known to be in any, it may have become known since.)
    if (Is(world_.processes[uses->second.latest], {pid, pid_namespace})) latest = uses->second.latest;
  }
  return latest;
}

uint32_t Processes::Known(uint32_t image) const {
  const auto known = of_image_.find(image);
  return known == of_image_.end() ? 0 : known->second;
}

uint32_t Processes::OfImage(uint32_t image, uint64_t now_ns) {
  const auto [known, inserted] = of_image_.try_emplace(image, 0);
  if (inserted) {
    known->second = Make({0, 0}, 0, now_ns);
    if (known->second == 0) return 0;
    Image unnamed;
    unnamed.set_number(image);
    unnamed.set_start_ns(now_ns);
    AddImage(known->second, std::move(unnamed));
  }
  return known->second;
}

void Processes::End(uint32_t id, uint64_t now_ns) {
  ProcessState& process = world_.processes[id];
  if (process.ended) return;
  process.ended = true;
  process.end_ns = now_ns;
  descriptors_.ProcessEnded(id, now_ns);
}

void Processes::EndOrExec(uint32_t id, uint64_t now_ns) {
  ProcessState& process = world_.processes[id];
  if (process.ended || process.origin != Origin::kChild || process.executing) return;
  End(id, now_ns);
  process.end_inferred = true;
}

// Whether the start of a program is that of a process whose end was only inferred: its CALL_EXECUTING was dropped.
bool Processes::ExecutedUnheard(const ProcessState& process, const EventView& event) const {
  return process.end_inferred && process.parent != 0 && Latest(event.parent_pid, event.pid_namespace) == process.parent;
}

void Processes::CopyFromParent(uint32_t id, uint64_t now_ns) {
  ProcessState& child = world_.processes[id];
  const ProcessState& parent = world_.processes[child.parent];
  child.name = parent.name;
  child.cwd = parent.cwd;
  child.limit = parent.limit;
  child.user = parent.user;
  child.network_namespace = parent.network_namespace;
  descriptors_.Inherit(child.parent, id, now_ns);
}

// What passes the shim by in the parent's memory, of which the child of a fork has a copy: plugins, rings.
void Processes::CopyMemory(ProcessState& child) const {
  const ProcessState& parent = world_.processes[child.parent];
  child.maps_io_uring = parent.maps_io_uring;
  for (const Plugin& plugin : parent.plugins) {
    if (plugin.mapped) child.plugins.push_back({.path = plugin.path, .opened = false, .mapped = true});
  }
}

void Processes::DropMemory(uint32_t id) {
  ProcessState& process = world_.processes[id];
  process.maps_io_uring = false;
  for (Plugin& plugin : process.plugins) plugin.mapped = false;
  std::erase_if(process.plugins, [](const Plugin& plugin) { return !plugin.opened; });
}

// The child that `parent` made by a call entered at now_ns, as far as its other side has told of it already. pid: as
// this side sees it. Pids of different namespaces cannot be compared: there the time decides.
uint32_t Processes::MadeAt(uint32_t parent, uint64_t now_ns, Pid pid) const {
  const auto made = of_fork_.find({parent, now_ns});
  if (made == of_fork_.end()) return 0;
  const ProcessState& child = world_.processes[made->second];
  const bool incomparable = pid.second != 0 && child.pid_namespace != 0 && child.pid_namespace != pid.second;
  return incomparable || Is(child, pid) ? made->second : 0;
}

uint32_t Processes::MakeChild(uint32_t parent, Pid pid, uint64_t now_ns) {
  const uint32_t id = Make(pid, parent, now_ns);
  if (id == 0) return 0;
  world_.processes[id].origin = Origin::kChild;
  of_fork_[{parent, now_ns}] = id;
  CopyFromParent(id, now_ns);
  return id;
}

uint32_t Processes::Child(uint32_t parent, uint32_t pid, uint64_t now_ns) {
  // What fork returns counts in the parent's own namespace, wherever its children are put.
  const uint64_t space = world_.processes[parent].own_namespace;
  if (const uint32_t made = MadeAt(parent, now_ns, {pid, space})) {
    ProcessState& child = world_.processes[made];
    if (child.pid != pid || child.pid_namespace != space) SetPid(made, {pid, space});
    return made;
  }
  if (const uint32_t latest = Latest(pid, space)) {
    ProcessState& known = world_.processes[latest];
    // Its own events, or its vfork child's, may have come before the parent's call returned.
    const bool same = latest != parent && (known.parent == parent || known.parent == 0) &&
                      known.start_ns + 1 >= now_ns && (!known.ended || known.end_ns >= now_ns);
    if (same) {
      known.parent = parent;
      return latest;
    }
    End(latest, now_ns);
  }
  return MakeChild(parent, {pid, space}, now_ns);
}

uint32_t Processes::VforkChild(uint32_t parent, uint32_t pid, uint64_t now_ns) {
  const uint32_t latest = Latest(pid, world_.processes[parent].own_namespace);
  const bool same = latest != 0 && latest != parent && !world_.processes[latest].ended &&
                    world_.processes[latest].parent == parent && world_.processes[latest].origin == Origin::kChild;
  return same ? latest : Child(parent, pid, now_ns);
}

// The process of a child's first word, 0: none known yet, and one of that pid that lived until now is over.
uint32_t Processes::Forked(const EventView& event, uint64_t now_ns) {
  uint32_t parent = Known(event.parent_process);
  const uint32_t latest = Latest(event.pid, event.pid_namespace);
  if (parent == 0 || parent == latest) parent = Latest(event.parent_pid, event.pid_namespace);
  const Pid pid = {event.pid, event.pid_namespace != 0 ? event.pid_namespace : world_.processes[parent].own_namespace};
  // The parent's own event may have told of this child already.
  if (parent != 0) {
    const uint32_t made = MadeAt(parent, now_ns, pid);
    if (made != 0 && world_.processes[made].origin == Origin::kChild) return made;
  }
  if (latest != 0 && !world_.processes[latest].ended) {
    const ProcessState& known = world_.processes[latest];
    const bool same_parent = parent == 0 || known.parent == 0 || known.parent == parent;
    if (known.origin == Origin::kChild && same_parent) return latest;
    if (parent != latest) End(latest, now_ns);
  }
  return parent != 0 && parent != latest ? MakeChild(parent, pid, now_ns) : 0;
}

// The process that a program's start goes on in, 0: a new one.
uint32_t Processes::Started(const EventView& event, uint64_t now_ns) {
  if (event.reason == ATTACH_REASON_EXEC) {
    const uint32_t previous = Known(event.parent_process);
    const ProcessState& before = world_.processes[previous];
    if (previous != 0 && !before.ended && (before.own_pid == event.pid || before.own_pid == 0)) return previous;
  }
  const uint32_t latest = Latest(event.pid, event.pid_namespace);
  if (latest == 0) return 0;
  ProcessState& process = world_.processes[latest];
  if (process.ended) {
    if (!ExecutedUnheard(process, event)) return 0;
    descriptors_.ProcessGoesOn(latest, process.end_ns);
    process.ended = process.end_inferred = false;
    process.executing_ns = std::exchange(process.end_ns, 0);
    return latest;
  }
  if (event.reason == ATTACH_REASON_EXEC || process.executing || process.origin == Origin::kChild) return latest;
  End(latest, now_ns);
  return 0;
}

uint32_t Processes::Attached(uint32_t image, const EventView& event, uint64_t now_ns) {
  uint32_t id = Known(image);
  const bool forked = event.reason == ATTACH_REASON_FORK;
  if (id == 0) {
    uint32_t parent = Known(event.parent_process);
    if (parent == 0 || !forked) parent = Latest(event.parent_pid, event.pid_namespace);
    id = forked ? Forked(event, now_ns) : Started(event, now_ns);
    if (id == 0) id = Make({event.pid, event.pid_namespace}, parent, now_ns);
    if (id == 0) return 0;
    of_image_[image] = id;
  }
  ProcessState& process = world_.processes[id];
  if (forked && process.origin == Origin::kChild && process.parent != 0) CopyMemory(process);
  if (!forked) DropMemory(id);
  process.origin = Origin::kAttached;
  process.executing = false;
  if (event.pid != 0) SetOwnPid(id, {event.pid, event.pid_namespace});
  if (event.network_namespace != 0) process.network_namespace = event.network_namespace;
  if (event.limit != 0) process.limit = event.limit;
  if (!event.name.empty()) process.name = std::string(event.name);
  if (!event.cwd.empty()) process.cwd = std::string(event.cwd);
  if (!forked) process.user = event.user;  // a child of fork does not say: it is its parent's

  const bool listed = !process.images.empty() && process.images.back().number() == image;
  Image entry;
  if (listed) {
    entry = process.images.back();
    process.images.pop_back();
  } else if (forked && process.parent != 0 && !world_.processes[process.parent].images.empty()) {
    entry = world_.processes[process.parent].images.back();
    entry.clear_not_recorded();
  } else if (!process.next_image.path().empty() && !forked) {
    entry = process.next_image;
  }
  process.next_image.Clear();
  entry.set_number(image);
  entry.set_start_ns(now_ns);
  if (!event.path.empty()) entry.set_path(std::string(event.path));
  if (!event.argv.empty()) {
    entry.clear_argv();
    for (const absl::string_view argument : event.argv) entry.add_argv(std::string(argument));
  }
  if (!process.cwd.empty()) entry.set_cwd(process.cwd);
  AddImage(id, std::move(entry));

  process.settling = !forked;
  process.settling_image = image;
  process.attached_ns = now_ns;
  process.found = 0;
  return id;
}

void Processes::AddImage(uint32_t id, Image image) {
  ProcessState& process = world_.processes[id];
  process.images.push_back(std::move(image));
  const size_t most = world_.limits.images;
  if (process.images.size() <= 2 * most) return;
  Image& bare = process.images[process.images.size() - most - 1];
  if (bare.path().empty() && bare.argv().empty() && bare.cwd().empty()) return;
  Image rest;
  rest.set_number(bare.number());
  rest.set_start_ns(bare.start_ns());
  bare.Swap(&rest);
  ++process.bare_images;
}

uint32_t Processes::ThreadOf(const Stream& stream, uint32_t process, uint64_t now_ns) {
  uint32_t& latest = of_thread_[uint64_t{process} << 32 | stream.tid];
  if (latest != 0) {
    ThreadState& thread = world_.threads[latest];
    // A signal handler's level and the image after an exec go on in the same thread; another start in the same image
    // is another thread that got the same number.
    if (stream.level != 0 || stream.thread_start_ns == thread.thread_start_ns) return latest;
    if (stream.image != thread.image) {
      thread.image = stream.image;
      thread.thread_start_ns = stream.thread_start_ns;
      return latest;
    }
  }
  if (!world_.Room()) return 0;
  latest = static_cast<uint32_t>(world_.threads.size());
  ThreadState& thread = world_.threads.emplace_back();
  thread.process = process;
  thread.tid = stream.tid;
  thread.image = stream.image;
  thread.thread_start_ns = stream.thread_start_ns;
  thread.start_ns = now_ns;
  return latest;
}

}  // namespace socktale
