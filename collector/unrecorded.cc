// SPDX-License-Identifier: Apache-2.0
#include "collector/unrecorded.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "collector/process_watch.h"
#include "collector/program_check.h"

namespace socktale {
namespace {

// The program that an event says is about to run.
Image ImageOf(const EventView& event) {
  Image image;
  image.set_path(std::string(event.path));
  for (const absl::string_view argument : event.argv) image.add_argv(std::string(argument));
  image.set_start_ns(event.start_ns);
  return image;
}

// For how a program that did not attach lived: one that was killed as it began is no loss, and looks like this.
std::string NotAttachedInWords(uint64_t executing_ns, uint64_t gone_ns) {
  constexpr uint64_t kTenthNs = 100'000'000;
  if (gone_ns == 0 || gone_ns - executing_ns > 10 * kTenthNs) return "it did not attach";
  const uint64_t tenths = (gone_ns - executing_ns + kTenthNs - 1) / kTenthNs;
  return absl::StrFormat("it did not attach, and was gone within %d.%d s", tenths / 10, tenths % 10);
}

}  // namespace

void UnrecordedPrograms::ImageStarted(uint32_t image, uint32_t pid, uint64_t pid_namespace) {
  images_[image] = {pid, pid_namespace};
}

void UnrecordedPrograms::Executing(uint32_t pid, uint64_t pid_namespace, Image image) {
  History& history = processes_[{pid, pid_namespace}];
  history.executing = true;
  history.executing_ns = image.start_ns();
  history.start_ticks = history.gone_ns = 0;
  history.image = std::move(image);
}

void UnrecordedPrograms::ExecutedUnseen(uint32_t image, const std::string& path, uint64_t now_ns) {
  const auto known = images_.find(image);
  if (known == images_.end()) return;
  History& history = processes_[known->second];
  history.image = Image();
  history.image.set_path(path);
  history.image.set_start_ns(now_ns);
  history.gone_ns = 0;
  Settle(known->second, history);
}

bool UnrecordedPrograms::IsExecuting(uint32_t image) const {
  const auto known = images_.find(image);
  if (known == images_.end()) return false;
  const auto history = processes_.find(known->second);
  return history != processes_.end() && history->second.executing;
}

void UnrecordedPrograms::Add(uint32_t image, const EventView& event) {
  const auto known = images_.find(image);
  if (known == images_.end()) return;
  Process process = known->second;
  if ((event.notes & EVENT_NOTE_VFORK_CHILD) != 0 && event.pid != 0) process.pid = event.pid;
  switch (event.call) {
    case CALL_ATTACHED: {
      History& history = processes_[known->second];
      if (event.start_ns + event.duration_ns >= history.began_ns) history.began_ns = event.end_ns();
      if (history.child && event.end_ns() >= history.child_ns) history.child = false;
      if (event.reason == ATTACH_REASON_FORK) {
        // Another life of this pid: what was executed in the last one never attached.
        if (history.executing && history.executing_ns < event.start_ns) Settle(known->second, history);
        break;
      }
      if (!history.attached || event.end_ns() > history.attached_ns) history.attached_ns = event.end_ns();
      history.attached = true;
      if (history.executing && history.executing_ns <= history.attached_ns) history.executing = false;
      break;
    }
    case CALL_EXECUTING: {
      History& history = processes_[process];
      if (history.attached && history.attached_ns >= event.start_ns) break;  // its new image was read before
      if (history.executing && history.executing_ns > event.start_ns) break;
      Executing(process.pid, process.pid_namespace, ImageOf(event));
      history.child = false;
      break;
    }
    case CALL_EXECVE:  // written only when it failed
      if (const auto found = processes_.find(process); found != processes_.end()) found->second.executing = false;
      break;
    case CALL_FORK:
    case CALL_VFORK:
    case CALL_CLONE:
    case CALL_FORKPTY:
    case CALL_POSIX_SPAWN: {
      const uint32_t pid = event.call == CALL_POSIX_SPAWN && event.pid != 0 ? event.pid
                           : event.result > 0                               ? static_cast<uint32_t>(event.result)
                                                                            : event.pid;
      if (pid == 0 || event.error != 0) break;
      any_children_ = true;
      History& history = processes_[{pid, process.pid_namespace}];
      if (history.began_ns >= event.start_ns && history.began_ns != 0) break;  // attached, and read before
      if (event.call == CALL_POSIX_SPAWN) Executing(pid, process.pid_namespace, ImageOf(event));
      history.child = true;
      history.child_ns = event.start_ns;
      break;
    }
    default:
      break;
  }
}

std::vector<UnrecordedPrograms::Process> UnrecordedPrograms::ChildrenAwaited(uint64_t since_ns) const {
  std::vector<Process> children;
  for (const auto& [process, history] : processes_) {
    if (history.child && history.child_ns >= since_ns) children.push_back(process);
  }
  return children;
}

std::vector<UnrecordedPrograms::Process> UnrecordedPrograms::LookForGone(uint64_t own_namespace, uint64_t since_ns,
                                                                         const std::function<void()>& meanwhile) {
  std::vector<Process> gone;
  if (own_namespace == 0) return gone;  // nobody knows which pids are ours to look at
  for (auto& [process, history] : processes_) {
    if (!history.executing || history.gone_ns != 0 || history.executing_ns < since_ns) continue;
    if (process.pid_namespace != own_namespace) continue;
    meanwhile();
    const auto pid = static_cast<pid_t>(process.pid);
    ProcessStat stat;
    if (history.start_ticks == 0 && ReadProcessStat(pid, stat)) history.start_ticks = stat.start_ticks;
    if (IsGone(pid, history.start_ticks)) gone.push_back(process);
  }
  return gone;
}

bool UnrecordedPrograms::Gone(const Process& process, uint64_t gone_ns) {
  const auto found = processes_.find(process);
  if (found == processes_.end() || !found->second.executing || found->second.executing_ns > gone_ns) return false;
  found->second.gone_ns = gone_ns;
  return true;
}

// The program executed last in this process did not attach: finds out why by its file.
void UnrecordedPrograms::Settle(const Process& process, History& history) {
  history.executing = false;
  const std::string& path = history.image.path();
  if (path.empty()) return;
  ProgramCheck check;
  const std::string shown = path;
  if (absl::StartsWith(path, "/")) {
    check = CheckProgramFile(path, shown);
  } else {
    const char* variable = getenv("PATH");
    check = CheckProgram(path, variable != nullptr ? variable : "");
  }
  Program program;
  program.pid = process.pid;
  program.pid_namespace = process.pid_namespace;
  program.kind = check.missing_kind();
  program.image = std::move(history.image);
  if (!check.path.empty() && !absl::StrContains(path, '/')) program.image.set_path(check.path);
  // A file that is not there now, or looks recordable, says nothing about why.
  const bool says_why = !check.message.empty() && check.start_status() == 0;
  program.image.set_not_recorded(says_why ? check.message : NotAttachedInWords(history.executing_ns, history.gone_ns));
  if (!says_why) program.kind = "not_attached";
  programs_.push_back(std::move(program));
}

std::vector<UnrecordedPrograms::Program> UnrecordedPrograms::Take(uint64_t until_ns) {
  for (auto& [process, history] : processes_) {
    if (history.executing && history.executing_ns < until_ns) Settle(process, history);
  }
  return std::exchange(programs_, {});
}

void UnrecordedPrograms::Prune(uint64_t until_ns) {
  std::erase_if(processes_, [until_ns](const auto& entry) {
    const History& history = entry.second;
    return !history.executing && std::max(history.began_ns, history.child_ns) < until_ns;
  });
}

}  // namespace socktale
