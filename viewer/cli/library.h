// SPDX-License-Identifier: Apache-2.0
//
// Where traces live and how they are named on the command line: a path, a name from `ls`, `@`, `@1`, `-`.

#ifndef SOCKTALE_VIEWER_CLI_LIBRARY_H_
#define SOCKTALE_VIEWER_CLI_LIBRARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "viewer/model/trace.h"

namespace socktale {

// One trace of the library.
struct LibraryEntry {
  std::string name;   // "curl-3": the file name without its suffixes
  std::string path;   // absolute
  bool part = false;  // not sealed: being recorded, or its recorder was killed
  // When the recording began, ns since 1970; the file's mtime when its header is unreadable.
  uint64_t start_wall_ns = 0;
};

// A trace that a command is to open.
struct ResolvedTrace {
  std::string path;  // what to open
  std::string name;  // what to call it: "curl-3", "out/x.tale", "stdin"
  UniqueFd keep;     // holds a copy of stdin open, which `path` names; none otherwise
};

// $XDG_STATE_HOME/socktale, else ~/.local/state/socktale. Not created. kFailedPrecondition when neither
// XDG_STATE_HOME nor HOME nor the password database names a place.
absl::StatusOr<std::string> LibraryDirectory();

// $XDG_RUNTIME_DIR/socktale, else /tmp/socktale-UID: for sockets. Created with mode 0700. kPermissionDenied when it
// exists and is another user's or open to others.
absl::StatusOr<std::string> RuntimeDirectory();

// The path, absolute, for a new trace of `command` (empty: `collect`). output_template: -o as given, with %c command,
// %p pid of the recorder, %t time as 20260301-100000, %h host, %% percent; a directory gets CMD-N.tale; empty: the
// library's next free CMD-N.tale. Creates the library's directory, or the last directory of the template. The name is
// a proposal: the writer's O_EXCL decides, and a loser of that race asks again.
absl::StatusOr<std::string> NewTracePath(const std::vector<std::string>& command, const std::string& output_template);

// Whether this user meets `what` (a word) for the first time: the library's directory, which is made, remembers it as
// an empty file ".what". An error when it cannot.
absl::StatusOr<bool> IsFirstTime(const std::string& what);

// All traces of the library, the newest recording first. An absent directory holds none.
absl::StatusOr<std::vector<LibraryEntry>> ListLibrary();

// Finds the trace that `argument` means (empty: `@`). kNotFound says what was looked for and what to do instead.
absl::StatusOr<ResolvedTrace> ResolveTrace(const std::string& argument);

// A trace that was found and opened.
struct NamedTrace {
  Trace trace;
  std::string path;
  std::string name;
  UniqueFd keep = {};  // as in ResolvedTrace: `path` is good as long as this lives
};

// ResolveTrace and Trace::Open; the message of an error names the trace.
absl::StatusOr<NamedTrace> OpenNamedTrace(const std::string& argument);

// The trace's name for people: the file name without .tale and .part for a trace of the library, else the path.
std::string TraceName(const std::string& path);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_LIBRARY_H_
