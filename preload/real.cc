// SPDX-License-Identifier: Apache-2.0

#include "preload/real.h"

#include <dlfcn.h>

#include "preload/confinement.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

#pragma weak dlvsym  // musl has no versions of symbols

namespace socktale {

constinit RealFunctions real = {};
constinit OldRealFunctions old_real = {};

constinit decltype(&::clock_gettime) libc_clock_gettime = nullptr;

namespace {
constinit abi::SharedClock no_clock = {};
}
constinit const abi::SharedClock* shared_clock = &no_clock;

void ResolveClock() {
  libc_clock_gettime = reinterpret_cast<decltype(&::clock_gettime)>(::dlsym(RTLD_NEXT, "clock_gettime"));
}

void ResolveAllReal() {
  // dlsym allocates only to describe a failure: never with the libc that this was built for, which has every row.
#define HOOK(symbol, call) ResolvedReal(real.symbol, Hook::symbol);
#include "preload/abi/hooks.def"
#undef HOOK
  if (&::dlvsym == nullptr) return;
  const auto old = [](const char* name) { return ::dlvsym(RTLD_NEXT, name, kOldSpawnVersion); };
  old_real.posix_spawn = reinterpret_cast<decltype(old_real.posix_spawn)>(old("posix_spawn"));
  old_real.posix_spawnp = reinterpret_cast<decltype(old_real.posix_spawnp)>(old("posix_spawnp"));
}

void* ResolveReal(Hook hook) { return ::dlsym(RTLD_NEXT, kHookNames[static_cast<uint32_t>(hook)]); }

}  // namespace socktale
