// SPDX-License-Identifier: Apache-2.0
//
// Libraries opened as usual, by names looked up in the program, and so that they look past what was preloaded.

#define _GNU_SOURCE
#include <dlfcn.h>

#include "check.h"

int main(void) {
  void* const usual = dlopen("libm.so.6", RTLD_LAZY);
  CHECK(usual != NULL && dlsym(usual, "cos") != NULL && dlclose(usual) == 0);
  void* const itself = dlopen(NULL, RTLD_NOW | RTLD_DEEPBIND);
  CHECK(itself != NULL && dlclose(itself) == 0);
  CHECK(dlopen("libm.so.6", RTLD_NOW | RTLD_NOLOAD | RTLD_DEEPBIND) == NULL);
  void* const empty = dlopen("", RTLD_NOW | RTLD_DEEPBIND);
  CHECK(empty != NULL && dlclose(empty) == 0);
  void* const base = dlmopen(LM_ID_BASE, "libm.so.6", RTLD_NOW);
  CHECK(base != NULL && dlclose(base) == 0);
  CHECK(dlopen("/nowhere/lib.so", RTLD_NOW | RTLD_DEEPBIND) == NULL && strstr(dlerror(), "/nowhere/lib.so") != NULL);
  void* const deep = dlopen("libm.so.6", RTLD_NOW | RTLD_DEEPBIND | RTLD_GLOBAL);
  CHECK(deep != NULL && dlclose(deep) == 0);
  void* const apart = dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW);
  CHECK(apart != NULL && dlsym(apart, "cos") != NULL && dlclose(apart) == 0);
  return 0;
}
