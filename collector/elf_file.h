// SPDX-License-Identifier: Apache-2.0
//
// What an ELF file says of itself, as far as preloading is concerned.

#ifndef SOCKTALE_COLLECTOR_ELF_FILE_H_
#define SOCKTALE_COLLECTOR_ELF_FILE_H_

#include <string>

namespace socktale {

struct ElfFacts {
  bool is_elf = false;
  bool same_machine = false;  // class, byte order and processor are those of this program
  std::string machine;        // in words, for one that is not: "32-bit x86", "AArch64"
  std::string interpreter;    // PT_INTERP; empty: statically linked
  bool asan = false;          // the first library it needs is gcc's libasan
  bool go = false;            // built by the Go toolchain
};

// Reads the headers of the file open at `fd`. Trusts none of its numbers.
ElfFacts ReadElfFacts(int fd);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_ELF_FILE_H_
