// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/session_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file_io.h"
#include "base/status_macros.h"
#include "viewer/cli/library.h"

namespace socktale {
namespace {

constexpr char kSuffix[] = ".session";
constexpr char kTraceKey[] = "trace=";
constexpr char kDefaultName[] = "collect";
constexpr int kMostDefaultNames = 1000;
constexpr size_t kMaxFileBytes = 64 << 10;

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::strchr("._-", c) != nullptr;
         });
}

// Reads the file if its collector lives: then the lock cannot be had. A dead one's file is removed.
bool ReadSession(const std::string& path, NamedSession& session, timespec& began) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return false;
  if (flock(fd.get(), LOCK_SH | LOCK_NB) == 0) {
    unlink(path.c_str());
    return false;
  }
  struct stat status;
  std::string text(kMaxFileBytes, '\0');
  const int64_t size = ReadAt(fd.get(), text.data(), text.size(), 0);
  if (size <= 0 || fstat(fd.get(), &status) != 0 || status.st_uid != geteuid()) return false;
  text.resize(static_cast<size_t>(size));
  session.environment.clear();
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::string_view value = line;
    if (absl::ConsumePrefix(&value, kTraceKey)) {
      session.trace_path = std::string(value);
    } else {
      session.environment.emplace_back(line);
    }
  }
  began = status.st_mtim;
  return !session.environment.empty();
}

}  // namespace

absl::StatusOr<SessionName> SessionName::Take(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string directory, RuntimeDirectory());
  if (!name.empty()) {
    if (!IsName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--name ", name, ": letters, digits, '.', '_' and '-' make a name, 64 of them at most"));
    }
    return TakeExactly(directory, name);
  }
  absl::StatusOr<SessionName> taken = TakeExactly(directory, kDefaultName);
  for (int n = 2; absl::IsAlreadyExists(taken.status()) && n < kMostDefaultNames; ++n) {
    taken = TakeExactly(directory, absl::StrCat(kDefaultName, "-", n));
  }
  return taken;
}

absl::StatusOr<SessionName> SessionName::TakeExactly(const std::string& directory, const std::string& name) {
  const std::string path = absl::StrCat(directory, "/", name, kSuffix);
  for (;;) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      return absl::AlreadyExistsError(absl::StrCat("a collect named ", name, " is running; choose another --name"));
    }
    // Its last owner may have removed the file between our open and our lock.
    struct stat ours, named;
    if (fstat(fd.get(), &ours) != 0 || stat(path.c_str(), &named) != 0 || ours.st_ino != named.st_ino) continue;
    SessionName taken;
    taken.name_ = name;
    taken.path_ = path;
    taken.fd_ = std::move(fd);
    return taken;
  }
}

SessionName::~SessionName() {
  if (fd_.valid()) unlink(path_.c_str());
}

absl::Status SessionName::Publish(const std::string& trace_path, const std::vector<std::string>& environment) const {
  std::string text = absl::StrCat(kTraceKey, trace_path, "\n", absl::StrJoin(environment, "\n"), "\n");
  iovec piece = {.iov_base = text.data(), .iov_len = text.size()};
  if (ftruncate(fd_.get(), 0) != 0) return absl::UnavailableError(absl::StrCat(path_, ": ", std::strerror(errno)));
  if (const int error = WriteAt(fd_.get(), absl::MakeSpan(&piece, 1), 0); error != 0) {
    return absl::UnavailableError(absl::StrCat(path_, ": ", std::strerror(error)));
  }
  return absl::OkStatus();
}

absl::StatusOr<NamedSession> FindSession(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string directory, RuntimeDirectory());
  std::vector<std::string> names;
  NamedSession found, session;
  timespec latest = {}, began = {};
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  while (const dirent* entry = entries == nullptr ? nullptr : readdir(entries.get())) {
    absl::string_view stem = entry->d_name;
    if (!absl::ConsumeSuffix(&stem, kSuffix)) continue;
    if (!ReadSession(absl::StrCat(directory, "/", entry->d_name), session, began)) continue;
    session.name = std::string(stem);
    names.push_back(session.name);
    if (name.empty() ? std::tie(began.tv_sec, began.tv_nsec) >= std::tie(latest.tv_sec, latest.tv_nsec)
                     : session.name == name) {
      latest = began;
      found = session;
    }
  }
  if (!found.name.empty()) return found;
  if (names.empty())
    return absl::NotFoundError("no collect is running; start one in another terminal: socktale collect");
  std::sort(names.begin(), names.end());
  return absl::NotFoundError(
      absl::StrCat("no collect named ", name, " is running; there is ", absl::StrJoin(names, ", ")));
}

}  // namespace socktale
