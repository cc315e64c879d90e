// SPDX-License-Identifier: Apache-2.0

#include "tests/preload/elf_file.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace socktale {

ElfFile::ElfFile(const std::string& path) : path_(path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be opened");
  bytes_.assign(std::istreambuf_iterator<char>(in), {});
  const auto header = At<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    throw std::runtime_error(path + ": not a 64-bit ELF file");
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    segments_.push_back(At<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr)));
  }
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_DYNAMIC) continue;
    for (uint64_t at = 0; at < segment.p_filesz; at += sizeof(Elf64_Dyn)) {
      dynamic_.push_back(At<Elf64_Dyn>(segment.p_offset + at));
      if (dynamic_.back().d_tag == DT_NULL) break;
    }
  }
  if (dynamic_.empty()) throw std::runtime_error(path + ": no dynamic section");
}

template <typename T>
T ElfFile::At(uint64_t offset) const {
  if (offset > bytes_.size() || sizeof(T) > bytes_.size() - offset) {
    throw std::runtime_error(path_ + ": cut short at byte " + std::to_string(offset));
  }
  T value;
  std::memcpy(&value, bytes_.data() + offset, sizeof value);
  return value;
}

std::string ElfFile::StringAt(uint64_t offset) const {
  const uint64_t begin = Offset(Dynamic(DT_STRTAB).value()) + offset;
  const size_t end = bytes_.find('\0', begin);
  if (end == std::string::npos) throw std::runtime_error(path_ + ": a string runs out of the file");
  return bytes_.substr(begin, end - begin);
}

uint64_t ElfFile::Offset(uint64_t address) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address < segment.p_vaddr + segment.p_filesz) {
      return address - segment.p_vaddr + segment.p_offset;
    }
  }
  throw std::runtime_error(path_ + ": no segment holds address " + std::to_string(address));
}

std::optional<uint64_t> ElfFile::Dynamic(int64_t tag) const {
  for (const Elf64_Dyn& entry : dynamic_) {
    if (entry.d_tag == tag) return entry.d_un.d_val;
  }
  return std::nullopt;
}

std::vector<std::string> ElfFile::needed() const {
  std::vector<std::string> names;
  for (const Elf64_Dyn& entry : dynamic_) {
    if (entry.d_tag == DT_NEEDED) names.push_back(StringAt(entry.d_un.d_val));
  }
  return names;
}

// The GNU hash table knows: the highest symbol of its chains is the last one; before its first come the undefined.
uint64_t ElfFile::SymbolCount() const {
  const uint64_t table = Offset(Dynamic(DT_GNU_HASH).value());
  const auto buckets = At<uint32_t>(table);
  const auto first = At<uint32_t>(table + 4);
  const auto bloom_words = At<uint32_t>(table + 8);
  const uint64_t bucket_table = table + 16 + uint64_t{bloom_words} * 8;
  const uint64_t chain_table = bucket_table + uint64_t{buckets} * 4;
  uint32_t last = 0;
  for (uint32_t i = 0; i < buckets; ++i) last = std::max(last, At<uint32_t>(bucket_table + uint64_t{i} * 4));
  if (last < first) return first;
  while ((At<uint32_t>(chain_table + uint64_t{last - first} * 4) & 1) == 0) ++last;
  return last + uint64_t{1};
}

std::string ElfFile::VersionOf(uint16_t index) const {
  index &= 0x7fff;
  if (index < 2) return "";
  if (const auto definitions = Dynamic(DT_VERDEF)) {
    uint64_t at = Offset(*definitions);
    for (uint64_t left = Dynamic(DT_VERDEFNUM).value(); left > 0; --left) {
      const auto definition = At<Elf64_Verdef>(at);
      if (definition.vd_ndx == index) return StringAt(At<Elf64_Verdaux>(at + definition.vd_aux).vda_name);
      at += definition.vd_next;
    }
  }
  if (const auto needs = Dynamic(DT_VERNEED)) {
    uint64_t at = Offset(*needs);
    for (uint64_t left = Dynamic(DT_VERNEEDNUM).value(); left > 0; --left) {
      const auto need = At<Elf64_Verneed>(at);
      uint64_t entry_at = at + need.vn_aux;
      for (unsigned i = 0; i < need.vn_cnt; ++i) {
        const auto entry = At<Elf64_Vernaux>(entry_at);
        if ((entry.vna_other & 0x7fff) == index) return StringAt(entry.vna_name);
        entry_at += entry.vna_next;
      }
      at += need.vn_next;
    }
  }
  return "";
}

std::vector<ElfSymbol> ElfFile::symbols() const {
  const uint64_t table = Offset(Dynamic(DT_SYMTAB).value());
  const auto versions = Dynamic(DT_VERSYM);
  std::vector<ElfSymbol> symbols;
  for (uint64_t i = 1, count = SymbolCount(); i < count; ++i) {
    const auto symbol = At<Elf64_Sym>(table + i * sizeof(Elf64_Sym));
    const std::string version =
        versions ? VersionOf(At<uint16_t>(Offset(*versions) + i * sizeof(uint16_t))) : std::string();
    symbols.push_back({StringAt(symbol.st_name), version, static_cast<unsigned char>(ELF64_ST_TYPE(symbol.st_info)),
                       symbol.st_shndx != SHN_UNDEF});
  }
  return symbols;
}

int ElfFile::Relocations(uint32_t type) const {
  int found = 0;
  const auto count = [&](int64_t table, int64_t size) {
    if (!Dynamic(table)) return;
    const uint64_t begin = Offset(*Dynamic(table));
    for (uint64_t at = 0; at < Dynamic(size).value(); at += sizeof(Elf64_Rela)) {
      if (ELF64_R_TYPE(At<Elf64_Rela>(begin + at).r_info) == type) ++found;
    }
  };
  count(DT_RELA, DT_RELASZ);
  count(DT_JMPREL, DT_PLTRELSZ);
  return found;
}

bool ElfFile::HasWritableCode() const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) && (segment.p_flags & PF_X)) return true;
  }
  return false;
}

}  // namespace socktale
