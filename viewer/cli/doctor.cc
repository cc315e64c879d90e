// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/paths.h"
#include "base/unique_fd.h"
#include "collector/arena.h"
#include "collector/program_check.h"
#include "collector/shim_path.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/library.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

enum class Answer { kYes, kPartly, kNo };

// One thing that was looked at.
struct Finding {
  Answer answer = Answer::kYes;
  std::string what;     // one sentence
  std::string way_out;  // what to do; may be empty
};

// What a recording begins with: SessionOptions::first_arena_bytes.
constexpr uint64_t kArenaBytes = 16 << 20;
constexpr uint64_t kDiskBytes = 16 << 20;

std::string Line(const std::string& text) { return Printable(std::string(absl::StripAsciiWhitespace(text))); }

Finding Yes(std::string what) { return {Answer::kYes, std::move(what), ""}; }

// A small file's content, or "" with errno set.
std::string ReadSmall(const std::string& path, bool& opened) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  opened = fd.valid();
  std::string text;
  char buffer[65536];
  ssize_t n = 0;
  while (fd.valid() && (n = read(fd.get(), buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(n));
  return text;
}

// ---- The installation ----------------------------------------------------------------------------------------------

// Whether the loader takes the shim: starts /bin/true with it and listens to what the loader says.
Finding CheckShim() {
  const absl::StatusOr<std::string> shim = FindShim();
  if (!shim.ok()) return {Answer::kNo, std::string(shim.status().message()), ""};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {Answer::kNo, absl::StrCat("pipe: ", strerror(errno)), ""};
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDERR_FILENO);
  std::string preload = absl::StrCat("LD_PRELOAD=", *shim);
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  char* const environment[] = {preload.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program, &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {Answer::kNo, absl::StrCat(program, " cannot be started: ", strerror(error)), ""};
  writer.reset();
  std::string said;
  char buffer[4096];
  ssize_t n;
  while ((n = read(reader.get(), buffer, sizeof buffer)) > 0) said.append(buffer, static_cast<size_t>(n));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (said.empty() && status == 0) return Yes(absl::StrCat("the shim loads: ", *shim));
  return {Answer::kNo,
          absl::StrCat("the shim ", *shim, " does not load: ", said.empty() ? "/bin/true failed with it" : Line(said)),
          "install socktale again"};
}

// Room that this user has in a directory's file system; 0 when it cannot be asked.
uint64_t FreeBytes(const std::string& path) {
  struct statvfs status;
  return statvfs(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.f_bavail) * status.f_frsize : 0;
}

Finding CheckArena() {
  std::string reasons;
  for (const std::string& directory : ArenaDirectories()) {
    std::string reason;
    if (const absl::Status status = EnsurePrivateDirectory(directory); !status.ok()) {
      reason = std::string(status.message());
    } else if (access(directory.c_str(), W_OK | X_OK) != 0) {
      reason = absl::StrCat(directory, ": ", strerror(errno));
    } else if (const uint64_t room = FreeBytes(directory); room < kArenaBytes) {
      reason =
          absl::StrCat(directory, " has room for ", FormatSize(room), ", a recording needs ", FormatSize(kArenaBytes));
    } else {
      return Yes(absl::StrCat("shared memory: ", directory, ", ", FormatSize(room), " free",
                              reasons.empty() ? "" : absl::StrCat(" (", reasons, ")")));
    }
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", reason);
  }
  return {Answer::kNo, absl::StrCat("no place for shared memory: ", reasons), "make room in /dev/shm"};
}

Finding CheckLibrary() {
  const absl::StatusOr<std::string> path = NewTracePath({"doctor"}, "");  // makes the directory
  if (!path.ok()) return {Answer::kPartly, std::string(path.status().message()), "socktale run -o FILE CMD"};
  const std::string directory = path->substr(0, path->rfind('/'));
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return {Answer::kPartly, absl::StrCat("traces cannot be written to ", directory, ": ", strerror(errno)),
            "socktale run -o FILE CMD"};
  }
  const uint64_t room = FreeBytes(directory);
  const std::string free = absl::StrCat(directory, ", ", FormatSize(room), " free");
  if (room < kDiskBytes) {
    return {Answer::kPartly, absl::StrCat("little room for traces: ", free), "socktale run -o FILE CMD, elsewhere"};
  }
  return Yes(absl::StrCat("traces: ", free));
}

Finding CheckIoUring() {
  bool opened = false;
  const std::string disabled = ReadSmall("/proc/sys/kernel/io_uring_disabled", opened);
  if (opened && absl::StripAsciiWhitespace(disabled) == "2")
    return Yes("io_uring is switched off here: nobody can use it");
  return Yes("io_uring: what programs do through it is not recorded; the trace then says so");
}

std::vector<Finding> CheckInstallation() {
  return {CheckShim(), CheckArena(), CheckLibrary(), Yes("no root, ptrace or kernel setting is needed"),
          CheckIoUring()};
}

// ---- A program, a process ------------------------------------------------------------------------------------------

// What a program that can be recorded still keeps to itself.
void AddLimits(const std::string& path, std::vector<Finding>& findings) {
  const std::string name = BaseName(path);
  if (name == "node" || name == "nodejs") {
    findings.push_back({Answer::kPartly,
                        absl::StrCat(name, " may use io_uring for files: operations there are missing."),
                        "UV_USE_IO_URING=0"});
  }
}

std::vector<Finding> CheckCommand(const std::string& command) {
  const ProgramCheck check = CheckProgram(command, SearchPath());
  if (!check.recordable()) return {{Answer::kNo, check.message, check.way_out}};
  if (!check.message.empty()) return {{Answer::kPartly, check.message, check.way_out}};
  std::vector<Finding> findings = {Yes(absl::StrCat(
      command, " can be recorded: ", check.path,
      check.decider == check.path || check.decider.empty() ? "" : absl::StrCat(" (run by ", check.decider, ")")))};
  AddLimits(check.decider.empty() ? check.path : check.decider, findings);
  return findings;
}

// Whether one of the process's descriptors is an io_uring.
bool UsesIoUring(pid_t pid) {
  const std::string directory = absl::StrCat("/proc/", pid, "/fd");
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) return false;
  while (const dirent* entry = readdir(entries.get())) {
    char target[64];
    const ssize_t n = readlink(absl::StrCat(directory, "/", entry->d_name).c_str(), target, sizeof target);
    if (n > 0 && absl::StrContains(absl::string_view(target, static_cast<size_t>(n)), "[io_uring]")) return true;
  }
  return false;
}

std::vector<Finding> CheckProcess(pid_t pid) {
  if (kill(pid, 0) != 0 && errno == ESRCH) return {{Answer::kNo, absl::StrCat("there is no process ", pid), ""}};
  bool opened = false;
  const std::string comm = ReadSmall(absl::StrCat("/proc/", pid, "/comm"), opened);
  const std::string label = absl::StrCat(Line(comm), "[", pid, "]");
  const std::string maps = ReadSmall(absl::StrCat("/proc/", pid, "/maps"), opened);
  char program[4096];
  const ssize_t n = readlink(absl::StrCat("/proc/", pid, "/exe").c_str(), program, sizeof program);
  if (!opened || n <= 0) {
    if (errno == ENOENT) return {{Answer::kNo, absl::StrCat(label, " is a process of the kernel"), ""}};
    return {{Answer::kNo, absl::StrCat(label, " is held by another user"), absl::StrCat("sudo socktale doctor ", pid)}};
  }
  std::vector<Finding> findings;
  if (absl::StrContains(maps, "/libsocktale.so")) {
    findings.push_back(Yes(absl::StrCat(label, " was started under socktale: the shim is in it")));
  } else {
    const std::string path(program, static_cast<size_t>(n));
    findings.push_back({Answer::kNo, absl::StrCat("A running program cannot be joined: ", label, "."),
                        absl::StrCat("start it with: socktale run ", path)});
    const ProgramCheck check = CheckProgramFile(path, path);
    if (check.recordable() && check.message.empty()) {
      findings.push_back(Yes(absl::StrCat("started anew it can be recorded: ", path)));
    } else {
      findings.push_back({check.recordable() ? Answer::kPartly : Answer::kNo, check.message, check.way_out});
    }
  }
  if (UsesIoUring(pid)) {
    findings.push_back({Answer::kPartly, absl::StrCat(label, " uses io_uring: operations there are missing."),
                        "switch io_uring off (Node: UV_USE_IO_URING=0)"});
  }
  return findings;
}

Answer Worst(const std::vector<Finding>& findings) {
  Answer worst = Answer::kYes;
  for (const Finding& finding : findings) worst = std::max(worst, finding.answer);
  return worst;
}

const char* Name(Answer answer) { return answer == Answer::kYes ? "yes" : answer == Answer::kPartly ? "partly" : "no"; }

void Print(const std::vector<Finding>& findings, const CommonOptions& common, Output& output) {
  for (const Finding& finding : findings) {
    if (common.json) {
      Json line = {{"type", "finding"}, {"answer", Name(finding.answer)}, {"what", finding.what}};
      if (!finding.way_out.empty()) line["way_out"] = finding.way_out;
      WriteJson(output, line);
      continue;
    }
    const bool no = finding.answer == Answer::kNo;
    const bool yes = finding.answer == Answer::kYes;
    const std::string sign(no ? output.Sign("✗", "x") : yes ? output.Sign("✓", "+") : output.Sign("⚠", "!"));
    output.Line(absl::StrCat(output.Paint(no    ? Style::kError
                                          : yes ? Style::kPlain
                                                : Style::kWarning,
                                          sign),
                             " ", finding.what));
    if (!finding.way_out.empty()) {
      output.Line(absl::StrCat("  ", output.Paint(Style::kRemark, output.Sign("→", "->")), " ", finding.way_out));
    }
  }
}

}  // namespace

int RunDoctor(const DoctorOptions& options, const CommonOptions& common) {
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  std::vector<Finding> findings = CheckInstallation();
  if (!options.target.empty()) {
    // A sound installation is a given here; what is wrong with it decides, too.
    findings.erase(std::remove_if(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.answer == Answer::kYes; }),
                   findings.end());
    int32_t pid = 0;
    const bool is_pid = options.target.size() == 1 && absl::SimpleAtoi(options.target[0], &pid) && pid > 0;
    const std::vector<Finding> more = is_pid ? CheckProcess(pid) : CheckCommand(options.target[0]);
    findings.insert(findings.end(), more.begin(), more.end());
  }
  Print(findings, common, **output);
  if (const absl::Status closed = (*output)->Close(); !closed.ok()) return Trouble(closed);
  return static_cast<int>(Worst(findings));
}

}  // namespace socktale
