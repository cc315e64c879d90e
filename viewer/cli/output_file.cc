// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "proto/foreign_file.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

constexpr size_t kPeekBytes = 4096;

// ---- The temporary file, when a signal ends us -------------------------------------------------------------------

constexpr int kEndingSignals[] = {SIGINT, SIGTERM, SIGHUP};
char removed_on_signal[PATH_MAX];  // a command writes one file; "": none

void RemoveAndEnd(int signal) {
  unlink(removed_on_signal);
  raise(signal);  // the handler is gone by now; delivered when it returns
}

// Sets all ending signals to `handler`, but for those that our caller has us ignore (nohup).
void OnEndingSignals(void (*handler)(int)) {
  for (const int signal : kEndingSignals) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

// path: of our temporary file; "": it has gone, or has its name.
void RemoveOnSignal(const std::string& path) {
  if (path.size() >= sizeof removed_on_signal) return;
  OnEndingSignals(SIG_DFL);
  path.copy(removed_on_signal, path.size());
  removed_on_signal[path.size()] = '\0';
  if (!path.empty()) OnEndingSignals(RemoveAndEnd);
}

absl::Status CannotWrite(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", Printable(path)));
}

// The descriptor of ours that a name under /dev or /proc stands for, -1: none. It is written to as it is: opened anew,
// it would have another position in the file than what others write there.
int DescriptorNamed(absl::string_view path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  int fd = -1;
  const bool named = absl::ConsumePrefix(&path, "/dev/fd/") || absl::ConsumePrefix(&path, "/proc/self/fd/");
  return named && absl::SimpleAtoi(path, &fd) && fd >= 0 ? fd : -1;
}

std::string WithoutLinks(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

}  // namespace

absl::Status RefuseTrace(const std::string& path) {
  // Without waiting for the other end of a pipe.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  char bytes[kPeekBytes];
  const ssize_t n = fd.valid() ? pread(fd.get(), bytes, sizeof bytes, 0) : -1;
  if (n <= 0 || !BeginsATrace({bytes, static_cast<size_t>(n)})) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(Printable(path),
                                                    " is a trace and stays as it is: name another file, or remove it "
                                                    "first"));
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      in_place_(other.in_place_),
      emptied_(other.emptied_),
      mode_(other.mode_),
      fd_(std::move(other.fd_)) {}

OutputFile::~OutputFile() {
  if (temporary_.empty()) return;
  unlink(temporary_.c_str());
  RemoveOnSignal("");
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path, bool growing) {
  struct stat status;
  const bool exists = stat(path.c_str(), &status) == 0;
  const bool regular = !exists || S_ISREG(status.st_mode);
  if (regular) RETURN_IF_ERROR(RefuseTrace(path));
  const int ours = DescriptorNamed(path);
  const bool shared = exists && (status.st_nlink > 1 || status.st_uid != geteuid());
  OutputFile file(WithoutLinks(path), growing || !regular || ours >= 0 || shared);
  if (exists) file.mode_ = status.st_mode & 0777;
  if (!file.in_place_) {
    const size_t slash = file.path_.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : file.path_.substr(0, slash + 1);
    file.in_place_ = access(directory.c_str(), W_OK | X_OK) != 0;
  }
  if (!file.in_place_) return file;
  file.emptied_ = ours >= 0 || !regular;  // nothing there is to go
  file.fd_.reset(ours >= 0 ? fcntl(ours, F_DUPFD_CLOEXEC, 0)
                           : open(file.path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_CREAT : 0), 0600));
  if (!file.fd_.valid()) return CannotWrite(path, errno);
  return file;
}

absl::StatusOr<int> OutputFile::Descriptor() {
  if (in_place_) {
    if (!emptied_ && ftruncate(fd_.get(), 0) != 0) return CannotWrite(path_, errno);
    emptied_ = true;
    return fd_.get();
  }
  if (!fd_.valid()) {
    std::string name = absl::StrCat(path_, ".XXXXXX");
    fd_.reset(mkostemp(name.data(), O_CLOEXEC));
    if (!fd_.valid()) return CannotWrite(path_, errno);
    temporary_ = name;
    RemoveOnSignal(temporary_);
    if (fchmod(fd_.get(), mode_) != 0) return CannotWrite(path_, errno);
  }
  return fd_.get();
}

absl::Status OutputFile::Keep() {
  RETURN_IF_ERROR(Descriptor().status());
  if (in_place_) return absl::OkStatus();
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return CannotWrite(path_, errno);
  temporary_.clear();
  RemoveOnSignal("");
  return absl::OkStatus();
}

}  // namespace socktale
