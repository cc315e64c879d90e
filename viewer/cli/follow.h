// SPDX-License-Identifier: Apache-2.0
//
// `socktale follow`: the conversation of one or several connections, both ends side by side, pauses in words.

#ifndef SOCKTALE_VIEWER_CLI_FOLLOW_H_
#define SOCKTALE_VIEWER_CLI_FOLLOW_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/library.h"
#include "viewer/cli/output.h"

namespace socktale {

enum class FollowAs { kAuto, kText, kHex, kRaw, kJson };
enum class FollowSide { kBoth, kClient, kServer };

struct FollowOptions {
  std::vector<std::string> connections;  // "17" or "c17"
  FollowAs as = FollowAs::kAuto;
  FollowSide side = FollowSide::kBoth;
  std::optional<uint64_t> pauses_ns;  // --pauses: shorter quiet stretches are not told. Absent: chosen by the life
  std::optional<uint64_t> lines;      // payload lines shown per transfer, 0: all. Absent: 2 with kAuto, else all
};

int RunFollow(const FollowOptions& options, const CommonOptions& common);

// What RunFollow prints, of a trace that is open. kNotFound: no such connection; the message says which there are.
absl::Status PrintFollow(NamedTrace& trace, const FollowOptions& options, const CommonOptions& common, Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_FOLLOW_H_
