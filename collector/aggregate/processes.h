// SPDX-License-Identifier: Apache-2.0
//
// Which process an event was made in: images to processes, lives of pids, execs that go on under the same pid, vfork
// children, threads.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_

#include <cstdint>
#include <vector>

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

  // CALL_ATTACHED of `image`. Returns its process.
  uint32_t Attached(uint32_t image, const EventView& event, uint64_t now_ns);

  // `parent` made the child `pid` by fork, vfork or posix_spawn entered at now_ns. Returns the child; its table is the
  // parent's as of now_ns. A child that already spoke for itself is left as it is.
  uint32_t Child(uint32_t parent, uint32_t pid, uint64_t now_ns);

  // The vfork child `pid` of `parent`, made when its first call is seen.
  uint32_t VforkChild(uint32_t parent, uint32_t pid, uint64_t now_ns);

  void End(uint32_t process, uint64_t now_ns);

  // The latest life of a pid, 0: none. pid_namespace: 0 matches all.
  uint32_t Latest(uint32_t pid, uint64_t pid_namespace) const;

  // The thread that writes a stream, for events of `process`.
  uint32_t ThreadOf(const Stream& stream, uint32_t process, uint64_t now_ns);

 private:
  uint32_t Make(uint32_t pid, uint64_t pid_namespace, uint32_t parent, uint64_t now_ns);
  void CopyFromParent(uint32_t child, uint64_t now_ns);

  World& world_;
  Descriptors& descriptors_;
  absl::flat_hash_map<uint32_t, uint32_t> of_image_;
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> of_pid_;
  absl::flat_hash_map<uint64_t, uint32_t> of_thread_;  // process, tid → latest thread
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_PROCESSES_H_
