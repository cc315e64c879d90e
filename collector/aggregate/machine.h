// SPDX-License-Identifier: Apache-2.0
//
// Applies one call at a time to processes, descriptors and flows.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_MACHINE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector/aggregate/descriptors.h"
#include "collector/aggregate/flows.h"
#include "collector/aggregate/pending.h"
#include "collector/aggregate/processes.h"
#include "collector/aggregate/state.h"

namespace socktale {

class Machine {
 public:
  explicit Machine(const Limits& limits)
      : world_(limits), flows_(world_), descriptors_(world_, flows_), processes_(world_, descriptors_) {}

  // Takes out of `pending` what takes effect before horizon_ns, and applies it, with ends of processes before that; at
  // most `most` events. Returns whether there are more of them.
  bool Apply(Pending& pending, uint64_t horizon_ns, size_t most);

  // A process is known to have ended, by one of its images, by its pid, or because its parent, which waited for it as
  // after vfork, goes on (the others are 0): unless it executed a program. Takes effect in its turn, for its last
  // events may still be on their way.
  struct ProcessEnd {
    uint64_t end_ns = 0;
    uint32_t vfork_child = 0;  // the process
    uint32_t image = 0;
    uint32_t pid = 0;
    std::optional<int> wait_status = std::nullopt;  // of a pid; none: not known
    uint64_t pid_namespace = 0;                     // that it counts in, 0: not known
  };
  void Ended(const ProcessEnd& end);

  World& world() { return world_; }
  Processes& processes() { return processes_; }

 private:
  // What is known of a stream so far.
  struct StreamState {
    uint32_t process = 0;
    uint32_t thread = 0;
    uint32_t flow = 0;     // that a continuation belongs to
    uint64_t awaited = 0;  // bytes that continuations of its last transfer may still bring
  };

  void Apply(const ProcessEnd& end);
  void Count(const Record& record);
  void Apply(const Record& record, const EventView& event, const Stream& stream, StreamState& state);
  void Dispatch(const Applied& call, uint32_t image);
  void Transfer(const Applied& call, StreamState& state);
  void Await(const Applied& call, uint64_t bytes, StreamState& state);
  void Wait(const Applied& call);
  void Resolve(const Applied& call);
  void Control(const Applied& call);  // fcntl

  // Lives made by calls.
  // Returns the object, 0: the call failed, or there are too many.
  uint32_t Made(const Applied& call, int32_t fd, DescriptorKind kind, bool close_on_exec);
  void Socket(const Applied& call);
  void SocketPair(const Applied& call);
  void Accept(const Applied& call);
  void Duplicate(const Applied& call, int32_t to, bool close_on_exec);
  void Pipe(const Applied& call);
  void EpollControl(const Applied& call);
  // descriptor_calls.cc. False: it is none of these, or (forkpty) not only.
  bool OtherDescriptorCall(const Applied& call);
  void Closed(const Applied& call, int32_t fd);
  void CloseRange(const Applied& call);
  void Splice(const Applied& call);
  void TakenFrom(const Applied& call);
  void IoControl(const Applied& call);
  void Executing(const Applied& call);
  void Spawn(const Applied& call);

  // A call on a socket, to be counted: its object, made where none is known.
  uint32_t Use(const Applied& call, bool sure_of_socket);

  World world_;
  Flows flows_;
  Descriptors descriptors_;
  Processes processes_;
  std::vector<StreamState> streams_;
  std::vector<ProcessEnd> ends_;                                              // waiting for their turn, by time
  absl::flat_hash_map<std::pair<std::string, std::string>, uint32_t> names_;  // host, address → index of World::names
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_MACHINE_H_
