// SPDX-License-Identifier: Apache-2.0
//
// A recording, as the command line starts it: sets up an arena and a trace file, drains the one into the other while
// traced programs run, and seals the trace when the last of them is gone.

#ifndef SOCKTALE_COLLECTOR_SESSION_H_
#define SOCKTALE_COLLECTOR_SESSION_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/trace.pb.h"

namespace socktale {

struct SessionOptions {
  std::string trace_path;  // final name, absolute
  bool overwrite = false;
  std::string name;                          // name of the trace; of the session for --into
  std::vector<std::string> command;          // empty for `collect`
  std::string shim_path;                     // absolute path of libsocktale.so
  uint64_t payload_limit = 64ull << 20;      // UINT64_MAX: everything
  bool pipe_data = false;                    // --io pipes
  bool file_data = false;                    // --io files
  bool drop_when_full = false;               // --on-full drop
  uint64_t most_bytes = UINT64_MAX;          // --max: the trace gets no more events than fit into so much
  uint64_t ring_bytes = 0;                   // --ring: so much of the latest is kept; 0: everything
  uint64_t arena_bytes = 1ull << 30;         // most the arena may grow to
  uint64_t first_arena_bytes = 16ull << 20;  // what it begins with; tests make it small
  bool compress = true;
};

// What a recording came to, for the closing lines and the exit status.
struct SessionSummary {
  std::string trace_path;
  uint64_t connections = 0;
  uint64_t events = 0;
  uint64_t processes = 0;
  uint64_t sockets = 0;  // sockets seen, connected or not
  uint64_t duration_ns = 0;
  uint64_t file_bytes = 0;
  uint64_t dropped_events = 0;
  std::vector<Missing> missing;  // completeness statement, worst first
  bool daemons_live_on = false;  // CMD is gone and others are recorded in the background
  uint64_t processes_alive = 0;  // when the summary was made
  std::string stopped;           // recording stopped before the end: why and when, in words (disk full …)
  std::string stopped_advice;    // what to do about it
  std::string lost;              // nothing is left of the trace: why, in words
};

// One recording. Not thread-safe; everything happens in the thread that calls Poll().
class Session {
 public:
  // Sets up arena, attach socket and trace file. Recovers nothing: see recovery.h.
  static absl::StatusOr<std::unique_ptr<Session>> Create(const SessionOptions& options);
  virtual ~Session() = default;

  // "KEY=VALUE" settings that make a program record into this session: LD_PRELOAD (shim before the user's own) and
  // SOCKTALE_ATTACH. preload: the value of LD_PRELOAD to keep, empty for none.
  virtual std::vector<std::string> Environment(const std::string& preload) const = 0;

  // Drains what is there, keeps the tables, writes blocks, answers attach requests. Waits at most max_wait_ms when
  // there was nothing to do. extra_fd: also wake up when this becomes readable (-1: none).
  virtual absl::Status Poll(int max_wait_ms, int extra_fd) = 0;

  // Traced processes that are alive now, and children of theirs that are about to attach.
  virtual uint64_t LiveProcesses() = 0;

  // CMD runs: the program at `path`, as found. If it never attaches, the trace says so.
  virtual void CommandStarted(pid_t pid, const std::string& path) = 0;

  // waitpid's word on CMD.
  virtual void CommandEnded(pid_t pid, int wait_status) = 0;

  // Drains to the end, tells the shims to go quiet, seals the trace, removes the arena.
  virtual absl::StatusOr<SessionSummary> Finish() = 0;

  // Gives the recording up: no trace, no arena, as if it had never been. For when CMD cannot be started.
  virtual void Discard() = 0;

  // For a recording that goes on in the child of a fork. GoOnElsewhere: before the fork; from then on the shims take
  // the collector for alive. GoOnInThisProcess: in the child (or here, when the fork failed); they look for this
  // process.
  virtual void GoOnElsewhere() = 0;
  virtual void GoOnInThisProcess() = 0;

  // Summary of a recording that goes on (for daemons that outlive CMD).
  virtual SessionSummary Summary() = 0;

  // Writes what the trace holds so far to a sealed trace beside it, NAME-dumpN.tale, and goes on. Returns its path.
  virtual absl::StatusOr<std::string> Dump() = 0;

  // Called with each Run as it is taken (for --live), in the order of the file.
  virtual void OnRun(std::function<void(absl::string_view encoded_run)> callback) = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_SESSION_H_
