// SPDX-License-Identifier: Apache-2.0
//
// numbered_sends FILE COUNT STATUS: sends the numbers 1, 2, … COUNT over a socketpair, 8 bytes each, and after each
// call that returned stores its number in the 8 bytes of FILE (shared memory, so that it outlives SIGKILL). Exits with
// STATUS.

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int file = open(argv[1], O_RDWR);
  if (file < 0) return 3;
  volatile uint64_t* done = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (done == MAP_FAILED) return 4;
  const uint64_t count = strtoull(argv[2], NULL, 10);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 5;
  for (uint64_t number = 1; number <= count; ++number) {
    uint64_t back = 0;
    if (send(ends[0], &number, sizeof number, 0) != sizeof number) return 6;
    *done = number;
    if (recv(ends[1], &back, sizeof back, 0) != sizeof back || back != number) return 7;
  }
  return atoi(argv[3]);
}
