// SPDX-License-Identifier: Apache-2.0

#include "preload/real.h"

#include <dlfcn.h>

#include "preload/poison.h"

namespace socktale {

constinit RealFunctions real = {};

void ResolveAllReal() {
  // dlsym allocates only to describe a failure: never with the libc that this was built for, which has every row.
#define HOOK(symbol, call) ResolvedReal(real.symbol, Hook::symbol);
#include "preload/abi/hooks.def"
#undef HOOK
}

void* ResolveReal(Hook hook) { return ::dlsym(RTLD_NEXT, kHookNames[static_cast<uint32_t>(hook)]); }

}  // namespace socktale
