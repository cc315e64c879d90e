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

#include "preload/confinement.h"
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

// The headers of an ELF file, of which the first `size` bytes stand in `head`.
struct Headers {
  const File& file;
  const char* head;
  size_t size;
  Elf64_Ehdr elf;

  bool Get(unsigned number, Elf64_Phdr& segment) const {
    const uint64_t offset = elf.e_phoff + uint64_t{number} * sizeof segment;
    if (offset + sizeof segment > size) {
      return file.Read(&segment, sizeof segment, offset) == static_cast<long>(sizeof segment);
    }
    memcpy(&segment, head + offset, sizeof segment);
    return true;
  }
};

// Whether the first library that the program needs is gcc's libasan: that is where it has to stand. scratch: room for
// the dynamic section's beginning, where the libraries are.
bool NeedsAsan(const Headers& headers, const Elf64_Phdr& dynamic, InspectScratch& scratch) {
  constexpr uint64_t kNone = ~uint64_t{0};
  auto* const entries = reinterpret_cast<Elf64_Dyn*>(scratch.candidate);
  const size_t wanted = dynamic.p_filesz < sizeof scratch.candidate ? dynamic.p_filesz : sizeof scratch.candidate;
  const long got = headers.file.Read(entries, wanted, dynamic.p_offset);
  if (got <= 0) return false;
  uint64_t name = kNone;
  uint64_t strings = kNone;
  for (size_t i = 0; i < static_cast<size_t>(got) / sizeof *entries && entries[i].d_tag != DT_NULL; ++i) {
    if (entries[i].d_tag == DT_NEEDED && name == kNone) name = entries[i].d_un.d_val;
    if (entries[i].d_tag == DT_STRTAB) strings = entries[i].d_un.d_ptr;
  }
  if (name == kNone || strings == kNone) return false;
  for (unsigned i = 0; i < headers.elf.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!headers.Get(i, segment)) return false;
    if (segment.p_type != PT_LOAD || strings < segment.p_vaddr || strings - segment.p_vaddr >= segment.p_filesz)
      continue;
    constexpr char kAsan[] = "libasan.so";
    char library[sizeof kAsan - 1];
    return headers.file.Read(library, sizeof library, segment.p_offset + (strings - segment.p_vaddr) + name) ==
               static_cast<long>(sizeof library) &&
           memcmp(library, kAsan, sizeof library) == 0;
  }
  return false;
}

// The file's first `size` bytes stand in scratch.head.
ExecTarget InspectElf(const File& file, size_t size, InspectScratch& scratch) {
  const char* const head = scratch.head;
  if (static_cast<unsigned char>(head[EI_CLASS]) != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB) {
    return ExecTarget::kHostile;
  }
  Elf64_Ehdr elf;
  if (size < sizeof elf) return ExecTarget::kLoadable;  // the kernel will say ENOEXEC
  memcpy(&elf, head, sizeof elf);
  if (elf.e_machine != kMachine) return ExecTarget::kHostile;
  if (elf.e_phentsize != sizeof(Elf64_Phdr)) return ExecTarget::kLoadable;  // ENOEXEC again
  const Headers headers = {file, head, size, elf};
  bool has_loader = false;
  Elf64_Phdr dynamic = {};
  for (unsigned i = 0; i < elf.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!headers.Get(i, segment)) return ExecTarget::kLoadable;
    if (segment.p_type == PT_DYNAMIC) dynamic = segment;
    if (segment.p_type != PT_INTERP) continue;
    has_loader = true;
    char loader[kLoaderNameBytes];
    const size_t wanted = segment.p_filesz < sizeof loader ? segment.p_filesz : sizeof loader;
    const long length = file.Read(loader, wanted, segment.p_offset);
    if (length <= 0) return ExecTarget::kLoadable;
    const size_t name = strnlen(loader, static_cast<size_t>(length));
    const bool foreign = Contains(loader, name, "ld-musl") || Contains(loader, name, "/linker64");  // musl, bionic
    if (foreign) return ExecTarget::kHostile;
  }
  if (!has_loader) return ExecTarget::kDeaf;  // static, or the loader itself run by hand
  const bool asan = dynamic.p_type == PT_DYNAMIC && NeedsAsan(headers, dynamic, scratch);
  return asan ? ExecTarget::kLoadableAsan : ExecTarget::kLoadable;
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
          size > EI_DATA ? InspectElf(file, static_cast<size_t>(size), scratch) : ExecTarget::kLoadable;
      return IsLoadable(target) && ChangesUser(status) ? ExecTarget::kDeaf : target;
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
  return IsLoadable(target) && !FileIsReadable(shim_path) ? ExecTarget::kHostile : target;
}

bool FileIsReadable(const char* path) {
  const File file(AT_FDCWD, path);
  if (file.fd != -EMFILE && file.fd != -ENFILE) return file.fd >= 0;
  // No descriptor is free to find out by. (Asked second: filters of system calls know open better.)
  const long answer = RawSyscall(kFaccessat2, AT_FDCWD, RawPointer(path), R_OK, AT_EACCESS);
  return answer == 0 || answer == -ENOSYS || answer == -EPERM;
}

}  // namespace socktale
