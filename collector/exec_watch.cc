// SPDX-License-Identifier: Apache-2.0
#include "collector/exec_watch.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace socktale {

bool ExecWatch::RunsAnother(pid_t pid, std::string& path) const {
  std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
  bool any = false;  // none: it may not be read, or the process is ending
  for (std::string line; std::getline(maps, line); any = true) {
    if (absl::StrContains(line, name_)) return false;
  }
  if (!any) return false;
  char target[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/", pid, "/exe").c_str(), target, sizeof target);
  if (size <= 0) return false;
  path.assign(target, static_cast<size_t>(size));
  return true;
}

std::vector<ExecWatch::Unseen> ExecWatch::Look(const std::vector<std::pair<uint32_t, pid_t>>& images) {
  std::vector<Unseen> found;
  if (images.empty()) return found;
  const auto first = std::lower_bound(images.begin(), images.end(), std::pair<uint32_t, pid_t>{next_, 0});
  size_t at = first == images.end() ? 0 : static_cast<size_t>(first - images.begin());
  for (size_t looked = 0; looked < std::min(images.size(), kMostAtOnce); ++looked, at = (at + 1) % images.size()) {
    const auto [image, pid] = images[at];
    Unseen unseen = {image, pid, ""};
    if (!RunsAnother(pid, unseen.path)) {
      suspected_.erase(image);
    } else if (!suspected_.insert(image).second) {
      suspected_.erase(image);
      found.push_back(std::move(unseen));
    }
  }
  next_ = images[at].first;
  return found;
}

}  // namespace socktale
