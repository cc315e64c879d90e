// SPDX-License-Identifier: Apache-2.0
#include "collector/program_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/paths.h"
#include "base/unique_fd.h"
#include "collector/elf_file.h"

namespace socktale {
namespace {

constexpr int kMaxInterpreters = 5;  // as many as the kernel follows

std::vector<std::string> PathDirectories(const std::string& path_variable) {
  std::vector<std::string> directories;
  for (const absl::string_view entry : absl::StrSplit(path_variable, ':')) {
    directories.emplace_back(entry.empty() ? "." : entry);
  }
  return directories;
}

// Whether executing the file gives it more than we have, which makes the loader ignore LD_PRELOAD.
bool GainsPrivileges(const std::string& path, const struct stat& status) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return false;
  struct statvfs system;
  if (statvfs(path.c_str(), &system) == 0 && (system.f_flag & ST_NOSUID) != 0) return false;
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) return true;
  if ((status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0 && status.st_gid != getgid()) return true;
  // For root, file capabilities are nothing to gain.
  return getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

// "#!interpreter argument" of a script: its words; empty when the file is none.
std::vector<std::string> ScriptInterpreter(int fd) {
  char head[256];  // the kernel looks no further
  const ssize_t n = pread(fd, head, sizeof head, 0);
  if (n < 3 || head[0] != '#' || head[1] != '!') return {};
  absl::string_view line(head + 2, static_cast<size_t>(n) - 2);
  line = line.substr(0, line.find('\n'));
  return absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
}

ProgramCheck Verdict(ProgramVerdict verdict, const std::string& path, std::string message, std::string way_out) {
  return {
      .verdict = verdict, .path = path, .decider = path, .message = std::move(message), .way_out = std::move(way_out)};
}

ProgramCheck CheckElf(const ElfFacts& facts, const std::string& path, const std::string& shown) {
  const std::string name = BaseName(shown);
  if (!facts.same_machine) {
    return Verdict(ProgramVerdict::kOtherMachine, path,
                   absl::StrCat(shown, " is a program for another kind of processor (", facts.machine,
                                "); the installed shim is not."),
                   "record its peer instead");
  }
  if (facts.go) {
    return Verdict(ProgramVerdict::kGo, path,
                   absl::StrCat(name, " is a Go program: it calls the kernel without the C library."),
                   "record its peer instead");
  }
  if (facts.interpreter.empty()) {
    return Verdict(ProgramVerdict::kStatic, path,
                   absl::StrCat(name, " is statically linked, so nothing can be preloaded into it."),
                   "build it without -static, or record its peer instead");
  }
  if (absl::StartsWith(BaseName(facts.interpreter), "ld-musl")) {
    return Verdict(ProgramVerdict::kOtherLibc, path,
                   absl::StrCat(shown, " uses musl (", facts.interpreter, "); only the glibc shim is installed."),
                   "build it for glibc, or record its peer instead");
  }
  if (!absl::StartsWith(BaseName(facts.interpreter), "ld-linux")) {
    return Verdict(ProgramVerdict::kOtherLibc, path,
                   absl::StrCat(shown, " is loaded by ", facts.interpreter, "; only the glibc shim is installed."),
                   "record its peer instead");
  }
  if (access(facts.interpreter.c_str(), X_OK) != 0) {
    return Verdict(ProgramVerdict::kBadInterpreter, path,
                   absl::StrCat(shown, " needs the loader ", facts.interpreter, ", which is not there."), "");
  }
  ProgramCheck check = Verdict(ProgramVerdict::kRecordable, path, "", "");
  check.asan = facts.asan;
  return check;
}

ProgramCheck CheckAt(const std::string& path, const std::string& shown, int depth) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno == EACCES) {
      return Verdict(ProgramVerdict::kNoPermission, path,
                     absl::StrCat(shown, ": a directory on the way to it may not be searched by this user."), "");
    }
    return Verdict(ProgramVerdict::kNotFound, "", absl::StrCat(shown, ": no such file."), "");
  }
  if (S_ISDIR(status.st_mode)) {
    return Verdict(ProgramVerdict::kIsDirectory, path, absl::StrCat(shown, " is a directory."), "");
  }
  if (!S_ISREG(status.st_mode)) {
    return Verdict(ProgramVerdict::kNoPermission, path, absl::StrCat(shown, " is not a regular file."), "");
  }
  if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) {
    const bool nobody = (status.st_mode & 0111) == 0;
    return Verdict(ProgramVerdict::kNoPermission, path,
                   absl::StrCat(shown, nobody ? ": no permission to execute it (nobody has it)."
                                              : ": no permission for this user to execute it."),
                   nobody ? absl::StrCat("chmod +x ", shown) : "");
  }
  if (GainsPrivileges(path, status)) {
    return Verdict(
        ProgramVerdict::kGainsPrivileges, path,
        absl::StrCat(shown, " gains privileges when started; the system then ignores preloading."),
        absl::StrCat("a copy without them, if it works so: cp ", path, " . && socktale run ./", BaseName(path)));
  }
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    return Verdict(ProgramVerdict::kUnreadable, path,
                   absl::StrCat(shown, " may not be read, so whether it can be recorded is not known."), "");
  }
  const ElfFacts facts = ReadElfFacts(fd.get());
  if (facts.is_elf) return CheckElf(facts, path, shown);
  const std::vector<std::string> script = ScriptInterpreter(fd.get());
  // What is neither goes to the shell, as execvp does it; or the kernel knows the format (binfmt_misc) and we do not.
  const std::string interpreter = script.empty() ? "/bin/sh" : script[0];
  if (depth == kMaxInterpreters) {
    return Verdict(ProgramVerdict::kBadInterpreter, path, absl::StrCat(shown, ": too many interpreters in a row."), "");
  }
  ProgramCheck check = CheckAt(interpreter, interpreter, depth + 1);
  check.path = path;
  if (check.verdict == ProgramVerdict::kNotFound || check.verdict == ProgramVerdict::kIsDirectory ||
      check.verdict == ProgramVerdict::kNoPermission) {
    check.verdict = ProgramVerdict::kBadInterpreter;
    check.message = absl::StrCat(shown, ": its interpreter cannot be executed: ", check.message);
  }
  return check;
}

// Edits that turn one word into the other; a swap of neighbours is one.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> ProgramCheck::Settings() const {
  if (!asan) return {};
  const char* const own = getenv("ASAN_OPTIONS");  // the last of several settings of one option counts
  const std::string before = own != nullptr && *own != '\0' ? absl::StrCat(own, ":") : "";
  return {absl::StrCat("ASAN_OPTIONS=", before, "verify_asan_link_order=0")};
}

int ProgramCheck::start_status() const {
  switch (verdict) {
    case ProgramVerdict::kNotFound:
      return 127;
    case ProgramVerdict::kIsDirectory:
    case ProgramVerdict::kNoPermission:
    case ProgramVerdict::kBadInterpreter:
      return 126;
    default:
      return 0;
  }
}

const char* ProgramCheck::missing_kind() const {
  switch (verdict) {
    case ProgramVerdict::kStatic:
      return "static";
    case ProgramVerdict::kGo:
      return "go";
    case ProgramVerdict::kGainsPrivileges:
      return "setuid";
    case ProgramVerdict::kOtherLibc:
    case ProgramVerdict::kOtherMachine:
      return "other_libc";
    default:
      return "not_attached";
  }
}

ProgramCheck CheckProgramFile(const std::string& path, const std::string& shown) { return CheckAt(path, shown, 0); }

std::string SearchPath() {
  const char* path = getenv("PATH");
  return path != nullptr ? path : "/bin:/usr/bin";
}

ProgramCheck CheckProgram(const std::string& command, const std::string& path_variable) {
  if (absl::StrContains(command, '/')) return CheckAt(command, command, 0);
  ProgramCheck refused;  // found, but not executable: what execvp reports when nothing better comes
  bool found = false;
  if (!command.empty()) {
    for (const std::string& directory : PathDirectories(path_variable)) {
      const std::string path = absl::StrCat(directory, "/", command);
      ProgramCheck check = CheckAt(path, path, 0);
      if (check.verdict == ProgramVerdict::kNotFound) continue;
      if (check.verdict != ProgramVerdict::kNoPermission && check.verdict != ProgramVerdict::kIsDirectory) return check;
      if (!found) refused = std::move(check);
      found = true;
    }
  }
  if (found) return refused;
  std::string message = absl::StrCat(command, ": not found in PATH.");
  if (access(command.c_str(), X_OK) == 0 && !command.empty()) {
    absl::StrAppend(&message, " Did you mean ./", command, "?");
  } else if (const std::string nearest = NearestCommand(command, path_variable); !nearest.empty()) {
    absl::StrAppend(&message, " Did you mean ", nearest, "?");
  }
  return Verdict(ProgramVerdict::kNotFound, "", std::move(message), "");
}

std::string NearestCommand(const std::string& command, const std::string& path_variable) {
  std::string nearest;
  // A third of the letters may be wrong, two at most.
  size_t best = std::min<size_t>(2, command.size() / 3 + (command.size() == 2)) + 1;
  for (const std::string& directory : PathDirectories(path_variable)) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
    if (entries == nullptr) continue;
    while (const dirent* entry = readdir(entries.get())) {
      const absl::string_view name = entry->d_name;
      if (name.size() + best <= command.size() || command.size() + best <= name.size()) continue;
      const size_t distance = Distance(command, name);
      if (distance > best || (distance == best && (nearest.empty() || name >= nearest))) continue;
      if (access(absl::StrCat(directory, "/", entry->d_name).c_str(), X_OK) != 0) continue;
      best = distance;
      nearest = std::string(name);
    }
  }
  return nearest;
}

}  // namespace socktale
