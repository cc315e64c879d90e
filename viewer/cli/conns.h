// SPDX-License-Identifier: Apache-2.0
//
// `socktale conns`: the connections of a trace.

#ifndef SOCKTALE_VIEWER_CLI_CONNS_H_
#define SOCKTALE_VIEWER_CLI_CONNS_H_

#include "absl/status/status.h"
#include "viewer/cli/common.h"
#include "viewer/cli/library.h"
#include "viewer/cli/output.h"

namespace socktale {

enum class ConnsGroup { kNone, kPair, kPeer, kProcess, kPort };

struct ConnsOptions {
  ConnsGroup group = ConnsGroup::kNone;
  bool wide = false;  // whole command lines, both addresses, exact ids
};

int RunConns(const ConnsOptions& options, const CommonOptions& common);

// What RunConns prints, of a trace that is open.
absl::Status PrintConns(const NamedTrace& trace, const ConnsOptions& options, const CommonOptions& common,
                        Output& output);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_CONNS_H_
