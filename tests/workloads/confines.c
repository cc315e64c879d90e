// SPDX-License-Identifier: Apache-2.0
//
// prctl as it is used for other things, refused filters of system calls, and one that leaves little: then many bytes go
// over a pair of sockets.

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "check.h"

enum { kRounds = 3000 };

int main(void) {
  char name[16] = {0};
  CHECK(prctl(PR_SET_NAME, "confines") == 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, "confines") == 0);
  CHECK(syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "confines") == 0);
  CHECK_FAILS(prctl(OPAQUE(12345), 0, 0, 0, 0), EINVAL);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);

  const unsigned action = SECCOMP_RET_KILL_PROCESS;
  CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
  CHECK_FAILS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, unmapped_after_64()), EFAULT);
  CHECK_FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, unmapped_after_64() - 4), EFAULT);
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog none = {0, filter};
  CHECK_FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &none), EINVAL);
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);

  char bytes[300], back[300];
  for (int i = 0; i < kRounds; ++i) {
    memset(bytes, i, sizeof bytes);
    CHECK(write(pair[0], bytes, sizeof bytes) == sizeof bytes && read(pair[1], back, sizeof back) == sizeof back);
    CHECK(memcmp(bytes, back, sizeof bytes) == 0);
  }
  CHECK_FAILS(close(700), EBADF);
  CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
  _exit(0);
}
