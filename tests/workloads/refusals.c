// SPDX-License-Identifier: Apache-2.0
//
// Calls that a seccomp filter refuses before anything has looked at their arguments, which point nowhere. What reads
// those because the call's error does not speak of them is killed by it.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "check.h"

// All calls of `numbers` fail with EPERM from now on.
static void refuse(const int* numbers, size_t count) {
  struct sock_filter program[64];
  size_t length = 0;
  program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < count; ++i) {
    program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  }
  program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog filter = {(unsigned short)length, program};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

static void paths(void* nowhere) {
  const char* const path = nowhere;
  CHECK_FAILS(open(path, O_RDONLY), EPERM);
  CHECK_FAILS(openat(AT_FDCWD, path, O_RDONLY), EPERM);
  CHECK_FAILS(open_tree(-9, path, 1), EPERM);
  CHECK_FAILS(fspick(-9, path, 0), EPERM);
  CHECK_FAILS(fsopen(path, 0), EPERM);
  CHECK_FAILS(inotify_add_watch(-9, path, IN_ALL_EVENTS), EPERM);
  CHECK(fopen(path, "r") == NULL && errno == EPERM);
  CHECK_FAILS(syscall(SYS_mq_open, path, O_RDONLY, 0, NULL), EPERM);
}

static void addresses(int fd, void* nowhere) {
  const struct sockaddr* const address = nowhere;
  CHECK_FAILS(bind(fd, address, sizeof(struct sockaddr_in)), EPERM);
  CHECK_FAILS(connect(fd, address, sizeof(struct sockaddr_in)), EPERM);
  CHECK_FAILS(sendto(fd, "x", 1, 0, address, sizeof(struct sockaddr_in)), EPERM);
  CHECK_FAILS(sendmsg(fd, nowhere, 0), EPERM);
  const struct msghdr message = {.msg_name = nowhere, .msg_namelen = sizeof(struct sockaddr_in)};
  CHECK_FAILS(sendmsg(fd, &message, 0), EPERM);
  CHECK_FAILS(poll(nowhere, 3, 0), EPERM);
}

int main(void) {
  char* const nowhere = OPAQUE(unmapped_after_64());
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(fd >= 0);
  static const int numbers[] = {
      SYS_openat,  SYS_open_tree, SYS_fspick,  SYS_fsopen, SYS_inotify_add_watch,
      SYS_mq_open, SYS_bind,      SYS_connect, SYS_sendto, SYS_sendmsg,
#ifdef SYS_open
      SYS_open,    SYS_poll,
#else
      SYS_ppoll,
#endif
  };
  refuse(numbers, sizeof numbers / sizeof *numbers);
  paths(nowhere);
  paths(OPAQUE((void*)NULL));
  addresses(fd, nowhere);
  addresses(fd, OPAQUE((void*)8));
  // What can be read is told, though the call failed.
  const struct sockaddr_in door = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x7f000001)};
  CHECK_FAILS(connect(fd, (const struct sockaddr*)&door, sizeof door), EPERM);
  CHECK_FAILS(open("/etc/refused", O_RDONLY), EPERM);
  return 0;
}
