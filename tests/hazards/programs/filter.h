// SPDX-License-Identifier: Apache-2.0
//
// Seccomp filters by a list of numbers, as sandboxes make them.

#ifndef SOCKTALE_TESTS_HAZARDS_PROGRAMS_FILTER_H_
#define SOCKTALE_TESTS_HAZARDS_PROGRAMS_FILTER_H_

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/workloads/check.h"

enum { kMostNumbers = 64 };

struct Filter {
  struct sock_filter code[2 * kMostNumbers + 8];
  struct sock_fprog program;
};

static inline void add(struct Filter* filter, struct sock_filter step) { filter->code[filter->program.len++] = step; }

// Gives `verdict` (SECCOMP_RET_…) for the `count` system calls of `numbers`, and `other` for all others.
__attribute__((unused)) static void make_filter(struct Filter* filter, const long* numbers, size_t count,
                                                unsigned verdict, unsigned other) {
  memset(filter, 0, sizeof *filter);
  filter->program.filter = filter->code;
  CHECK(count <= kMostNumbers);
  add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
  add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  for (size_t i = 0; i < count; ++i) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1));
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
  }
  add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other));
}

#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

#endif  // SOCKTALE_TESTS_HAZARDS_PROGRAMS_FILTER_H_
