// SPDX-License-Identifier: Apache-2.0
//
// Finishes what killed collectors left behind: takes the committed bytes out of their arenas, seals their traces.

#ifndef SOCKTALE_COLLECTOR_RECOVERY_H_
#define SOCKTALE_COLLECTOR_RECOVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace socktale {

struct RecoveredTrace {
  std::string trace_path;        // final name, as the recording meant it
  absl::Status status;           // OK: sealed under that name
  uint64_t events = 0;           // in the trace now
  uint64_t salvaged_events = 0;  // of these, taken out of the arena
  uint64_t end_ns = 0;           // the last moment known, ns since the trace began
};

// Looks for arenas of this user whose collector is gone, and for part files in library_directory (empty: none) that
// nobody writes. Programs that still write into such an arena are told to go quiet first. Cheap when there is nothing.
std::vector<RecoveredTrace> RecoverOrphans(const std::string& library_directory);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_RECOVERY_H_
