// SPDX-License-Identifier: Apache-2.0
//
// startup [STARTS [PROGRAM [ARGUMENT...]]]: forks, executes PROGRAM (/usr/bin/true) and waits for its end, STARTS
// times. An operation is from before fork to after the end. Every start must succeed.

#include "workload.h"

int main(int argc, char** argv) {
  size_t starts = number(argc, argv, 1, 200);
  char* otherwise[] = {"/usr/bin/true", NULL};
  char** program = argc > 2 ? argv + 2 : otherwise;
  begin();
  uint64_t start = now_ns();
  for (size_t i = 0; i < starts; i++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      execv(program[0], program);
      die(program[0]);
    }
    join_child(pid);
  }
  uint64_t end = now_ns();
  result("startup", end - start, starts, 0);
  return 0;
}
