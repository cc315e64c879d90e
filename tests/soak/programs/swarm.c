// SPDX-License-Identifier: Apache-2.0
//
// swarm PROCESSES AT_ONCE: keeps AT_ONCE children alive until there were PROCESSES of them. Each makes a pair of
// sockets, sends itself one message that has its number, receives it and ends. Every second one executes this program
// again first.

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soak/programs/soak.h"

static int talk(uint32_t number) {
  int ends[2];
  unsigned char bytes[kLargestMessage], back[kLargestMessage];
  MakeMessage(bytes, number, 0, 1);
  const ssize_t size = (ssize_t)MessageSize(0, 1);
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0 || send(ends[0], bytes, (size_t)size, 0) != size ||
      recv(ends[1], back, sizeof back, 0) != size || memcmp(bytes, back, (size_t)size) != 0) {
    perror("swarm");
    return 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 2) return talk((uint32_t)atoi(argv[1]));
  if (argc != 3) return 2;
  const int processes = atoi(argv[1]);
  const int at_once = atoi(argv[2]);
  int failed = 0;
  for (int begun = 0, living = 0; begun < processes || living > 0;) {
    if (begun < processes && living < at_once) {
      const pid_t child = fork();
      if (child == 0) {
        if (begun % 2 == 0) _exit(talk((uint32_t)begun));
        char number[16];
        snprintf(number, sizeof number, "%d", begun);
        execl("/proc/self/exe", argv[0], number, NULL);
        _exit(127);
      }
      if (child < 0) {
        perror("fork");
        return 1;
      }
      ++begun;
      ++living;
      continue;
    }
    int status = 0;
    if (wait(&status) < 0) return 1;
    failed += status != 0;
    --living;
  }
  if (failed != 0) fprintf(stderr, "swarm: %d children failed\n", failed);
  return failed != 0;
}
