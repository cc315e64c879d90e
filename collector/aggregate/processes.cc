// SPDX-License-Identifier: Apache-2.0
//
// Lives of pids.

#include "collector/aggregate/processes.h"

#include <algorithm>

namespace socktale {

uint32_t Processes::Make(uint32_t pid, uint64_t pid_namespace, uint32_t parent, uint64_t now_ns) {
  const auto id = static_cast<uint32_t>(world_.processes.size());
  ProcessState& process = world_.processes.emplace_back();
  process.pid = pid;
  process.pid_namespace = pid_namespace;
  process.parent = parent;
  process.start_ns = now_ns;
  if (pid != 0) {
    std::vector<uint32_t>& lives = of_pid_[pid];
    process.pid_use = 1;
    for (const uint32_t other : lives) {
      const uint64_t ns = world_.processes[other].pid_namespace;
      process.pid_use += ns == pid_namespace || ns == 0 || pid_namespace == 0;
    }
    lives.push_back(id);
  }
  return id;
}

uint32_t Processes::Latest(uint32_t pid, uint64_t pid_namespace) const {
  const auto lives = of_pid_.find(pid);
  if (lives == of_pid_.end()) return 0;
  for (auto id = lives->second.rbegin(); id != lives->second.rend(); ++id) {
    const uint64_t ns = world_.processes[*id].pid_namespace;
    if (ns == pid_namespace || ns == 0 || pid_namespace == 0) return *id;
  }
  return 0;
}

uint32_t Processes::Known(uint32_t image) const {
  const auto known = of_image_.find(image);
  return known == of_image_.end() ? 0 : known->second;
}

uint32_t Processes::OfImage(uint32_t image, uint64_t now_ns) {
  const auto [known, inserted] = of_image_.try_emplace(image, 0);
  if (inserted) {
    known->second = Make(0, 0, 0, now_ns);
    Image& unnamed = world_.processes[known->second].images.emplace_back();
    unnamed.set_number(image);
    unnamed.set_start_ns(now_ns);
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

uint32_t Processes::Child(uint32_t parent, uint32_t pid, uint64_t now_ns) {
  const uint64_t ns = world_.processes[parent].pid_namespace;
  if (const uint32_t latest = Latest(pid, ns)) {
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
  const uint32_t id = Make(pid, ns, parent, now_ns);
  world_.processes[id].origin = Origin::kChild;
  CopyFromParent(id, now_ns);
  return id;
}

uint32_t Processes::VforkChild(uint32_t parent, uint32_t pid, uint64_t now_ns) {
  const uint32_t latest = Latest(pid, world_.processes[parent].pid_namespace);
  const bool same = latest != 0 && latest != parent && !world_.processes[latest].ended &&
                    world_.processes[latest].parent == parent && world_.processes[latest].origin == Origin::kChild;
  return same ? latest : Child(parent, pid, now_ns);
}

uint32_t Processes::Attached(uint32_t image, const EventView& event, uint64_t now_ns) {
  uint32_t id = Known(image);
  if (id == 0) {
    const uint32_t latest = Latest(event.pid, event.pid_namespace);
    const bool alive = latest != 0 && !world_.processes[latest].ended;
    uint32_t parent = Known(event.parent_process);
    if (parent == 0 || parent == latest) parent = Latest(event.parent_pid, event.pid_namespace);
    if (event.reason == ATTACH_REASON_FORK) {
      // The parent's own event may have told of this child already.
      id = alive && world_.processes[latest].origin == Origin::kChild ? latest : 0;
      if (id == 0 && parent != 0 && parent != latest) id = Child(parent, event.pid, now_ns);
      if (id == 0 && alive) End(latest, now_ns);
    } else if (alive && (event.reason == ATTACH_REASON_EXEC || world_.processes[latest].executing ||
                         world_.processes[latest].origin == Origin::kChild)) {
      id = latest;
    } else if (alive) {
      End(latest, now_ns);
    }
    if (id == 0) id = Make(event.pid, event.pid_namespace, parent, now_ns);
    of_image_[image] = id;
  }
  ProcessState& process = world_.processes[id];
  const bool forked = event.reason == ATTACH_REASON_FORK;
  process.origin = Origin::kAttached;
  process.executing = false;
  if (process.pid == 0 && event.pid != 0) {  // its events came before this one
    process.pid = event.pid;
    of_pid_[event.pid].push_back(id);
  }
  if (event.pid_namespace != 0) process.pid_namespace = event.pid_namespace;
  if (event.network_namespace != 0) process.network_namespace = event.network_namespace;
  if (event.limit != 0) process.limit = event.limit;
  if (!event.name.empty()) process.name = std::string(event.name);
  if (!event.cwd.empty()) process.cwd = std::string(event.cwd);
  process.user = event.user;

  const bool listed = !process.images.empty() && process.images.back().number() == image;
  Image entry;
  if (listed) {
    entry = process.images.back();
    process.images.pop_back();
  } else if (forked && process.parent != 0 && !world_.processes[process.parent].images.empty()) {
    entry = world_.processes[process.parent].images.back();
    entry.clear_not_recorded();
  } else if (!process.next_image.path().empty() && event.reason != ATTACH_REASON_FORK) {
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
  process.images.push_back(std::move(entry));

  process.settling = !forked;
  process.settling_image = image;
  process.attached_ns = now_ns;
  process.found = 0;
  return id;
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
