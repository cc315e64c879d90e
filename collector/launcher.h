// SPDX-License-Identifier: Apache-2.0
//
// Starts CMD as the caller of `socktale run` would have started it: same streams, process group, signal mask and
// dispositions, umask, limits and inherited descriptors. What the collector needs otherwise stays with the collector.

#ifndef SOCKTALE_COLLECTOR_LAUNCHER_H_
#define SOCKTALE_COLLECTOR_LAUNCHER_H_

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace socktale {

// The collector's own signal settings while CMD runs, and the caller's to give back.
//
// Blocked and read from a descriptor: INT, QUIT, TERM, HUP, USR1, USR2, TSTP, CONT, CHLD. Ignored: PIPE (stderr may be
// closed) and XFSZ (a file at its size limit is an error of write). CHLD gets its default, so that CMD can be waited
// for.
class SignalGuard {
 public:
  static absl::StatusOr<SignalGuard> Install();

  // Gives the process the caller's settings back: in the child before exec.
  void Restore() const;

  // The next signal that came, 0: none. info: who sent it and why.
  int Next(siginfo_t* info);

  // Readable when Next has something.
  int fd() const { return fd_.get(); }

  // The caller's disposition of the signal was to ignore it.
  bool CallerIgnores(int signal) const;

 private:
  UniqueFd fd_;
  sigset_t caller_mask_ = {};
  std::vector<std::pair<int, struct sigaction>> caller_actions_;
};

// Where the caller closed 0, 1 or 2, puts /dev/null there for as long as this process lives and not for what it
// executes: a file of ours must not get the number that messages are written to.
absl::Status OccupyStandardDescriptors();

// Closes what the caller let us inherit beyond 0, 1 and 2 (ours are all close-on-exec): a process that goes on in the
// background must not keep the caller's pipes open.
void CloseInherited();

// A started program; or why exec refused it, as errno.
struct Launched {
  pid_t pid = -1;
  int exec_error = 0;
};

// Forks and executes `path` (found before, see program_check.h) with these arguments and environment ("KEY=VALUE"). A
// file that is neither a program nor a script goes to /bin/sh, as execvp does it.
absl::StatusOr<Launched> Launch(const std::string& path, const std::vector<std::string>& argv,
                                const std::vector<std::string>& environment, const SignalGuard& signals);

// The caller's environment with `settings` ("KEY=VALUE") in place of what it says of the same keys.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& settings);

// Replaces this process by `path`, as Launch does it in the child. Returns errno.
int Execute(const std::string& path, const std::vector<std::string>& argv, const std::vector<std::string>& environment);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_LAUNCHER_H_
