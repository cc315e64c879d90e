// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/library.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/paths.h"
#include "base/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"
#include "viewer/cli/common.h"

namespace socktale {
namespace {

constexpr char kSuffix[] = ".tale";
// The header block stands at the start of the file and holds little more than the command line.
constexpr size_t kHeaderPeekBytes = 256 << 10;

std::string ErrorText() { return std::strerror(errno); }

bool IsDirectory(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool IsFile(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

absl::StatusOr<std::string> Absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  char cwd[PATH_MAX];
  if (getcwd(cwd, sizeof cwd) == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("the working directory cannot be named: ", ErrorText()));
  }
  return absl::StrCat(cwd, "/", path);
}

// mkdir -p with mode 0700: traces hold what programs sent.
absl::Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && !IsDirectory(part)) {
      return absl::PermissionDeniedError(absl::StrCat(part, ": cannot make this directory: ", ErrorText()));
    }
    if (slash == std::string::npos) break;
  }
  if (!IsDirectory(path)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  return absl::OkStatus();
}

// What a trace of `command` is called, without its number: only characters that need no quoting in a shell.
std::string CommandName(const std::vector<std::string>& command) {
  std::string name = command.empty() ? "collect" : BaseName(command[0]);
  name.resize(std::min<size_t>(name.size(), 64));
  for (char& c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::strchr("._+-", c) != nullptr;
    if (!plain) c = '_';
  }
  if (name.empty()) name = "trace";
  if (name[0] == '.' || name[0] == '-') name[0] = '_';
  return name;
}

// The file's name without .tale or .tale.part; false when it is no trace's name.
bool SplitTraceFileName(absl::string_view file, std::string& name, bool& part) {
  part = absl::ConsumeSuffix(&file, kPartSuffix);
  if (!absl::ConsumeSuffix(&file, kSuffix) || file.empty()) return false;
  name = std::string(file);
  return true;
}

absl::Status ForEachTraceFile(const std::string& directory, const std::function<void(const LibraryEntry&)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) {
    if (errno == ENOENT) return absl::OkStatus();
    return absl::PermissionDeniedError(absl::StrCat(directory, ": ", ErrorText()));
  }
  while (const dirent* file = readdir(entries.get())) {
    LibraryEntry entry;
    if (!SplitTraceFileName(file->d_name, entry.name, entry.part)) continue;
    entry.path = absl::StrCat(directory, "/", file->d_name);
    visit(entry);
  }
  return absl::OkStatus();
}

// One more than the greatest N of all CMD-N in the directory: a number freed in the middle is not used again, so the
// greatest is always the newest.
absl::StatusOr<std::string> NextInDirectory(const std::string& directory, const std::vector<std::string>& command) {
  const std::string stem = absl::StrCat(CommandName(command), "-");
  uint64_t greatest = 0;
  RETURN_IF_ERROR(ForEachTraceFile(directory, [&](const LibraryEntry& entry) {
    absl::string_view number = entry.name;
    uint64_t n = 0;
    if (absl::ConsumePrefix(&number, stem) && absl::SimpleAtoi(number, &n)) greatest = std::max(greatest, n);
  }));
  return absl::StrCat(directory, "/", stem, greatest + 1, kSuffix);
}

absl::StatusOr<std::string> Expand(const std::string& output_template, const std::vector<std::string>& command) {
  std::string path;
  for (size_t i = 0; i < output_template.size(); ++i) {
    if (output_template[i] != '%') {
      path += output_template[i];
      continue;
    }
    const char what = i + 1 < output_template.size() ? output_template[++i] : '\0';
    if (what == '%') {
      path += '%';
    } else if (what == 'c') {
      path += CommandName(command);
    } else if (what == 'p') {
      absl::StrAppend(&path, getpid());
    } else if (what == 't') {
      const time_t now = time(nullptr);
      tm local;
      char text[32];
      localtime_r(&now, &local);
      path.append(text, strftime(text, sizeof text, "%Y%m%d-%H%M%S", &local));
    } else if (what == 'h') {
      char host[256] = "";
      if (gethostname(host, sizeof host - 1) != 0) return absl::InternalError("the host has no name for %h");
      path += host;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("-o ", output_template, ": '%", std::string(what != 0, what),
                       "' is not known; %c command, %p pid, %t time, %h host, %% percent"));
    }
  }
  return path;
}

// When the recording began, from the file's first block; 0 when that cannot be read.
uint64_t PeekStart(const std::string& path) {
  // Without waiting for the other end of a pipe, which has no place to read at and is no trace.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return 0;
  std::string bytes(kHeaderPeekBytes, '\0');
  const ssize_t n = pread(fd.get(), bytes.data(), bytes.size(), 0);
  if (n <= 0) return 0;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(n));
  uint32_t size = 0;
  constexpr uint32_t kBlockTag = 1 << 3 | 2;
  if (input.ReadTag() != kBlockTag || !input.ReadVarint32(&size) || size > static_cast<uint32_t>(n)) return 0;
  const auto limit = input.PushLimit(static_cast<int>(size));
  Block block;
  TraceHeader header;
  const bool read = block.ParseFromCodedStream(&input) && block.header().kind() == BLOCK_KIND_HEADER &&
                    block.header().codec() == CODEC_RAW && header.ParseFromString(block.payload());
  input.PopLimit(limit);
  return read ? header.start_wall_ns() : 0;
}

uint64_t ModifiedNs(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return 0;
  return static_cast<uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(status.st_mtim.tv_nsec);
}

// Copies stdin, which cannot be read out of order, to a file without a name.
absl::StatusOr<ResolvedTrace> FromStdin() {
  struct stat status;
  if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode)) {
    return ResolvedTrace{"/proc/self/fd/0", "stdin", UniqueFd()};
  }
  const char* directory = getenv("TMPDIR");
  std::string path = absl::StrCat(directory != nullptr && *directory != '\0' ? directory : "/tmp", "/socktale-XXXXXX");
  UniqueFd copy(mkostemp(path.data(), O_CLOEXEC));
  if (!copy.valid()) return absl::UnavailableError(absl::StrCat(path, ": ", ErrorText()));
  unlink(path.c_str());
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t n = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnavailableError(absl::StrCat("stdin: ", ErrorText()));
    for (ssize_t done = 0; done < n;) {
      const ssize_t written = write(copy.get(), buffer.data() + done, static_cast<size_t>(n - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return absl::ResourceExhaustedError(absl::StrCat("copying stdin to ", path, ": ", ErrorText()));
      done += written;
    }
  }
  return ResolvedTrace{absl::StrCat("/proc/self/fd/", copy.get()), "stdin", std::move(copy)};
}

// `path` as given, or with the suffixes a user need not type; empty when there is no such file.
std::string FindFile(const std::string& path) {
  for (const char* suffix : {"", ".tale", ".part", ".tale.part"}) {
    if (IsFile(path + suffix)) return path + suffix;
  }
  return "";
}

absl::Status NoSuchTrace(const std::string& argument, const std::vector<LibraryEntry>& entries) {
  std::vector<std::string> names;
  for (const LibraryEntry& entry : entries) names.push_back(entry.name);
  const std::string nearest = NearestWord(argument, names);
  return absl::NotFoundError(nearest.empty() ? absl::StrCat(argument, ": no such trace; socktale ls lists them")
                                             : absl::StrCat(argument, ": no such trace. Did you mean ", nearest, "?"));
}

}  // namespace

absl::StatusOr<std::string> LibraryDirectory() {
  if (const char* state = getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return absl::StrCat(state, "/socktale");
  }
  const char* home = getenv("HOME");
  if (home == nullptr || *home != '/') {
    const passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  if (home == nullptr || *home != '/') {
    return absl::FailedPreconditionError(
        "neither XDG_STATE_HOME nor HOME is set, so traces have no place: give one with -o FILE, or set HOME");
  }
  return absl::StrCat(home, "/.local/state/socktale");
}

absl::StatusOr<std::string> RuntimeDirectory() {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  const bool given = runtime != nullptr && *runtime == '/' && IsDirectory(runtime);
  const std::string path = given ? absl::StrCat(runtime, "/socktale") : absl::StrCat("/tmp/socktale-", getuid());
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": cannot make this directory: ", ErrorText()));
  }
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != getuid() ||
      (status.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, " is not a directory of yours alone: remove it, or set XDG_RUNTIME_DIR"));
  }
  return path;
}

absl::StatusOr<std::string> NewTracePath(const std::vector<std::string>& command, const std::string& output_template) {
  if (output_template.empty()) {
    ASSIGN_OR_RETURN(const std::string library, LibraryDirectory());
    RETURN_IF_ERROR(MakeDirectories(library));
    return NextInDirectory(library, command);
  }
  if (output_template == "-") {
    return absl::InvalidArgumentError("a trace cannot be written to stdout: -o needs a file's name");
  }
  const absl::StatusOr<std::string> expanded = Expand(output_template, command);
  if (!expanded.ok()) return expanded.status();
  ASSIGN_OR_RETURN(const std::string path, Absolute(*expanded));
  const size_t slash = path.rfind('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  // The last directory only: a mistyped path should be an error and not a tree of new directories.
  if (!IsDirectory(directory) && mkdir(directory.c_str(), 0700) != 0) {
    return absl::NotFoundError(absl::StrCat(directory, ": cannot make this directory: ", ErrorText()));
  }
  if (slash + 1 == path.size()) return NextInDirectory(directory, command);
  if (IsDirectory(path)) return NextInDirectory(path, command);
  return path;
}

absl::StatusOr<bool> IsFirstTime(const std::string& what) {
  ASSIGN_OR_RETURN(const std::string library, LibraryDirectory());
  RETURN_IF_ERROR(MakeDirectories(library));
  const std::string mark = absl::StrCat(library, "/.", what);
  const UniqueFd made(open(mark.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (made.valid() || errno == EEXIST) return made.valid();
  return absl::UnavailableError(absl::StrCat(mark, ": ", ErrorText()));
}

absl::StatusOr<std::vector<LibraryEntry>> ListLibrary() {
  ASSIGN_OR_RETURN(const std::string library, LibraryDirectory());
  std::vector<LibraryEntry> entries;
  RETURN_IF_ERROR(ForEachTraceFile(library, [&entries](const LibraryEntry& entry) {
    entries.push_back(entry);
    const uint64_t start = PeekStart(entry.path);
    entries.back().start_wall_ns = start != 0 ? start : ModifiedNs(entry.path);
  }));
  std::sort(entries.begin(), entries.end(), [](const LibraryEntry& a, const LibraryEntry& b) {
    return a.start_wall_ns != b.start_wall_ns ? a.start_wall_ns > b.start_wall_ns : a.name < b.name;
  });
  return entries;
}

absl::StatusOr<ResolvedTrace> ResolveTrace(const std::string& argument) {
  if (argument == "-") return FromStdin();
  // What looks like a path is one; a bare word may also be a file here, but a name of the library comes first.
  if (absl::StrContains(argument, '/') || absl::EndsWith(argument, kSuffix) || absl::EndsWith(argument, kPartSuffix)) {
    if (const std::string found = FindFile(argument); !found.empty()) {
      return ResolvedTrace{found, TraceName(found), UniqueFd()};
    }
    if (IsDirectory(argument)) return absl::InvalidArgumentError(absl::StrCat(argument, ": is a directory"));
    if (absl::StrContains(argument, '/')) return absl::NotFoundError(absl::StrCat(argument, ": no such file"));
  }
  ASSIGN_OR_RETURN(const std::vector<LibraryEntry> entries, ListLibrary());
  if (argument.empty() || argument[0] == '@') {
    size_t back = 0;
    if (argument.size() > 1 && !absl::SimpleAtoi(argument.substr(1), &back)) {
      return absl::InvalidArgumentError(
          absl::StrCat(argument, ": not a trace; @ is the latest, @1 the one before, and so on"));
    }
    if (entries.empty()) return absl::NotFoundError("there are no traces yet; record one: socktale run CMD");
    if (back >= entries.size()) {
      return absl::NotFoundError(
          absl::StrCat(argument, ": there ",
                       entries.size() == 1 ? "is only 1 trace" : absl::StrCat("are only ", entries.size(), " traces")));
    }
    return ResolvedTrace{entries[back].path, entries[back].name, UniqueFd()};
  }
  for (const LibraryEntry& entry : entries) {
    if (argument == entry.name || argument == BaseName(entry.path)) {
      return ResolvedTrace{entry.path, entry.name, UniqueFd()};
    }
  }
  if (const std::string found = FindFile(argument); !found.empty()) {
    return ResolvedTrace{found, TraceName(found), UniqueFd()};
  }
  return NoSuchTrace(argument, entries);
}

absl::StatusOr<NamedTrace> OpenNamedTrace(const std::string& argument) {
  ASSIGN_OR_RETURN(ResolvedTrace resolved, ResolveTrace(argument));
  absl::StatusOr<Trace> trace = Trace::Open(resolved.path);
  if (trace.ok()) return NamedTrace{*std::move(trace), resolved.path, resolved.name, std::move(resolved.keep)};
  absl::string_view words = trace.status().message();
  // The file that stands for standard input is of no interest.
  if (resolved.name != resolved.path) absl::ConsumePrefix(&words, absl::StrCat(resolved.path, ": "));
  if (absl::StrContains(words, resolved.name)) return absl::Status(trace.status().code(), words);
  return absl::Status(trace.status().code(), absl::StrCat(resolved.name, ": ", words));
}

std::string TraceName(const std::string& path) {
  const absl::StatusOr<std::string> library = LibraryDirectory();
  const size_t slash = path.rfind('/');
  std::string name;
  bool part = false;
  if (library.ok() && slash != std::string::npos && path.substr(0, slash) == *library &&
      SplitTraceFileName(path.substr(slash + 1), name, part)) {
    return name;
  }
  return path;
}

}  // namespace socktale
