// SPDX-License-Identifier: Apache-2.0
//
// step_calls PROGRAM ARGUMENT...: runs PROGRAM, and executes what lies between its first two breakpoint instructions
// one instruction at a time. Then prints how often each was executed, and what is mapped where; the program's own
// output comes between the two:
//   MAP START END OFFSET PATH     hexadecimal, as in /proc/PID/maps; only what is executable
//   AT ADDRESS COUNT              hexadecimal, decimal

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kSlots = 1 << 16 };  // more instructions than a call's path has

static struct { uint64_t address, count; } slots[kSlots];

static void fail(const char* what) {
  fprintf(stderr, "step_calls: %s: %s\n", what, strerror(errno));
  exit(2);
}

static void count(uint64_t address) {
  size_t i = (address * 0x9e3779b97f4a7c15u) >> 48;
  for (size_t tried = 0; tried < kSlots; tried++, i = (i + 1) % kSlots) {
    if (slots[i].count == 0) slots[i].address = address;
    if (slots[i].address == address) {
      slots[i].count++;
      return;
    }
  }
  fprintf(stderr, "step_calls: more than %d different instructions\n", kSlots);
  exit(2);
}

// Waits for the next stop. Returns its signal, 0 at the program's end, which must be a good one.
static int next_stop(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) != pid) fail("waitpid");
  if (WIFSTOPPED(status)) return WSTOPSIG(status);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  fprintf(stderr, "step_calls: the program ended with status %x\n", (unsigned)status);
  exit(3);
}

// Lets the program run until it meets a breakpoint. Other signals are its own.
static void run_to_breakpoint(pid_t pid) {
  int number = 0;
  do {
    if (ptrace(PTRACE_CONT, pid, NULL, (long)number) != 0) fail("PTRACE_CONT");
    number = next_stop(pid);
    if (number == 0) {
      fprintf(stderr, "step_calls: the program has no two breakpoints\n");
      exit(3);
    }
  } while (number != SIGTRAP);
}

static void tell_maps(pid_t pid) {
  char path[64], line[4096];
  snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
  FILE* maps = fopen(path, "r");
  if (maps == NULL) fail(path);
  while (fgets(line, sizeof line, maps) != NULL) {
    uint64_t start, end, offset;
    char rights[8], name[4096] = "";
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %4095[^\n]", &start, &end, rights, &offset,
               name) < 4)
      continue;
    if (rights[2] == 'x') printf("MAP %" PRIx64 " %" PRIx64 " %" PRIx64 " %s\n", start, end, offset, name);
  }
  fclose(maps);
}

static void step_to_breakpoint(pid_t pid) {
  int number = 0;
  for (;;) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0) fail("PTRACE_GETREGS");
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, pid, (void*)registers.rip, NULL);
    if (errno != 0) fail("PTRACE_PEEKTEXT");
    if ((word & 0xff) == 0xcc) return;
    count(registers.rip);
    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (long)number) != 0) fail("PTRACE_SINGLESTEP");
    number = next_stop(pid);
    if (number == 0) {
      fprintf(stderr, "step_calls: the program ended before its second breakpoint\n");
      exit(3);
    }
    if (number == SIGTRAP) number = 0;
  }
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "step_calls PROGRAM ARGUMENT...\n");
    return 2;
  }
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) fail("PTRACE_TRACEME");
    execv(argv[1], argv + 1);
    fail(argv[1]);
  }
  if (next_stop(pid) != SIGTRAP) fail("no stop at exec");
  run_to_breakpoint(pid);
  tell_maps(pid);
  fflush(stdout);
  step_to_breakpoint(pid);
  run_to_breakpoint(pid);  // the second one, which was only looked at
  if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0) fail("PTRACE_CONT");
  if (next_stop(pid) != 0) fail("the program did not end");
  for (size_t i = 0; i < kSlots; i++) {
    if (slots[i].count > 0) printf("AT %" PRIx64 " %" PRIu64 "\n", slots[i].address, slots[i].count);
  }
  return 0;
}
