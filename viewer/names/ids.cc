// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/ids.h"

#include "absl/strings/str_cat.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// "512", "512#2".
std::string PidWithUse(const Process& process) {
  std::string pid = absl::StrCat(process.pid());
  if (process.pid_use() > 1) absl::StrAppend(&pid, "#", process.pid_use());
  return pid;
}

}  // namespace

std::string ProcessLabel(const Process& process) {
  return absl::StrCat(Printable(process.name()), "[", PidWithUse(process), "]");
}

std::string DescriptorId(const Process* process, int32_t fd, uint32_t generation) {
  std::string id = absl::StrCat(process != nullptr ? PidWithUse(*process) : "?", "/", fd);
  if (generation > 1) absl::StrAppend(&id, "#", generation);
  return id;
}

}  // namespace socktale
