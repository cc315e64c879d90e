// SPDX-License-Identifier: Apache-2.0
#include "collector/shim_path.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "collector/arena.h"
#include "collector/errno_status.h"
#include "collector/shared_copy.h"

namespace socktale {
namespace {

constexpr char kShimName[] = "libsocktale.so";

#if defined(__x86_64__)
constexpr char kTriplet[] = "x86_64-linux-gnu";
#elif defined(__aarch64__)
constexpr char kTriplet[] = "aarch64-linux-gnu";
#else
#error "name this processor's triplet"
#endif

bool Speakable(const std::string& path) { return path.find_first_of(" :") == std::string::npos; }

// A link to the shim's directory under a name without spaces and colons, the same one each time.
absl::StatusOr<std::string> LinkTo(const std::string& shim) {
  absl::Status status = absl::NotFoundError(absl::StrCat(shim, ": no directory for a link without space or colon"));
  for (const std::string& directory : ArenaDirectories()) {
    if (!Speakable(directory)) continue;
    status = EnsurePrivateDirectory(directory);
    if (!status.ok()) continue;
    const std::string link_directory =
        absl::StrCat(directory, "/shim-", absl::Hex(std::hash<std::string>()(shim), absl::kZeroPad16));
    status = EnsurePrivateDirectory(link_directory);
    if (!status.ok()) continue;
    const std::string link = absl::StrCat(link_directory, "/", kShimName);
    if (symlink(shim.c_str(), link.c_str()) == 0) return link;
    char target[PATH_MAX];
    const ssize_t n = readlink(link.c_str(), target, sizeof target);
    if (n > 0 && std::string(target, static_cast<size_t>(n)) == shim) return link;
    status = ErrnoStatus(link);
  }
  return status;
}

}  // namespace

absl::StatusOr<std::string> FindShim() {
  std::vector<std::string> places;
  if (const char* given = getenv("SOCKTALE_SHIM"); given != nullptr && *given != '\0') {
    places.emplace_back(given);
  } else {
    char program[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program);
    if (n <= 0) return ErrnoStatus("/proc/self/exe: this program's own place cannot be found");
    const std::string path(program, static_cast<size_t>(n));
    const std::string prefix = path.substr(0, path.rfind('/'));
    places.push_back(absl::StrCat(prefix, "/../lib/socktale/", kShimName));
    places.push_back(absl::StrCat(prefix, "/../lib/", kTriplet, "/socktale/", kShimName));
  }
  for (const std::string& place : places) {
    char resolved[PATH_MAX];
    struct stat status;
    if (realpath(place.c_str(), resolved) == nullptr || stat(resolved, &status) != 0 || !S_ISREG(status.st_mode)) {
      continue;
    }
    const bool speakable = Speakable(resolved);
    if (geteuid() == 0 && !(speakable && ReadableByAll(resolved))) {
      absl::StatusOr<std::string> copy = SharedCopy(resolved);
      if (copy.ok() || !speakable) return copy;
      // Without it a program that becomes another user is named as not recorded.
    }
    if (speakable) return std::string(resolved);
    return LinkTo(resolved);
  }
  return absl::NotFoundError(absl::StrCat("the shim, ", kShimName, ", is not at ", absl::StrJoin(places, " nor at "),
                                          ": socktale is not wholly installed"));
}

}  // namespace socktale
