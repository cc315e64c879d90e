// SPDX-License-Identifier: Apache-2.0
//
// Running `collect`s by name: RuntimeDirectory()/NAME.session says how to record into one. The file is locked (flock)
// by its collector for as long as that lives, so a killed one leaves nothing that looks alive.

#ifndef SOCKTALE_VIEWER_CLI_SESSION_FILE_H_
#define SOCKTALE_VIEWER_CLI_SESSION_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace socktale {

struct NamedSession {
  std::string name;
  std::string trace_path;
  std::vector<std::string> environment;  // "KEY=VALUE": LD_PRELOAD (the shim alone) and SOCKTALE_ATTACH
};

// The name of a running `collect`, held until destruction.
class SessionName {
 public:
  // Takes `name`; empty: "collect", or the first free of "collect-2", … kInvalidArgument: not a name;
  // kAlreadyExists: a `collect` of that name is running.
  static absl::StatusOr<SessionName> Take(const std::string& name);

  SessionName(SessionName&&) = default;
  SessionName& operator=(SessionName&&) = default;
  ~SessionName();

  // Lets others find the session.
  absl::Status Publish(const std::string& trace_path, const std::vector<std::string>& environment) const;

  const std::string& name() const { return name_; }

 private:
  SessionName() = default;
  static absl::StatusOr<SessionName> TakeExactly(const std::string& directory, const std::string& name);

  std::string name_;
  std::string path_;
  UniqueFd fd_;
};

// Finds a running `collect`; name empty: the only one, or the one begun last. kNotFound says which are running.
absl::StatusOr<NamedSession> FindSession(const std::string& name);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_SESSION_FILE_H_
