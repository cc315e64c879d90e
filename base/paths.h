// SPDX-License-Identifier: Apache-2.0
//
// Names of files.

#ifndef SOCKTALE_BASE_PATHS_H_
#define SOCKTALE_BASE_PATHS_H_

#include <string>

namespace socktale {

// What stands behind the last slash: "curl" of "/usr/bin/curl" and of "curl"; "" of "/usr/bin/".
inline std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace socktale

#endif  // SOCKTALE_BASE_PATHS_H_
