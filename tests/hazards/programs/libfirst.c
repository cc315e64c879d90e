// SPDX-License-Identifier: Apache-2.0
//
// A library that asks, as the shim does, to be initialized before all others (-z initfirst). The dynamic linker grants
// that to the one it loaded last.

#include "say.h"

__attribute__((constructor)) static void begin(void) { talk("first of all"); }
