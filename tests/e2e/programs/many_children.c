// SPDX-License-Identifier: Apache-2.0
//
// many_children COUNT: COUNT children alive at one time. Each duplicates a descriptor, says so, and waits to be let go.
// Exits with 77 where so many may not be.

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int count = atoi(argv[1]);
  int here[2], go[2];
  if (pipe(here) != 0 || pipe(go) != 0) return 3;
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) return 77;
    if (child > 0) continue;
    char byte = 'x';
    close(go[1]);
    if (dup(0) < 0 || write(here[1], &byte, 1) != 1) _exit(5);
    _exit(read(go[0], &byte, 1) == 0 ? 0 : 6);
  }
  close(here[1]);
  for (int i = 0; i < count; ++i) {
    char byte;
    if (read(here[0], &byte, 1) != 1) return 7;
  }
  close(go[1]);
  for (int i = 0; i < count; ++i) {
    int status;
    if (wait(&status) < 0 || status != 0) return 8;
  }
  return 0;
}
