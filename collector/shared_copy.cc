// SPDX-License-Identifier: Apache-2.0
#include "collector/shared_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_io.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "collector/errno_status.h"

namespace socktale {
namespace {

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status;
  if (!file.valid() || fstat(file.get(), &status) != 0) return ErrnoStatus(path);
  if (!S_ISREG(status.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, ": not a file"));
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  const int64_t got = ReadAt(file.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return ErrnoStatus(path);
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

// A directory that all may look into and this user alone may change.
absl::Status EnsureSharedDirectory(const std::string& path) {
  // Right from the start: another collector may look at it at once.
  const mode_t before = umask(0);
  const int made = mkdir(path.c_str(), 0755);
  const int error = errno;
  umask(before);
  if (made != 0 && error != EEXIST) return ErrnoStatus(path, error);
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return ErrnoStatus(path);
  if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 0777) != 0755) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": not a directory of this user that all can read (mode 0755)"));
  }
  return absl::OkStatus();
}

// Puts `bytes` at `path` as a whole: a program that starts meanwhile finds the old file or the new one.
absl::Status Replace(const std::string& path, std::string& bytes) {
  std::string name = path + ".XXXXXX";
  const UniqueFd file(mkostemp(name.data(), O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(name);
  iovec piece = {bytes.data(), bytes.size()};
  absl::Status status;
  if (const int error = WriteAt(file.get(), absl::MakeSpan(&piece, 1), 0); error != 0) {
    errno = error;
    status = ErrnoStatus(name);
  } else if (fchmod(file.get(), 0644) != 0 || rename(name.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(path);
  }
  if (!status.ok()) unlink(name.c_str());
  return status;
}

}  // namespace

bool ReadableByAll(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return false;
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/', slash - 1)) {
    if (stat(path.substr(0, slash).c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
  }
  return true;
}

absl::StatusOr<std::string> SharedCopy(const std::string& file, const std::string& folder) {
  ASSIGN_OR_RETURN(std::string bytes, ReadWhole(file));
  RETURN_IF_ERROR(EnsureSharedDirectory(folder));
  const std::string own = absl::StrCat(folder, "/shim-", absl::Hex(std::hash<std::string>()(file), absl::kZeroPad16));
  RETURN_IF_ERROR(EnsureSharedDirectory(own));
  struct statvfs system;
  if (statvfs(own.c_str(), &system) == 0 && (system.f_flag & ST_NOEXEC) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(own, ": nothing can be executed there (mounted noexec)"));
  }
  std::string copy = absl::StrCat(own, file.substr(file.rfind('/')));
  const absl::StatusOr<std::string> present = ReadWhole(copy);
  if (!present.ok() || *present != bytes || !ReadableByAll(copy)) RETURN_IF_ERROR(Replace(copy, bytes));
  return copy;
}

}  // namespace socktale
