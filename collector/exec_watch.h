// SPDX-License-Identifier: Apache-2.0
//
// Programs that a traced process executed past every hook, by a system call instruction of its own: the process lives
// on, but has the recording's shared memory no longer, so the trace must say so.

#ifndef SOCKTALE_COLLECTOR_EXEC_WATCH_H_
#define SOCKTALE_COLLECTOR_EXEC_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace socktale {

class ExecWatch {
 public:
  // arena_path: of the shared memory; its file name is random and stands in /proc/PID/maps of all that map it.
  explicit ExecWatch(const std::string& arena_path) : name_(arena_path.substr(arena_path.rfind('/'))) {}

  // A process image that runs another program now.
  struct Unseen {
    uint32_t image = 0;
    pid_t pid = 0;
    std::string path;  // of the program, by /proc/PID/exe
  };

  // Looks at the next images (image, pid in the collector's namespace) of those given, at most kMostAtOnce: reading the
  // mappings of one takes some fifty microseconds. Returns those found without the shared memory at two looks in a row:
  // at one, a process may be between an exec that a hook saw and its first words. A program that ends before its second
  // look is missed. Processes whose mappings cannot be read are left alone.
  std::vector<Unseen> Look(const std::vector<std::pair<uint32_t, pid_t>>& images);

  static constexpr size_t kMostAtOnce = 64;

 private:
  bool RunsAnother(pid_t pid, std::string& path) const;

  const std::string name_;                   // with its slash
  absl::flat_hash_set<uint32_t> suspected_;  // images found so once
  uint32_t next_ = 0;                        // image to begin with
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_EXEC_WATCH_H_
