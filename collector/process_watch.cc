// SPDX-License-Identifier: Apache-2.0
#include "collector/process_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "collector/clock.h"
#include "collector/errno_status.h"

namespace socktale {
namespace {

// How long a process of another namespace may be out of sight before it counts as ended.
constexpr uint64_t kLostNs = 2 * kSecondNs;
// How often processes without a pidfd are asked for.
constexpr uint64_t kSweepNs = 100 * kMillisecondNs;
// How many processes of other namespaces are looked for between two sweeps, each as it comes.
constexpr uint32_t kMostSearches = 16;

// A whole file of /proc, at most 8 KiB of it; empty when it cannot be read.
std::string ReadProc(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return "";
  char buffer[8192];
  size_t size = 0;
  while (size < sizeof buffer) {
    const ssize_t n = read(fd.get(), buffer + size, sizeof buffer - size);
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  return std::string(buffer, size);
}

uint64_t Inode(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

// The last number of "NSpid:" in a status file: the id that the task itself sees. 0: not told.
uint32_t InnermostPid(const std::string& status) {
  const size_t line = status.find("\nNSpid:");
  if (line == std::string::npos) return 0;
  const size_t end = status.find('\n', line + 1);
  const absl::string_view text = absl::string_view(status).substr(line + 7, end - line - 7);
  uint32_t pid = 0;
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar("\t "), absl::SkipEmpty())) {
    if (!absl::SimpleAtoi(word, &pid)) return 0;
  }
  return pid;
}

// Calls visit with each numeric entry of a /proc directory until it returns true. Returns that entry, 0 if none, -1 if
// the directory cannot be read.
template <typename Visit>
pid_t FindNumber(const std::string& directory, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) return -1;
  while (const dirent* entry = readdir(entries.get())) {
    pid_t pid;
    if (absl::SimpleAtoi(entry->d_name, &pid) && visit(pid)) return pid;
  }
  return 0;
}

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// The collector holds one descriptor for each traced process: its own soft limit goes up to the hard one.
bool RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return false;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

bool ReadProcessStat(pid_t pid, ProcessStat& stat) {
  const std::string text = ReadProc(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = text.rfind(')');  // comm may hold anything, parentheses too
  if (name_end == std::string::npos || name_end + 2 > text.size()) return false;
  const std::vector<absl::string_view> fields = absl::StrSplit(absl::string_view(text).substr(name_end + 2), ' ');
  if (fields.size() < 20 || fields[0].empty()) return false;
  stat.state = fields[0][0];  // field 3
  return absl::SimpleAtoi(fields[1], &stat.parent) && absl::SimpleAtoi(fields[19], &stat.start_ticks);
}

bool IsGone(pid_t pid, uint64_t start_ticks) {
  ProcessStat stat;
  if (!ReadProcessStat(pid, stat)) return kill(pid, 0) != 0 && errno == ESRCH;  // /proc may be hidden (hidepid)
  if (start_ticks != 0 && stat.start_ticks != start_ticks) return true;
  if (stat.state != 'Z' && stat.state != 'X') return false;
  // A zombie may be a first thread that left before the others.
  return FindNumber(absl::StrCat("/proc/", pid, "/task"), [pid](pid_t tid) { return tid != pid; }) == 0;
}

uint64_t CountMappers(const std::string& path, uint64_t since_ticks) {
  uint64_t count = 0;
  FindNumber("/proc", [&](pid_t pid) {
    ProcessStat stat;
    if (pid == getpid() || !ReadProcessStat(pid, stat) || stat.start_ticks < since_ticks) return false;
    std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
    for (std::string line; std::getline(maps, line);) {
      if (!absl::EndsWith(line, path)) continue;
      ++count;
      break;
    }
    return false;
  });
  return count;
}

absl::StatusOr<ProcessWatch> ProcessWatch::Create() {
  ProcessWatch watch;
  watch.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!watch.epoll_.valid()) return ErrnoStatus("epoll_create1");
  watch.own_namespace_ = Inode("/proc/self/ns/pid");
  return watch;
}

uint32_t ProcessWatch::Watch(uint32_t image, const ProcessIdentity& identity) {
  const auto [entry, added] = processes_.try_emplace(identity);
  if (!added && image < entry->second.image) return image;  // late news of a program that this process has left since
  const uint32_t before = std::exchange(entry->second.image, image);
  if (added) {
    // Each search for one of another namespace is a walk through /proc. Many at once are left to the next sweep.
    if (!IsForeign(identity)) {
      Open(static_cast<pid_t>(identity.pid), entry->second, identity);
    } else if (searches_ < kMostSearches) {
      ++searches_;
      Open(FindHostPid(identity), entry->second, identity);
    }
    next_sweep_ns_ = 0;
  }
  return added ? 0 : before;
}

// Takes hold of the process that has this number here. Without a pidfd afterwards, it is gone or has to be asked for.
void ProcessWatch::Open(pid_t host_pid, Process& process, const ProcessIdentity& identity) {
  process.host_pid = host_pid;
  if (process.host_pid == 0) return;
  int fd = PidfdOpen(process.host_pid);
  if (fd < 0 && (errno == EMFILE) && RaiseDescriptorLimit()) fd = PidfdOpen(process.host_pid);
  UniqueFd pidfd(fd);
  if (!pidfd.valid()) return;
  // The number may have been used again before the pidfd was there.
  ProcessStat stat;
  if (identity.start_ticks != 0 && ReadProcessStat(process.host_pid, stat) &&
      stat.start_ticks != identity.start_ticks) {
    return;
  }
  epoll_event event = {.events = EPOLLIN, .data = {.fd = pidfd.get()}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd.get(), &event) == 0) process.pidfd = std::move(pidfd);
}

bool ProcessWatch::IsForeign(const ProcessIdentity& identity) const {
  return identity.pid_namespace != 0 && own_namespace_ != 0 && identity.pid_namespace != own_namespace_;
}

pid_t ProcessWatch::FindHostPid(const ProcessIdentity& identity) const {
  if (!IsForeign(identity)) return static_cast<pid_t>(identity.pid);
  const pid_t found = FindNumber("/proc", [&](pid_t candidate) {
    const std::string directory = absl::StrCat("/proc/", candidate);
    if (Inode(directory + "/ns/pid") != identity.pid_namespace) return false;
    if (InnermostPid(ReadProc(directory + "/status")) != identity.pid) return false;
    ProcessStat stat;
    return identity.start_ticks == 0 || (ReadProcessStat(candidate, stat) && stat.start_ticks == identity.start_ticks);
  });
  return std::max(found, 0);
}

// Looks for all processes that are out of sight, in one walk.
void ProcessWatch::FindLost() {
  absl::flat_hash_map<std::pair<uint64_t, uint32_t>, std::vector<std::pair<const ProcessIdentity, Process>*>> lost;
  for (auto& entry : processes_) {
    if (entry.second.host_pid == 0) lost[{entry.first.pid_namespace, entry.first.pid}].push_back(&entry);
  }
  if (lost.empty()) return;
  FindNumber("/proc", [&](pid_t candidate) {
    const std::string directory = absl::StrCat("/proc/", candidate);
    const uint64_t pid_namespace = Inode(directory + "/ns/pid");
    if (pid_namespace == 0 || pid_namespace == own_namespace_) return false;
    const auto found = lost.find({pid_namespace, InnermostPid(ReadProc(directory + "/status"))});
    if (found == lost.end()) return false;
    ProcessStat stat;
    const bool told = ReadProcessStat(candidate, stat);
    for (auto* const entry : found->second) {
      const ProcessIdentity& identity = entry->first;
      if (identity.start_ticks != 0 && !(told && stat.start_ticks == identity.start_ticks)) continue;
      Open(candidate, entry->second, identity);
    }
    return false;
  });
}

bool ProcessWatch::Gone(const Process& process, const ProcessIdentity& identity) const {
  if (process.pidfd.valid()) {
    pollfd poll_fd = {.fd = process.pidfd.get(), .events = POLLIN, .revents = 0};
    return poll(&poll_fd, 1, 0) > 0;
  }
  return IsGone(process.host_pid, identity.start_ticks);
}

std::vector<ProcessWatch::Ended> ProcessWatch::TakeEnded() {
  std::vector<Ended> ended;
  epoll_event event;
  const bool woken = epoll_wait(epoll_.get(), &event, 1, 0) > 0;
  const uint64_t now = MonotonicNs();
  const bool sweep = now >= next_sweep_ns_;
  if (!woken && !sweep) return ended;
  if (sweep) {
    next_sweep_ns_ = now + kSweepNs;
    searches_ = 0;
    FindLost();
  }
  for (auto entry = processes_.begin(); entry != processes_.end();) {
    auto& [identity, process] = *entry;
    bool gone = false, certain = true;
    if (process.host_pid == 0) {
      // Of another namespace, and not in sight: dead, or in a place that this /proc does not show.
      if (!sweep) {
        // not looked for
      } else if (process.lost_ns == 0) {
        process.lost_ns = now;
      } else {
        gone = now - process.lost_ns > kLostNs;
        certain = false;
      }
    } else if (process.pidfd.valid() ? woken : sweep) {
      process.lost_ns = 0;
      gone = Gone(process, identity);
    }
    if (gone) ended.push_back({process.image, certain});
    entry = gone ? processes_.erase(entry) : std::next(entry);
  }
  return ended;
}

bool ProcessWatch::ThreadLives(uint32_t image, uint32_t tid) const {
  const auto entry = std::find_if(processes_.begin(), processes_.end(),
                                  [image](const auto& candidate) { return candidate.second.image == image; });
  if (entry == processes_.end() || entry->second.host_pid == 0) return true;
  const auto& [identity, process] = *entry;
  const std::string tasks = absl::StrCat("/proc/", process.host_pid, "/task");
  if (access(tasks.c_str(), R_OK | X_OK) != 0) return true;
  if (process.host_pid == static_cast<pid_t>(identity.pid)) {
    // Not among its threads, but a process of its own that shares its memory (clone with CLONE_VM) writes there, too.
    return access(absl::StrCat(tasks, "/", tid).c_str(), F_OK) == 0 ||
           access(absl::StrCat("/proc/", tid).c_str(), F_OK) == 0;
  }
  bool all_read = true;  // a thread that cannot be looked at may be the one
  const pid_t found = FindNumber(tasks, [&](pid_t task) {
    const uint32_t seen = InnermostPid(ReadProc(absl::StrCat(tasks, "/", task, "/status")));
    all_read &= seen != 0;
    return seen == tid;
  });
  if (found != 0 || !all_read) return true;
  return FindHostPid({.pid = tid, .pid_namespace = identity.pid_namespace, .start_ticks = 0}) != 0;
}

pid_t ProcessWatch::HostPid(uint32_t image) const {
  const auto entry = std::find_if(processes_.begin(), processes_.end(),
                                  [image](const auto& candidate) { return candidate.second.image == image; });
  return entry == processes_.end() ? 0 : entry->second.host_pid;
}

std::vector<std::pair<uint32_t, pid_t>> ProcessWatch::Running() const {
  std::vector<std::pair<uint32_t, pid_t>> running;
  for (const auto& [identity, process] : processes_) {
    if (process.host_pid != 0) running.emplace_back(process.image, process.host_pid);
  }
  std::sort(running.begin(), running.end());
  return running;
}

bool ProcessWatch::Watches(pid_t pid) const {
  return std::any_of(processes_.begin(), processes_.end(),
                     [pid](const auto& entry) { return entry.second.host_pid == pid; });
}

}  // namespace socktale
