// SPDX-License-Identifier: Apache-2.0
//
// Reads the shim as built: what it brings into every traced program, and what it wants from it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "preload/abi/hook.h"
#include "tests/preload/elf_file.h"

namespace socktale {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

std::set<std::string> HookSymbols() { return {std::begin(kHookNames), std::end(kHookNames)}; }

class CheckShim : public testing::Test {
 protected:
  ElfFile shim_{SOCKTALE_SHIM};
};

TEST_F(CheckShim, NeedsLibcAndNothingElse) { EXPECT_THAT(shim_.needed(), ElementsAre("libc.so.6")); }

TEST_F(CheckShim, ExportsTheRowsOfHooksDefExactly) {
  std::set<std::string> exported;
  for (const ElfSymbol& symbol : shim_.symbols()) {
    const bool is_version = symbol.name == symbol.version;  // the linker's mark of a version itself
    if (symbol.defined && !is_version) exported.insert(symbol.name);
  }
  EXPECT_EQ(exported, HookSymbols());
}

// Another libc may lack what is not on this list, and a name that is not a plain function of memory or strings may
// lock, allocate or be hooked by someone.
TEST_F(CheckShim, ImportsOnlyWhatTheListAllows) {
  // clang-format off
  const std::set<std::string> allowed = {
      "memcpy", "memmove", "memset", "memcmp", "memchr", "memrchr",
      "strlen", "strnlen", "strcmp", "strncmp", "strchr", "strchrnul", "strspn", "strcspn",
      "environ", "__environ", "__errno_location",
      "fileno", "dirfd",  // of a stream and a directory that the program has in hand: plain reads
      "clock_gettime",  // the vDSO's; both libcs fall back to the system call
      "dlsym",          // in the constructor, and for hooks called before it
      "dlvsym",         // in the constructor; weak, for musl has none
      "__cxa_finalize", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__",  // crtbeginS.o's
  };
  // clang-format on
  std::set<std::string> unexpected;
  for (const ElfSymbol& symbol : shim_.symbols()) {
    if (!symbol.defined && allowed.count(symbol.name) == 0) unexpected.insert(symbol.name + "@" + symbol.version);
  }
  EXPECT_THAT(unexpected, IsEmpty());
}

TEST_F(CheckShim, HasInitialExecThreadLocalsAlone) {
#if defined(__x86_64__)
  // General dynamic access would allocate in __tls_get_addr, inside a signal handler if need be.
  EXPECT_EQ(shim_.Relocations(R_X86_64_DTPMOD64), 0);
  EXPECT_EQ(shim_.Relocations(R_X86_64_TLSDESC), 0);
  EXPECT_GT(shim_.Relocations(R_X86_64_TPOFF64), 0);
#endif
  EXPECT_TRUE(shim_.Dynamic(DT_FLAGS).value_or(0) & DF_STATIC_TLS);
}

TEST_F(CheckShim, ChangesNoCodeAndBindsAtOnce) {
  EXPECT_FALSE(shim_.Dynamic(DT_TEXTREL).has_value());
  EXPECT_FALSE(shim_.Dynamic(DT_FLAGS).value_or(0) & DF_TEXTREL);
  EXPECT_FALSE(shim_.HasWritableCode());
  EXPECT_TRUE(shim_.Dynamic(DT_FLAGS_1).value_or(0) & DF_1_NOW);        // no lazy binding in a signal handler
  EXPECT_TRUE(shim_.Dynamic(DT_FLAGS_1).value_or(0) & DF_1_NODELETE);   // dlclose must not unmap it
  EXPECT_TRUE(shim_.Dynamic(DT_FLAGS_1).value_or(0) & DF_1_INITFIRST);  // other libraries' constructors are recorded
}

// The functions of the shim's code that call `callee`, by objdump's names: mangled where they are not libc's.
std::set<std::string> CallersOf(const std::string& callee) {
  FILE* const code = popen("objdump -d --no-show-raw-insn " SOCKTALE_SHIM, "r");
  EXPECT_NE(code, nullptr);
  std::set<std::string> callers;
  std::string function;
  char line[1024];
  while (code != nullptr && fgets(line, sizeof line, code) != nullptr) {
    const std::string text = line;
    if (const size_t end = text.find(">:"); end != std::string::npos) {
      const size_t begin = text.find('<') + 1;
      function = text.substr(begin, end - begin);
    } else if (text.find("call") != std::string::npos && text.find(callee) != std::string::npos) {
      callers.insert(function);
    }
  }
  EXPECT_EQ(code != nullptr ? pclose(code) : -1, 0);
  return callers;
}

// A hook sees by its return address that syscall(2) called it for a number: it must look itself, not a function of its.
TEST_F(CheckShim, HooksThatSyscallCallsLookAtTheirOwnReturnAddress) {
  std::ifstream source(SOCKTALE_SOURCE "/preload/hooks/by_number.cc");
  const std::string text{std::istreambuf_iterator<char>(source), {}};
  const std::regex row("BY_NAME\\(SYS_\\w+, (\\w+)");
  std::set<std::string> called;
  for (std::sregex_iterator each(text.begin(), text.end(), row), end; each != end; ++each) called.insert((*each)[1]);
  EXPECT_GT(called.size(), 60u);
  EXPECT_THAT(CallersOf("TakeNumberOfHook"), IsSupersetOf(called));
}

}  // namespace
}  // namespace socktale
