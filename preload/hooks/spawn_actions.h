// SPDX-License-Identifier: Apache-2.0
//
// What posix_spawn's file actions mean for finding the program: the child may go to another directory before it looks.

#ifndef SOCKTALE_PRELOAD_HOOKS_SPAWN_ACTIONS_H_
#define SOCKTALE_PRELOAD_HOOKS_SPAWN_ACTIONS_H_

#include <spawn.h>

#include "preload/readable.h"

namespace socktale {

// Whether posix_spawn_file_actions_addchdir_np or _addfchdir_np is among `given`, which may be null. There is no asking
// libc; glibc's entries are as below since the first of them (2.29). Of another libc any action counts.
inline bool ChangesDirectory(const posix_spawn_file_actions_t* given) {
#if defined(__GLIBC__)
  struct Action {
    int tag;  // 0 close, 1 dup2, 2 open, 3 chdir, 4 fchdir, 5 closefrom, 6 tcsetpgrp
    struct {
      int fd;
      const char* path;
      int flags;
      unsigned mode;
    } of_open;  // the largest of a union
  };
  static_assert(sizeof(void*) != 8 || sizeof(Action) == 32);
  posix_spawn_file_actions_t actions;
  if (given == nullptr || !CopyIn(&actions, given, sizeof actions)) return false;
  const auto* const begin = reinterpret_cast<const Action*>(actions.__actions);
  for (int i = 0; i < actions.__used; ++i) {
    Action action;
    if (!CopyIn(&action, begin + i, sizeof action)) return false;  // libc will find out the same way
    if (action.tag == 3 || action.tag == 4) return true;
  }
  return false;
#else
  return given != nullptr;
#endif
}

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_SPAWN_ACTIONS_H_
