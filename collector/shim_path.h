// SPDX-License-Identifier: Apache-2.0
//
// Where libsocktale.so is, by a path that LD_PRELOAD can hold.

#ifndef SOCKTALE_COLLECTOR_SHIM_PATH_H_
#define SOCKTALE_COLLECTOR_SHIM_PATH_H_

#include <string>

#include "absl/status/statusor.h"

namespace socktale {

// Finds the shim: $SOCKTALE_SHIM if set, else beside the running program (../lib/socktale, then
// ../lib/<triplet>/socktale). LD_PRELOAD is parted by spaces and colons: a path that holds one is given by a symbolic
// link in a private directory. To root, a shim that other users cannot read is given as a copy that they can
// (shared_copy.h): what is recorded may become one of them. kNotFound names the places looked at.
absl::StatusOr<std::string> FindShim();

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_SHIM_PATH_H_
