// SPDX-License-Identifier: Apache-2.0
#include "collector/elf_file.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace socktale {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kOwnMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kOwnMachine = EM_AARCH64;
#else
#error "name this processor's EM_ constant"
#endif

// A damaged file may claim any number of headers.
constexpr size_t kMaxHeaders = 4096;
constexpr size_t kMaxNames = 1 << 20;
constexpr size_t kMaxInterpreter = 4096;
constexpr size_t kMaxLibraryName = 255;

bool ReadAt(int fd, uint64_t offset, void* out, size_t size) {
  return offset <= INT64_MAX && pread(fd, out, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

std::string MachineName(const unsigned char* ident, uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "32-bit x86";
    case EM_X86_64:
      return ident[EI_CLASS] == ELFCLASS32 ? "x32" : "x86-64";
    case EM_ARM:
      return "32-bit ARM";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC";
    case EM_S390:
      return "s390";
    default:
      return absl::StrCat("processor ", machine);
  }
}

// Go marks its programs by a section, which stripping leaves in place.
bool HasGoSection(int fd, const Elf64_Ehdr& header) {
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shstrndx >= header.e_shnum) {
    return false;
  }
  Elf64_Shdr names;
  if (!ReadAt(fd, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr), &names, sizeof names)) return false;
  std::string text(std::min<uint64_t>(names.sh_size, kMaxNames), '\0');
  if (!ReadAt(fd, names.sh_offset, text.data(), text.size())) return false;
  const absl::string_view all(text);
  for (const absl::string_view name : {".go.buildinfo", ".note.go.buildid", ".gopclntab"}) {
    if (all.find(name) != absl::string_view::npos) return true;
  }
  return false;
}

// The name of the first library in the dynamic section; empty when it has none. segments: all of the file's.
std::string FirstLibrary(int fd, const std::vector<Elf64_Phdr>& segments) {
  const auto dynamic = std::find_if(segments.begin(), segments.end(),
                                    [](const Elf64_Phdr& segment) { return segment.p_type == PT_DYNAMIC; });
  if (dynamic == segments.end()) return "";
  constexpr uint64_t kNone = UINT64_MAX;
  uint64_t name = kNone;
  uint64_t strings = kNone;
  const uint64_t count = std::min<uint64_t>(dynamic->p_filesz / sizeof(Elf64_Dyn), kMaxHeaders);
  for (uint64_t i = 0; i < count; ++i) {
    Elf64_Dyn entry;
    if (!ReadAt(fd, dynamic->p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_NEEDED && name == kNone) name = entry.d_un.d_val;
    if (entry.d_tag == DT_STRTAB) strings = entry.d_un.d_ptr;
  }
  if (name == kNone || strings == kNone) return "";
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || strings < segment.p_vaddr || strings - segment.p_vaddr >= segment.p_filesz)
      continue;
    char library[kMaxLibraryName + 1] = {};
    const uint64_t at = segment.p_offset + (strings - segment.p_vaddr) + name;
    if (at > INT64_MAX || pread(fd, library, kMaxLibraryName, static_cast<off_t>(at)) <= 0) return "";
    return library;
  }
  return "";
}

}  // namespace

ElfFacts ReadElfFacts(int fd) {
  ElfFacts facts;
  Elf64_Ehdr header;
  unsigned char ident[EI_NIDENT + 4];
  if (!ReadAt(fd, 0, ident, sizeof ident) || std::memcmp(ident, ELFMAG, SELFMAG) != 0) return facts;
  facts.is_elf = true;
  uint16_t machine;  // stands at the same place in both classes
  std::memcpy(&machine, ident + EI_NIDENT + 2, sizeof machine);
  facts.same_machine = ident[EI_CLASS] == ELFCLASS64 && ident[EI_DATA] == ELFDATA2LSB && machine == kOwnMachine;
  if (!facts.same_machine) {
    if (ident[EI_DATA] == ELFDATA2MSB) machine = static_cast<uint16_t>(machine << 8 | machine >> 8);
    facts.machine = MachineName(ident, machine);
    return facts;
  }
  if (!ReadAt(fd, 0, &header, sizeof header) || header.e_phentsize != sizeof(Elf64_Phdr)) return facts;
  std::vector<Elf64_Phdr> segments;
  for (size_t i = 0; i < std::min<size_t>(header.e_phnum, kMaxHeaders); ++i) {
    Elf64_Phdr segment;
    if (!ReadAt(fd, header.e_phoff + i * sizeof segment, &segment, sizeof segment)) break;
    segments.push_back(segment);
    if (segment.p_type != PT_INTERP) continue;
    facts.interpreter.resize(std::min<uint64_t>(segment.p_filesz, kMaxInterpreter));
    if (!ReadAt(fd, segment.p_offset, facts.interpreter.data(), facts.interpreter.size())) facts.interpreter.clear();
    facts.interpreter.resize(std::strlen(facts.interpreter.c_str()));
  }
  facts.asan = FirstLibrary(fd, segments).starts_with("libasan.so");
  facts.go = HasGoSection(fd, header);
  return facts;
}

}  // namespace socktale
