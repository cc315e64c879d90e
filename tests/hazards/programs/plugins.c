// SPDX-License-Identifier: Apache-2.0
//
// plugins LIBRARY HOW: opens a library with RTLD_DEEPBIND (deepbind), in a namespace of its own with a libc of its own
// (dlmopen), as usual (plain), or by its mere name, beside this program, which its RUNPATH says (origin); has it talk.

#define _GNU_SOURCE
#include <dlfcn.h>

#include "say.h"

int main(int argc, char** argv) {
  CHECK(argc == 3);
  void* library = NULL;
  if (strcmp(argv[2], "deepbind") == 0) library = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
  if (strcmp(argv[2], "dlmopen") == 0) library = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW);
  if (strcmp(argv[2], "plain") == 0) library = dlopen(argv[1], RTLD_NOW);
  if (strcmp(argv[2], "origin") == 0) library = dlopen(strrchr(argv[1], '/') + 1, RTLD_NOW);
  CHECK(library != NULL);
  void (*const plugin_talk)(const char*) = (void (*)(const char*))dlsym(library, "plugin_talk");
  CHECK(plugin_talk != NULL);
  plugin_talk("a plugin's words");
  talk("the program's words");
  return 3;
}
