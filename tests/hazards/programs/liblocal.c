// SPDX-License-Identifier: Apache-2.0
//
// To be opened with RTLD_LOCAL: talks in its constructor, in a function and in its destructor.

#include "say.h"

__attribute__((constructor)) static void begin(void) { talk("local constructor"); }
__attribute__((destructor)) static void end(void) { talk("local destructor"); }

int local_function(int fd) {
  talk("local function");
  return send(fd, "through a descriptor", 20, 0) == 20 ? 0 : 1;
}
