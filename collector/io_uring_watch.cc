// SPDX-License-Identifier: Apache-2.0
#include "collector/io_uring_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "collector/aggregate/missing_rows.h"
#include "collector/clock.h"

namespace socktale {
namespace {

constexpr uint64_t kFirstLookNs = 20 * kMillisecondNs;
constexpr uint64_t kRarestLookNs = kSecondNs;
constexpr int kMostDescriptors = 1024;

}  // namespace

bool UsesIoUring(pid_t pid) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(absl::StrCat("/proc/", pid, "/fd").c_str()), closedir);
  if (entries == nullptr) return false;
  for (int looked = 0; looked < kMostDescriptors; ++looked) {
    const dirent* entry = readdir(entries.get());
    if (entry == nullptr) return false;
    char target[64];
    const ssize_t n = readlinkat(dirfd(entries.get()), entry->d_name, target, sizeof target);
    if (n > 0 && absl::string_view(target, static_cast<size_t>(n)) == "anon_inode:[io_uring]") return true;
  }
  return false;
}

void IoUringWatch::Began(uint32_t image, pid_t pid, uint64_t now_ns) {
  waiting_[image] = {pid, now_ns + kFirstLookNs, kFirstLookNs};
  next_ns_ = std::min(next_ns_, now_ns + kFirstLookNs);
}

void IoUringWatch::Look(uint64_t now_ns) {
  if (now_ns < next_ns_) return;
  next_ns_ = UINT64_MAX;
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    auto& [image, waiting] = *entry;
    if (now_ns >= waiting.next_ns) {
      if (UsesIoUring(waiting.pid)) {
        users_.insert(image);
        entry = waiting_.erase(entry);
        continue;
      }
      waiting.interval_ns = std::min(waiting.interval_ns * 2, kRarestLookNs);
      waiting.next_ns = now_ns + waiting.interval_ns;
    }
    next_ns_ = std::min(next_ns_, waiting.next_ns);
    ++entry;
  }
}

void IoUringWatch::AddMissing(Tables& tables) const {
  if (users_.empty()) return;
  MissingRows rows(tables);
  const auto uses = [this](const Image& image) { return image.number() != 0 && users_.contains(image.number()); };
  for (const Process& process : tables.process()) {
    if (std::none_of(process.image().begin(), process.image().end(), uses)) continue;
    Missing row;
    row.set_kind("io_uring");
    row.set_count(1);
    row.set_process(process.id());
    rows.Add(row);
  }
}

}  // namespace socktale
