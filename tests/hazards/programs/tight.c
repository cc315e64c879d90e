// SPDX-License-Identifier: Apache-2.0
//
// tight HOW BYTES: has BYTES of pseudo-random bytes go over a pair of sockets in blocks of 60 000, under one limit:
//   limits   those it was started with
//   core     then aborts, with room for a core dump
//   locked   as another user (when root), with 8 MiB of memory to lock, all memory locked now and in future
//   mdwe     memory that was writable may never be executed (PR_SET_MDWE)
// Says how many of the bytes of its address space that come from files of a recording would be in a core dump: none.

#define _GNU_SOURCE
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "say.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

enum { kBlock = 60000 };

static void move(const int* pair, long bytes) {
  static char block[kBlock], back[kBlock];
  unsigned random = 1;
  for (long at = 0; at < bytes; at += kBlock) {
    for (int i = 0; i < kBlock; ++i) block[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
    CHECK(send(pair[0], block, kBlock, 0) == kBlock);
    CHECK(recv(pair[1], back, kBlock, MSG_WAITALL) == kBlock && memcmp(block, back, kBlock) == 0);
  }
}

// Looks through /proc/self/smaps for shared mappings of files that core dumps would have.
static long dumped_bytes(void) {
  FILE* smaps = fopen("/proc/self/smaps", "r");
  if (smaps == NULL) return -1;
  char line[4096];
  long size = 0, total = 0;
  int shared = 0;
  while (fgets(line, sizeof line, smaps) != NULL) {
    unsigned long begin, end;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3) {
      size = (long)(end - begin);
      shared = rights[3] == 's';
    }
    if (strncmp(line, "VmFlags:", 8) == 0 && shared && strstr(line, " dd") == NULL) total += size;
  }
  CHECK(fclose(smaps) == 0);
  return total;
}

int main(int argc, char** argv) {
  CHECK(argc == 3);
  const char* const how = argv[1];
#define IS(word) (strcmp(how, word) == 0)
  int pair[2];
  if (IS("locked")) {
    const struct rlimit limit = {8 << 20, 8 << 20};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (geteuid() == 0) CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    const int locked = mlockall(MCL_CURRENT | MCL_FUTURE);
    say("mlockall: %d, errno %d", locked, locked == 0 ? 0 : errno);
  }
  if (IS("mdwe")) {
    const int refused = prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    say("PR_SET_MDWE: %d, errno %d; now %d", refused, refused == 0 ? 0 : errno, prctl(PR_GET_MDWE, 0, 0, 0, 0));
    void* const page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    say("mprotect(PROT_EXEC): %d", mprotect(page, 4096, PROT_READ | PROT_EXEC));
  }
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  say("%s: sockets %d %d", how, pair[0], pair[1]);
  move(pair, atol(argv[2]));
  if (IS("core")) {
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_CORE, &unlimited) == 0);
    say("would be dumped of shared mappings: %ld", dumped_bytes());
    abort();
  }
  say("%s: done", how);
  return 3;
}
