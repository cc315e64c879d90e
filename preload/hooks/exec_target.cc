// SPDX-License-Identifier: Apache-2.0
//
// Reads the first bytes of the program to be executed with raw system calls: open, one read, perhaps one more for the
// loader's name, close. The descriptor lives for some microseconds, in a process that is about to be replaced or that
// is making another.

#include "preload/hooks/exec_target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale {
namespace {

constexpr int kScriptLevels = 4;  // the kernel follows five files: four scripts and a program
constexpr size_t kLoaderNameBytes = 256;
constexpr long kFaccessat2 = 439;  // since Linux 5.8; on every machine the same

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#endif

struct File {
  explicit File(int directory, const char* path)
      : fd(static_cast<int>(
            RawSyscall(__NR_openat, directory, RawPointer(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))) {}
  ~File() {
    if (fd >= 0) RawSyscall(__NR_close, fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Bytes read at `offset`; 0 or less: none.
  long Read(void* buffer, size_t size, uint64_t offset) const {
    return RawSyscall(__NR_pread64, fd, RawPointer(buffer), static_cast<long>(size), static_cast<long>(offset));
  }

  const int fd;  // or a negated errno
};

// Whether the kernel would run the file with other rights than the process has, so that ld.so ignores LD_PRELOAD.
bool ChangesUser(const struct stat& status) {
  if ((status.st_mode & S_ISUID) && status.st_uid != static_cast<uid_t>(RawSyscall(__NR_geteuid))) return true;
  constexpr mode_t kSetGroup = S_ISGID | S_IXGRP;
  return (status.st_mode & kSetGroup) == kSetGroup && status.st_gid != static_cast<gid_t>(RawSyscall(__NR_getegid));
}

bool Contains(const char* text, size_t size, const char* word) {
  const size_t length = strlen(word);
  for (size_t i = 0; i + length <= size; ++i) {
    if (memcmp(text + i, word, length) == 0) return true;
  }
  return false;
}

// head: the first `size` bytes of an ELF file.
ExecTarget InspectElf(const File& file, const char* head, size_t size) {
  if (static_cast<unsigned char>(head[EI_CLASS]) != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB) {
    return ExecTarget::kHostile;
  }
  Elf64_Ehdr elf;
  if (size < sizeof elf) return ExecTarget::kLoadable;  // the kernel will say ENOEXEC
  memcpy(&elf, head, sizeof elf);
  if (elf.e_machine != kMachine) return ExecTarget::kHostile;
  if (elf.e_phentsize != sizeof(Elf64_Phdr)) return ExecTarget::kLoadable;  // ENOEXEC again
  for (unsigned i = 0; i < elf.e_phnum; ++i) {
    const uint64_t offset = elf.e_phoff + uint64_t{i} * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    if (offset + sizeof segment <= size) {
      memcpy(&segment, head + offset, sizeof segment);
    } else if (file.Read(&segment, sizeof segment, offset) != static_cast<long>(sizeof segment)) {
      return ExecTarget::kLoadable;
    }
    if (segment.p_type != PT_INTERP) continue;
    char loader[kLoaderNameBytes];
    const size_t wanted = segment.p_filesz < sizeof loader ? segment.p_filesz : sizeof loader;
    const long length = file.Read(loader, wanted, segment.p_offset);
    if (length <= 0) return ExecTarget::kLoadable;
    const size_t name = strnlen(loader, static_cast<size_t>(length));
    const bool foreign = Contains(loader, name, "ld-musl") || Contains(loader, name, "/linker64");  // musl, bionic
    return foreign ? ExecTarget::kHostile : ExecTarget::kLoadable;
  }
  return ExecTarget::kDeaf;  // no loader: static, or the loader itself run by hand
}

// Cuts the interpreter's path out of a `#!` line of `size` bytes, in place. Null when there is none.
char* ScriptInterpreter(char* line, size_t size) {
  size_t begin = 2;
  while (begin < size && (line[begin] == ' ' || line[begin] == '\t')) ++begin;
  size_t end = begin;
  while (end < size && line[end] != ' ' && line[end] != '\t' && line[end] != '\n' && line[end] != '\0') ++end;
  if (end == begin || end == size) return nullptr;  // empty, or longer than what the kernel takes
  line[end] = '\0';
  return line + begin;
}

}  // namespace

ExecTarget InspectTarget(int directory, const char* path, InspectScratch& scratch) {
  char* const head = scratch.head;
  for (int level = 0; level <= kScriptLevels; ++level) {
    struct stat status;
    if (RawSyscall(__NR_newfstatat, directory, RawPointer(path), RawPointer(&status), 0) < 0 ||
        !S_ISREG(status.st_mode)) {
      return ExecTarget::kLoadable;  // exec will refuse it; merely opening a device or pipe may have effects
    }
    const File file(directory, path);
    if (file.fd < 0) return ExecTarget::kLoadable;
    const long size = file.Read(head, sizeof scratch.head, 0);
    if (size < 4) return ExecTarget::kLoadable;
    if (memcmp(head, ELFMAG, SELFMAG) == 0) {
      const ExecTarget target =
          size > EI_DATA ? InspectElf(file, head, static_cast<size_t>(size)) : ExecTarget::kLoadable;
      return target == ExecTarget::kLoadable && ChangesUser(status) ? ExecTarget::kDeaf : target;
    }
    if (head[0] != '#' || head[1] != '!') return ExecTarget::kLoadable;  // execvp gives it to /bin/sh
    path = ScriptInterpreter(head, static_cast<size_t>(size));           // stays in head: the next level opens it first
    if (path == nullptr) return ExecTarget::kLoadable;
    directory = AT_FDCWD;
  }
  return ExecTarget::kLoadable;  // ELOOP
}

ExecTarget InspectTargetOnPath(const char* name, InspectScratch& scratch) {
  if (*name == '\0' || strchr(name, '/') != nullptr) return InspectTarget(AT_FDCWD, name, scratch);
  const char* search = "/bin:/usr/bin";  // what execvp takes when PATH is not set
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (strncmp(*entry, "PATH=", 5) == 0) {
      search = *entry + 5;
      break;
    }
  }
  const size_t name_length = strlen(name);
  for (const char* begin = search;;) {
    const char* const end = strchrnul(begin, ':');
    const size_t length = static_cast<size_t>(end - begin);
    char* const candidate = scratch.candidate;
    if (length + 1 + name_length < sizeof scratch.candidate) {
      memcpy(candidate, begin, length);  // an empty directory is the current one: "/name" must not come of it
      size_t at = length;
      if (length > 0) candidate[at++] = '/';
      memcpy(candidate + at, name, name_length + 1);
      struct stat status;
      if (RawSyscall(__NR_stat, RawPointer(candidate), RawPointer(&status)) == 0 && S_ISREG(status.st_mode) &&
          (status.st_mode & 0111) != 0) {
        return InspectTarget(AT_FDCWD, candidate, scratch);
      }
    }
    if (*end == '\0') return ExecTarget::kLoadable;  // found nowhere: the call will fail
    begin = end + 1;
  }
}

ExecTarget InReach(ExecTarget target, const char* shim_path) {
  return target == ExecTarget::kLoadable && !FileIsReadable(shim_path) ? ExecTarget::kHostile : target;
}

bool FileIsReadable(const char* path) {
  const File file(AT_FDCWD, path);
  if (file.fd != -EMFILE && file.fd != -ENFILE) return file.fd >= 0;
  // No descriptor is free to find out by. (Asked second: filters of system calls know open better.)
  const long answer = RawSyscall(kFaccessat2, AT_FDCWD, RawPointer(path), R_OK, AT_EACCESS);
  return answer == 0 || answer == -ENOSYS || answer == -EPERM;
}

}  // namespace socktale
