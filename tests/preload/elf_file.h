// SPDX-License-Identifier: Apache-2.0
//
// What the dynamic loader sees of a 64-bit ELF file: needed libraries, exported and imported symbols, relocations.

#ifndef SOCKTALE_TESTS_PRELOAD_ELF_FILE_H_
#define SOCKTALE_TESTS_PRELOAD_ELF_FILE_H_

#include <elf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace socktale {

struct ElfSymbol {
  std::string name;
  std::string version;  // "GLIBC_2.2.5"; empty: unversioned
  unsigned char type;   // STT_FUNC, STT_TLS, …
  bool defined;
};

class ElfFile {
 public:
  // Throws std::runtime_error naming the file and what is wrong with it.
  explicit ElfFile(const std::string& path);

  std::vector<std::string> needed() const;
  std::vector<ElfSymbol> symbols() const;  // of the dynamic symbol table, without its first, empty one
  // Relocations of the given type (R_X86_64_…) in DT_RELA and DT_JMPREL.
  int Relocations(uint32_t type) const;
  // Value of the first dynamic entry with `tag`.
  std::optional<uint64_t> Dynamic(int64_t tag) const;
  bool HasWritableCode() const;  // a loadable segment that is both writable and executable

 private:
  template <typename T>
  T At(uint64_t offset) const;
  std::string StringAt(uint64_t offset) const;
  uint64_t Offset(uint64_t address) const;
  uint64_t SymbolCount() const;
  std::string VersionOf(uint16_t index) const;

  std::string path_;
  std::string bytes_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Dyn> dynamic_;
};

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_ELF_FILE_H_
