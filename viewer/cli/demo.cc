// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/demo.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "collector/shim_path.h"
#include "viewer/cli/conns.h"
#include "viewer/cli/fds.h"
#include "viewer/cli/follow.h"
#include "viewer/cli/library.h"
#include "viewer/cli/run.h"

namespace socktale {
namespace {

// What the demo's program (demo_program.c) calls its parts.
constexpr char kClient[] = "demo-client";
constexpr char kLeak[] = "demo-leak";

void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);  // the commands between write by themselves
}

// The demo's program lies beside the shim.
absl::StatusOr<std::string> FindProgram() {
  ASSIGN_OR_RETURN(const std::string shim, FindShim());
  char resolved[PATH_MAX];
  if (realpath(shim.c_str(), resolved) == nullptr)
    return absl::NotFoundError(absl::StrCat(shim, ": ", strerror(errno)));
  const std::string path = resolved;
  const std::string program = path.substr(0, path.rfind('/')) + "/socktale-demo";
  if (access(program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("the demo's program, ", program, ", is not there: socktale is not wholly installed"));
  }
  return program;
}

// Words, and the command as it would be typed, ahead of its result.
void Step(const std::string& words, const std::string& command) { Say(absl::StrCat("\n", words, "\n\n$ ", command)); }

// The first connection of the demo's client; 0: none recorded.
uint32_t ClientsConnection(const Trace& trace) {
  for (const Connection& connection : trace.tables().connection()) {
    const Process* process = trace.process(connection.client().process());
    if (process != nullptr && process->name() == kClient) return connection.id();
  }
  return 0;
}

}  // namespace

int RunDemo(const DemoOptions&, const CommonOptions& common) {
  const absl::StatusOr<std::string> program = FindProgram();
  if (!program.ok()) return Trouble(program.status());
  const absl::StatusOr<std::string> path = NewTracePath({"demo"}, "");
  if (!path.ok()) return Trouble(path.status());
  const std::string name = TraceName(*path);
  setenv("PAGER", "cat", 1);  // a walk does not stop at every screen

  Say("A small client, server and leak are recorded now, on this machine only; it takes a second.\n");
  Say(absl::StrCat("$ socktale run ", *program));
  RunOptions run;
  run.command = {*program};
  CommonOptions recording = common;
  recording.output = absl::StrReplaceAll(*path, {{"%", "%%"}});
  if (const int status = RunRun(run, recording); status != 0) return status;

  CommonOptions reading = common;
  reading.trace = *path;
  uint32_t connection = 0;
  {
    const absl::StatusOr<NamedTrace> trace = OpenNamedTrace(*path);
    if (!trace.ok()) return Trouble(trace.status());
    connection = ClientsConnection(trace->trace);
  }
  if (connection == 0) return Trouble("the demo's client was not recorded: socktale doctor says why");
  const std::string id = absl::StrCat(connection);

  Step("Who talked to whom, how much, how long, and how it ended:", "socktale conns");
  if (const int status = RunConns({}, reading); status != kExitDone) return status;
  FollowOptions follow;
  follow.connections = {id};
  Step(absl::StrCat("One conversation, both ends side by side, with the pauses explained (c", id, "):"),
       absl::StrCat("socktale follow ", id));
  if (const int status = RunFollow(follow, reading); status != kExitDone) return status;
  Step("Which descriptors a program still had when it ended, and where the other ends are:",
       absl::StrCat("socktale fds ", kLeak));
  FdsOptions fds;
  fds.process = kLeak;
  if (const int status = RunFds(fds, reading); status != kExitDone) return status;

  Say(absl::StrCat("\nThe trace is ", name, ". More of it: socktale show, socktale info, socktale fds",
                   "\nYour own program: socktale run CMD, then socktale conns, then socktale follow 1"));
  return kExitDone;
}

}  // namespace socktale
