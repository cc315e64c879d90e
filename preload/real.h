// SPDX-License-Identifier: Apache-2.0
//
// libc's own functions behind the hooks: one slot per row of hooks.def.

#ifndef SOCKTALE_PRELOAD_REAL_H_
#define SOCKTALE_PRELOAD_REAL_H_

#include "preload/abi/hook.h"
#include "preload/libc_private.h"

namespace socktale {

struct RealFunctions {
#define HOOK(symbol, call) decltype(&::symbol) symbol;
#include "preload/abi/hooks.def"
#undef HOOK
};

// Filled by ResolveAllReal() in the constructor. A slot is null before that, and where this libc lacks the symbol.
extern constinit RealFunctions real;

// libc's functions of those names of which it has an older version, for programs that were linked before the later one
// was there. Filled and null as the others are.
struct OldRealFunctions {
  decltype(&::posix_spawn) posix_spawn;
  decltype(&::posix_spawnp) posix_spawnp;
};
extern constinit OldRealFunctions old_real;
inline constexpr char kOldSpawnVersion[] = "GLIBC_2.2.5";  // on x86-64; shim.map and hooks/process.cc name it too

// Finds libc's clock (libc_clock_gettime of raw_syscall.h). Called once, by the constructor, before it asks for the
// time.
void ResolveClock();

// Fills every slot. Called once, by the constructor.
void ResolveAllReal();

// The address of libc's function for `hook`, found on the spot: for hooks called before the constructor ran.
void* ResolveReal(Hook hook);

// The function to call for `hook`, whose slot is `slot`.
template <typename Function>
inline Function ResolvedReal(Function& slot, Hook hook) {
  Function function = __atomic_load_n(&slot, __ATOMIC_RELAXED);
  if (__builtin_expect(function == nullptr, 0)) {
    function = reinterpret_cast<Function>(ResolveReal(hook));
    __atomic_store_n(&slot, function, __ATOMIC_RELAXED);
  }
  return function;
}

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_REAL_H_
