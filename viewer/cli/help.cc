// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/help.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <string_view>

#include "absl/strings/str_cat.h"

namespace socktale {
namespace {

// The man page of a command as it is installed beside the program (bin/ and share/man/), or "".
std::string ManPage(const std::string& command) {
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program));
  if (length <= 0 || length == static_cast<ssize_t>(sizeof(program))) return "";
  std::string_view prefix(program, static_cast<size_t>(length));
  for (int up = 0; up < 2; ++up) prefix = prefix.substr(0, prefix.find_last_of('/'));
  const std::string page = absl::StrCat(absl::string_view(prefix.data(), prefix.size()), "/share/man/man1/socktale",
                                        command.empty() ? "" : "-", command, ".1");
  for (const char* suffix : {"", ".gz"}) {
    if (std::string path = page + suffix; access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}

}  // namespace

int RunHelp(const HelpOptions& options, const CommonOptions&) {
  if (const std::string page = ManPage(options.command); !page.empty()) {
    // A name with a slash is a file to man(1). Where there is no man, the short help serves.
    execlp("man", "man", page.c_str(), static_cast<char*>(nullptr));
  }
  return PrintHelp(options.short_help);
}

int PrintHelp(const std::string& text) {
  // What fits into stdio's buffer fails when it is flushed.
  if (fputs(text.c_str(), stdout) >= 0 && fflush(stdout) == 0) return kExitDone;
  const int error = errno;
  if (error == EPIPE) return kExitDone;  // who reads has seen enough
  return Trouble(absl::ErrnoToStatus(error, "cannot write standard output"));
}

std::string Overview() {
  return R"(socktale records what a program does with its sockets, and tells the story.

  socktale run curl localhost:8080   record a program and all that it starts
  socktale conns                     list the connections it made
  socktale follow 1                  read the first: who said what, who waited

record  run       run a program and record it      (socktale -- CMD is the same)
        collect   gather several programs, started elsewhere, in one trace
        env       settings that make such a program record
look    conns     connections: who with whom, how much, how long, how it ended
        follow    conversations, as text, hex or raw bytes
        show      every call, like strace
        fds       descriptors: what is open, and where the other end is
keep    ls        traces
        info      what a trace holds, and what it does not
help    doctor    can this program be recorded, and if not, why
        demo      see it at work in two seconds
        version   what is installed
        help      help COMMAND, or COMMAND -h for one screen

Commands look at the latest trace, or the one named by -t. No root needed.
)";
}

}  // namespace socktale
