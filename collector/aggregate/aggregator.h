// SPDX-License-Identifier: Apache-2.0
//
// Events → processes, threads, descriptor lives, objects (sockets, files, pipes) and connections. The one state
// machine: the collector runs it while it records, the viewer's model for traces that were not sealed, so they cannot
// differ.
//
// Events come in order per thread but only roughly in order between threads. The aggregator keeps what it is given
// until Advance() says that nothing earlier will come, then applies it in order of time. Beginnings (socket, accept,
// open) count from the return of the call, ends (close, dup2's target) from its entry, and a data call belongs to the
// descriptor life that was there at its entry.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_AGGREGATOR_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_AGGREGATOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "collector/aggregate/limits.h"
#include "proto/event_view.h"
#include "proto/trace.pb.h"

namespace socktale {

class Aggregator {
 public:
  explicit Aggregator(const Limits& limits = Limits());
  ~Aggregator();
  Aggregator(Aggregator&&) noexcept;
  Aggregator& operator=(Aggregator&&) noexcept;

  // Takes the events of one encoded Run (the message's bytes, without tag and length). block: sequence number of the
  // block of the trace file they stand in. Copies what it needs (not payload). kDataLoss where the bytes stop making
  // sense; what came before is kept. now_ns: when the run was taken, ns since the trace began. Times behind it are none
  // and count as now_ns: one of them would hold back all that its thread does later.
  absl::Status Add(const RunView& run, uint64_t block, uint64_t now_ns = UINT64_MAX);

  // Lets at most so many events wait (at least 2; a record of about 100 bytes each, and what it refers to). Where more
  // would have to, the first half of them is applied before its time, which may put events of different threads out of
  // order. For files, which anybody may have written; what a collector keeps is bounded by its arena, and never put out
  // of order.
  void LimitWaiting(size_t most);

  // Sets work to be done every few milliseconds while Snapshot is about its own, which may take seconds. It may call
  // Add, where no limit is set, and no other function.
  void WhileBusy(std::function<void()> work);

  // Applies what was added with a time before horizon_ns (ns since the trace began; UINT64_MAX: everything), at most
  // `most` events. Returns whether there are more of these.
  bool Advance(uint64_t horizon_ns, size_t most = SIZE_MAX);

  // Events that wait for their turn.
  size_t waiting() const;

  // The collector knows things that events do not say. Ends take effect in their turn, as events do.
  // A pid counts in pid_namespace (its inode); 0: not known, which takes the latest of that pid in any.
  void ProcessEnded(uint32_t image, uint64_t end_ns);                           // the process of this image is gone
  void ProcessGone(uint32_t pid, uint64_t end_ns, uint64_t pid_namespace = 0);  // one whose program never attached
  void ExitStatus(uint32_t pid, int wait_status, uint64_t end_ns, uint64_t pid_namespace = 0);  // waitpid's word on CMD
  void ThreadInCall(uint32_t image, uint32_t tid, Call call, int32_t fd, uint64_t since_ns);
  void DropsOf(uint32_t image, uint64_t events);  // events this image could not record
  // An exec'd program the shim could not enter.
  void NotRecorded(uint32_t pid, const Image& image, const char* kind, uint64_t pid_namespace = 0);

  // The tables as of the last Advance. end_ns: when the trace ended. Joins connections' ends; may be called repeatedly.
  Tables Snapshot(uint64_t end_ns);

  // For each connection of the last Snapshot, the blocks that hold its events, sorted.
  std::vector<ConnectionBlocks> BlocksOfConnections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_AGGREGATOR_H_
