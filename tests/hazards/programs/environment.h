// SPDX-License-Identifier: Apache-2.0
//
// The environment as a program finds it, but for the two entries of a tracer.

#ifndef SOCKTALE_TESTS_HAZARDS_PROGRAMS_ENVIRONMENT_H_
#define SOCKTALE_TESTS_HAZARDS_PROGRAMS_ENVIRONMENT_H_

#include "say.h"

extern char** environ;

__attribute__((unused)) static void say_environment(void) {
  for (char** entry = environ; entry != NULL && *entry != NULL; ++entry) {
    if (strncmp(*entry, "LD_PRELOAD=", 11) != 0 && strncmp(*entry, "SOCKTALE_ATTACH=", 16) != 0) say("  %s", *entry);
  }
}

#endif  // SOCKTALE_TESTS_HAZARDS_PROGRAMS_ENVIRONMENT_H_
