// SPDX-License-Identifier: Apache-2.0
//
// errno → absl::Status, in the words of strerror.

#ifndef SOCKTALE_COLLECTOR_ERRNO_STATUS_H_
#define SOCKTALE_COLLECTOR_ERRNO_STATUS_H_

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace socktale {

// "what: No space left on device". kResourceExhausted for what a user can make room for (disk, file size, descriptors,
// memory), else the code that errno means. error: errno, or what posix_fallocate and the like returned.
inline absl::Status ErrnoStatus(absl::string_view what, int error = errno) {
  const std::string message = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::Status(absl::ErrnoToStatusCode(error), message);
  }
}

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_ERRNO_STATUS_H_
