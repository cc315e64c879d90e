// SPDX-License-Identifier: Apache-2.0
//
// Which process an event was made in: images to processes, lives of pids, execs that go on under the same pid, vfork
// children, threads.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_

#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "collector/aggregate/descriptors.h"
#include "collector/aggregate/pending.h"
#include "collector/aggregate/state.h"
#include "proto/event_view.h"

namespace socktale {

class Processes {
 public:
  Processes(World& world, Descriptors& descriptors) : world_(world), descriptors_(descriptors) {}

  // The process of an image; one is made for an image that never said it attached.
  uint32_t OfImage(uint32_t image, uint64_t now_ns);
  // 0 when the image is not known.
  uint32_t Known(uint32_t image) const;

  // CALL_ATTACHED of `image`. Returns its process, 0: there are too many.
  uint32_t Attached(uint32_t image, const EventView& event, uint64_t now_ns);

  // `parent` made the child `pid` by fork, vfork or posix_spawn entered at now_ns; pid as the parent saw it. Returns
  // the child, 0: there are too many; its table is the parent's as of now_ns. A child that already spoke for itself is
  // left as it is.
  uint32_t Child(uint32_t parent, uint32_t pid, uint64_t now_ns);

  // The vfork child `pid` of `parent`, made when its first call is seen.
  uint32_t VforkChild(uint32_t parent, uint32_t pid, uint64_t now_ns);

  void End(uint32_t process, uint64_t now_ns);

  // Its parent, which waited for it as after vfork, goes on: it ended, or executed a program without a word of that.
  void EndOrExec(uint32_t process, uint64_t now_ns);

  // The latest life of a pid, 0: none. pid_namespace: inode of the namespace that the pid counts in; 0 matches all.
  uint32_t Latest(uint32_t pid, uint64_t pid_namespace) const;

  // The thread that writes a stream, for events of `process`. 0: there are too many.
  uint32_t ThreadOf(const Stream& stream, uint32_t process, uint64_t now_ns);

  // Its memory is gone, and what was mapped there: it executed a program.
  void DropMemory(uint32_t process);

  // Adds a program to those that a process executed. Of the many in the middle only number and start are kept.
  void AddImage(uint32_t process, Image image);

 private:
  // A pid as one namespace counts it.
  using Pid = std::pair<uint32_t, uint64_t>;
  struct Uses {
    uint32_t count = 0;
    uint32_t latest = 0;
  };

  uint32_t Make(Pid pid, uint32_t parent, uint64_t now_ns);
  // Its pid as its parent sees it, or as it sees itself where nobody else told.
  void SetPid(uint32_t process, Pid pid);
  // One more name for it.
  void SetOwnPid(uint32_t process, Pid pid);
  bool Is(const ProcessState& process, Pid pid) const;
  uint32_t MadeAt(uint32_t parent, uint64_t now_ns, Pid pid) const;
  uint32_t MakeChild(uint32_t parent, Pid pid, uint64_t now_ns);
  uint32_t Forked(const EventView& event, uint64_t now_ns);
  uint32_t Started(const EventView& event, uint64_t now_ns);
  bool ExecutedUnheard(const ProcessState& process, const EventView& event) const;
  void CopyMemory(ProcessState& child) const;
  void CopyFromParent(uint32_t child, uint64_t now_ns);

  World& world_;
  Descriptors& descriptors_;
  absl::flat_hash_map<uint32_t, uint32_t> of_image_;
  absl::flat_hash_map<Pid, Uses> of_pid_;       // namespace 0: where it was not known
  absl::flat_hash_map<uint32_t, Uses> in_any_;  // the same in all namespaces
  // Parent and entry time of the fork → child: tells one across pid namespaces, where parent and child count pids
  // apart.
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, uint32_t> of_fork_;
  absl::flat_hash_map<uint64_t, uint32_t> of_thread_;  // process, tid → latest thread
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_
