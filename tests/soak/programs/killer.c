// SPDX-License-Identifier: Apache-2.0
//
// killer PROGRAM FILE KILLS SEED MICROSECONDS: KILLS times, one after another, starts `PROGRAM FILE ROUND` and kills it
// by SIGKILL at a random moment in the MICROSECONDS after its first message. FILE is to hold as many struct Round,
// zeros.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/soak/programs/soak.h"

static uint64_t state;

static uint64_t random_below(uint64_t limit) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (state * 0x2545f4914f6cdd1du >> 16) % limit;
}

static void pause_ns(uint64_t ns) {
  const struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  nanosleep(&time, NULL);
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int kills = atoi(argv[3]);
  state = strtoull(argv[4], NULL, 10) * 2 + 1;
  const uint64_t most_ns = strtoull(argv[5], NULL, 10) * 1000;
  const int fd = open(argv[2], O_RDWR | O_CLOEXEC);
  struct Round* const rounds = mmap(NULL, (size_t)kills * sizeof *rounds, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || rounds == MAP_FAILED) {
    perror(argv[2]);
    return 1;
  }
  for (int i = 0; i < kills; ++i) {
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    const pid_t child = fork();
    if (child == 0) {
      execl(argv[1], argv[1], argv[2], number, NULL);
      _exit(127);
    }
    int status = 0;
    while (rounds[i].done[0] == 0) {
      if (waitpid(child, &status, WNOHANG) != 0) {
        fprintf(stderr, "killer: round %d ended by itself, status %d\n", i, status);
        return 1;
      }
      pause_ns(200000);
    }
    pause_ns(random_below(most_ns));
    kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
      fprintf(stderr, "killer: round %d ended by itself, status %d\n", i, status);
      return 1;
    }
  }
  return 0;
}
