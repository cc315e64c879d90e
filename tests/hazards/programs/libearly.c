// SPDX-License-Identifier: Apache-2.0
//
// A library that talks in its constructor and its destructor.

#include "say.h"

__attribute__((constructor)) static void begin(void) { talk("library's constructor"); }
__attribute__((destructor)) static void end(void) { talk("library's destructor"); }

void early_library(void) { talk("library's function"); }
