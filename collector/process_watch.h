// SPDX-License-Identifier: Apache-2.0
//
// Which traced processes live: a pidfd for each, found by what its shim wrote into the process slot.
//
// The pid in a slot is what the process saw. In the collector's own pid namespace that is enough, with the start time
// to tell two uses of a number apart; from another namespace the process is looked for in /proc by namespace and NSpid.

#ifndef SOCKTALE_COLLECTOR_PROCESS_WATCH_H_
#define SOCKTALE_COLLECTOR_PROCESS_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace socktale {

// A process as its shim describes it.
struct ProcessIdentity {
  uint32_t pid = 0;            // as the process sees itself
  uint64_t pid_namespace = 0;  // inode of its /proc/self/ns/pid; 0: not known, taken for the collector's own
  uint64_t start_ticks = 0;    // field 22 of /proc/self/stat; 0: not known

  friend auto operator<=>(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// Fields of /proc/PID/stat. false when there is no such process.
struct ProcessStat {
  char state = 0;  // R, S, D, Z, …
  pid_t parent = 0;
  uint64_t start_ticks = 0;
};
bool ReadProcessStat(pid_t pid, ProcessStat& stat);

// Whether the process `pid` of the collector's namespace is over, be it waited for or not. start_ticks: its own, so
// that another process of that number is not taken for it; 0: not known.
bool IsGone(pid_t pid, uint64_t start_ticks);

// How many processes, other than this one, that began at since_ticks or later have the file `path` mapped. Walks /proc.
uint64_t CountMappers(const std::string& path, uint64_t since_ticks);

class ProcessWatch {
 public:
  static absl::StatusOr<ProcessWatch> Create();

  // Begins to watch the process of an image. Returns the image that this process ran before and that ended by exec, or
  // 0. A process that is gone already is reported by the next TakeEnded.
  uint32_t Watch(uint32_t image, const ProcessIdentity& identity);

  // The last images of processes that ended since the last call. certain: false when a process of another namespace
  // is only out of sight, so that its memory must be left alone.
  struct Ended {
    uint32_t image = 0;
    bool certain = true;
  };
  std::vector<Ended> TakeEnded();

  // Readable (poll) when a process may have ended.
  int fd() const { return epoll_.get(); }

  // Processes alive, as far as is known.
  size_t alive() const { return processes_.size(); }

  // Whether a thread (tid as its process sees it) of the image's process is there. True when that is not known.
  bool ThreadLives(uint32_t image, uint32_t tid) const;

  // Whether `pid`, in the collector's namespace, is a watched process.
  bool Watches(pid_t pid) const;

  // The pid, in the collector's namespace, of the process that runs this image; 0: not known.
  pid_t HostPid(uint32_t image) const;

  // All latest images with the pids, in the collector's namespace, of their processes; in the order of the images.
  std::vector<std::pair<uint32_t, pid_t>> Running() const;

  // The collector's own pid namespace, 0 when /proc does not tell.
  uint64_t own_namespace() const { return own_namespace_; }

 private:
  struct Process {
    uint32_t image = 0;    // the latest
    pid_t host_pid = 0;    // in the collector's namespace; 0: not found
    UniqueFd pidfd;        // not valid: asked for by its pid now and then
    uint64_t lost_ns = 0;  // when it was first out of sight
  };

  void Open(pid_t host_pid, Process& process, const ProcessIdentity& identity);
  bool IsForeign(const ProcessIdentity& identity) const;
  void FindLost();
  pid_t FindHostPid(const ProcessIdentity& identity) const;
  bool Gone(const Process& process, const ProcessIdentity& identity) const;

  UniqueFd epoll_;
  uint64_t own_namespace_ = 0;
  std::map<ProcessIdentity, Process> processes_;
  uint64_t next_sweep_ns_ = 0;
  uint32_t searches_ = 0;  // since the last sweep
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_PROCESS_WATCH_H_
