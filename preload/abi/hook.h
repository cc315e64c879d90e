// SPDX-License-Identifier: Apache-2.0
//
// The numbers and names of the hooks, from the rows of hooks.def. Traces store the Call of a row, never its number.

#ifndef SOCKTALE_PRELOAD_ABI_HOOK_H_
#define SOCKTALE_PRELOAD_ABI_HOOK_H_

#include <cstdint>

namespace socktale {

// One per row, in the order of hooks.def, from 0.
enum class Hook : uint16_t {
#define HOOK(symbol, call) symbol,
#include "preload/abi/hooks.def"
#undef HOOK
};

inline constexpr uint32_t kHooks = 0
#define HOOK(symbol, call) +1
#include "preload/abi/hooks.def"
#undef HOOK
    ;

// Symbols by Hook, for messages and tests.
inline constexpr const char* kHookNames[kHooks] = {
#define HOOK(symbol, call) #symbol,
#include "preload/abi/hooks.def"
#undef HOOK
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_ABI_HOOK_H_
