// SPDX-License-Identifier: Apache-2.0
//
// hooks.def against everything it must agree with: event.proto, the shim as built, the workloads, and libc's own list
// of symbols, of the libc at hand and of those whose lists are kept in data/.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gnu/lib-names.h>
#include <gtest/gtest.h>
#include <link.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "event.pb.h"
#include "preload/abi/hook.h"
#include "preload/event_fields.h"
#include "tests/preload/elf_file.h"

namespace socktale {
namespace {

using testing::IsEmpty;

struct Row {
  std::string symbol;
  std::string call;
};

const std::vector<Row>& Rows() {
  static const auto* rows = new std::vector<Row>{
#define HOOK(symbol, call) {#symbol, #call},
#include "preload/abi/hooks.def"
#undef HOOK
  };
  return *rows;
}

const std::map<std::string, std::string>& NotHooked() {
  static const auto* rows = new std::map<std::string, std::string>{
#define NOT_HOOKED(symbol, reason) {#symbol, reason},
#include "preload/abi/not_hooked.def"
#undef NOT_HOOKED
  };
  return *rows;
}

std::set<std::string> HookSymbols() { return {std::begin(kHookNames), std::end(kHookNames)}; }

// Functions of this machine's libc that a program can import. GLIBC_PRIVATE is for libc's own libraries: nothing else
// can link to it.
std::set<std::string> FunctionsOfThisLibc() {
  link_map* libc = nullptr;
  void* const handle = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr || dlinfo(handle, RTLD_DI_LINKMAP, &libc) != 0) ADD_FAILURE() << "no " << LIBC_SO;
  std::set<std::string> names;
  for (const ElfSymbol& symbol : ElfFile(libc->l_name).symbols()) {
    const bool function = symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC;
    if (symbol.defined && function && symbol.version != "GLIBC_PRIVATE") names.insert(symbol.name);
  }
  dlclose(handle);
  return names;
}

// The lists of data/, by file name: a name a line, `#` begins a comment.
std::map<std::string, std::set<std::string>> ListsOfLibcs() {
  std::map<std::string, std::set<std::string>> lists;
  for (const auto& entry : std::filesystem::directory_iterator(SOCKTALE_LIBC_SYMBOLS)) {
    std::set<std::string>& names = lists[entry.path().filename()];
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line[0] != '#') names.insert(line);
    }
  }
  return lists;
}

// Functions that some libc has: the shim is built once and runs with any of them.
const std::set<std::string>& LibcFunctions() {
  static const auto* names = [] {
    auto* all = new std::set<std::string>(FunctionsOfThisLibc());
    for (const auto& [file, list] : ListsOfLibcs()) all->insert(list.begin(), list.end());
    return all;
  }();
  return *names;
}

// What counts as a call on sockets or descriptors: it makes, copies, closes or passes them, moves bytes through them,
// waits for them, names them or sets their options, itself or inside; or it begins, replaces or ends a process, which
// does all that at once. Matched against a symbol without leading underscores, and without what marks a variant
// (64, _chk, _2). A new libc's new call should be caught by the widest of these.
bool WorksOnDescriptors(const std::string& symbol) {
  static const std::regex variant("^_*|(64)?(v2)?(64)?(_chk|_2)?$");
  // clang-format off
  static const std::regex patterns[] = {
      std::regex("sock(et|name|opt|atmark)|^(bind|bindresvport|listen|accept4?|connect|shutdown|getpeername|isfdtype)$"),
      std::regex("^(send|recv)(to|from|msg|mmsg|file)?$|^(splice|tee|vmsplice|copy_file_range)$|sourcefilter$"),
      std::regex("^p?(read|write)(v|v2)?$|^aio_(read|write)|^lio_|^mq_(open|close|send|receive|timed)"),
      std::regex("^(open|openat|creat|close|dup|dup2|dup3|fcntl|ioctl|pipe|pipe2|closefrom|close_range|syscall)$"),
      std::regex("^p?(poll|select)$|^(pidfd|epoll|eventfd|timerfd|signalfd|memfd|inotify|fanotify|io_uring|userfaultfd)"),
      std::regex("^open_(by_handle_at|tree)$|^fs(open|mount|pick)$|^(shm|sem)_open$|^mko?stemps?$|^tmpfile$"),
      std::regex("^(posix_openpt|getpt|openpty|forkpty|login_tty)$|^(f?dopendir|opendir|closedir)$"),
      std::regex("^(IO_)?(fopen|fdopen|freopen|fclose|popen|pclose)$|^fcloseall$|^f(read|write)(_unlocked)?$"),
      std::regex("^IO_(proc_|file_)(open|fopen|close|close_it|read|write|attach)$|^(open|close)log$|^v?syslog$"),
      std::regex("^getaddrinfo|^getnameinfo$|^gethostby|^res_n?(send|query|search|querydomain)$"),
      std::regex("^(rcmd|rexec|rresvport)(_af)?$|^(getifaddrs|if_nameindex|if_nametoindex|if_indextoname)$"),
      std::regex("^(fork|vfork|clone|daemon|system|exit|quick_exit|wordexp)$|^f?exec|^posix_spawnp?$|^(Exit|Fork)$"),
  };
  // clang-format on
  const std::string name = std::regex_replace(symbol, variant, "");
  for (const std::regex& pattern : patterns) {
    if (std::regex_search(name, pattern)) return true;
  }
  return false;
}

TEST(HooksDefTest, NamesACallOfTheMessagesInEveryRow) {
  for (const Row& row : Rows()) {
    Call call;
    EXPECT_TRUE(Call_Parse("CALL_" + row.call, &call)) << row.symbol << ": event.proto has no CALL_" << row.call;
    EXPECT_LT(call, CALL_ATTACHED) << row.symbol << ": a note of the shim's own, not a call of the program";
  }
}

TEST(HooksDefTest, HasNoSymbolTwice) { EXPECT_EQ(HookSymbols().size(), kHooks); }

TEST(HooksDefTest, HasABodyInTheShimForEveryRow) {
  std::set<std::string> missing = HookSymbols();
  for (const ElfSymbol& symbol : ElfFile(SOCKTALE_SHIM).symbols()) {
    if (symbol.defined && symbol.type == STT_FUNC) missing.erase(symbol.name);
  }
  EXPECT_THAT(missing, IsEmpty()) << "rows of hooks.def without a function in " << SOCKTALE_SHIM;
}

TEST(HooksDefTest, IsHeldAgainstTheListsOfSeveralLibcs) {
  const auto lists = ListsOfLibcs();
  EXPECT_GE(lists.size(), 3u) << "in " << SOCKTALE_LIBC_SYMBOLS;
  for (const auto& [file, names] : lists) {
    EXPECT_GT(names.size(), 2000u) << file;
    EXPECT_EQ(names.count("recvmsg"), 1u) << file;
  }
}

TEST(HooksDefTest, HasAFunctionOfLibcBehindEveryRow) {
  const std::set<std::string> libc = LibcFunctions();
  for (const Row& row : Rows()) EXPECT_EQ(libc.count(row.symbol), 1u) << row.symbol << " is not a function of libc";
}

TEST(HooksDefTest, HasAWorkloadThatImportsEveryRow) {
  std::set<std::string> missing = HookSymbols();
  int workloads = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SOCKTALE_WORKLOADS)) {
    if (!entry.is_regular_file() ||
        (entry.status().permissions() & std::filesystem::perms::owner_exec) == std::filesystem::perms::none) {
      continue;
    }
    ++workloads;
    for (const ElfSymbol& symbol : ElfFile(entry.path()).symbols()) {
      if (!symbol.defined) missing.erase(symbol.name);
    }
  }
  EXPECT_GT(workloads, 0) << "no programs in " << SOCKTALE_WORKLOADS;
  std::string list;
  for (const std::string& symbol : missing) list += symbol + "\n";
  EXPECT_EQ(list, "") << "rows of hooks.def that no program of tests/workloads calls";
}

TEST(HooksDefTest, KnowsEveryCallOfLibcThatWorksOnDescriptors) {
  const std::set<std::string> hooked = HookSymbols();
  std::string unknown;
  for (const std::string& symbol : LibcFunctions()) {
    if (WorksOnDescriptors(symbol) && hooked.count(symbol) == 0 && NotHooked().count(symbol) == 0) {
      unknown += symbol + "\n";
    }
  }
  EXPECT_EQ(unknown, "") << "symbols of libc that stand neither in hooks.def nor in not_hooked.def";
}

TEST(HooksDefTest, ExplainsOnlySymbolsOfLibcThatAreNotHooked) {
  const std::set<std::string> libc = LibcFunctions();
  const std::set<std::string> hooked = HookSymbols();
  for (const auto& [symbol, reason] : NotHooked()) {
    EXPECT_EQ(hooked.count(symbol), 0u) << symbol << " stands in both tables";
    EXPECT_EQ(libc.count(symbol), 1u) << symbol << " of not_hooked.def is not a function of libc";
    EXPECT_TRUE(WorksOnDescriptors(symbol)) << symbol << ": no pattern of this test asks for it";
    EXPECT_GE(reason.size(), 20u) << symbol << ": say what it is and what is lost";
  }
}

}  // namespace
}  // namespace socktale
