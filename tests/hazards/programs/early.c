// SPDX-License-Identifier: Apache-2.0
//
// Sockets at all times of a program's life: in .preinit_array, before any library's constructor and when environ is not
// set yet; in constructors; in main; in an exit handler and in destructors.

#include "say.h"

extern char** environ;
void early_library(void);

static void before_all(void) {
  talk(".preinit_array");
  say("environ is %sset", environ == NULL ? "not " : "");
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;
__attribute__((constructor)) static void begin(void) { talk("constructor"); }
__attribute__((destructor)) static void end(void) { talk("destructor"); }
static void at_exit(void) { talk("exit handler"); }

int main(void) {
  CHECK(atexit(at_exit) == 0);
  talk("main");
  early_library();
  return 7;
}
