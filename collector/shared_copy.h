// SPDX-License-Identifier: Apache-2.0
//
// A copy of the shim that every user can read: what root records may become another user, and cannot look into /root.

#ifndef SOCKTALE_COLLECTOR_SHARED_COPY_H_
#define SOCKTALE_COLLECTOR_SHARED_COPY_H_

#include <string>

#include "absl/status/statusor.h"

namespace socktale {

// Where copies are kept. Not below /run or /dev/shm, which may forbid that anything there is executed.
inline constexpr char kSharedCopies[] = "/var/cache/socktale";

// Whether every user can read the file: its own mode, and those of all directories above. path: absolute, resolved.
bool ReadableByAll(const std::string& path);

// Copies `file` to FOLDER/shim-HASH/NAME, HASH being of its path, unless the copy there is as it is; returns the copy's
// path. The folders are made as needed, for all to read; one that is not this user's, or that others may write to, is
// refused (kPermissionDenied).
absl::StatusOr<std::string> SharedCopy(const std::string& file, const std::string& folder = kSharedCopies);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_SHARED_COPY_H_
