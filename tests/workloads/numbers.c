// SPDX-License-Identifier: Apache-2.0
//
// System calls by their numbers, through syscall(2): each does what it does by name, and is no point at which a thread
// is cancelled.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "check.h"

static void* bad;  // nothing is mapped here

static void sockets(void) {
  int pair[2];
  CHECK(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  char bytes[8];
  CHECK(syscall(SYS_write, pair[0], "abc", 3) == 3 && syscall(SYS_read, pair[1], bytes, sizeof bytes) == 3);
  CHECK(syscall(SYS_sendto, pair[0], "defg", 4, MSG_NOSIGNAL, NULL, 0) == 4);
  CHECK(syscall(SYS_recvfrom, pair[1], bytes, sizeof bytes, 0, NULL, NULL) == 4 && memcmp(bytes, "defg", 4) == 0);
  struct iovec part = {bytes, 2};
  CHECK(syscall(SYS_pwritev2, pair[0], &part, 1, -1L, 0L, 0) == 2 && syscall(SYS_readv, pair[1], &part, 1) == 2);
  CHECK_FAILS(syscall(SYS_recvfrom, pair[1], bytes, sizeof bytes, MSG_DONTWAIT, NULL, NULL), EAGAIN);
  CHECK_FAILS(syscall(SYS_write, -1, "abc", 3), EBADF);
  CHECK_FAILS(syscall(SYS_write, pair[0], bad, 3), EFAULT);
  struct pollfd ready = {pair[0], POLLOUT, 0};
  const struct timespec none = {0, 0};
  sigset_t mask;
  sigemptyset(&mask);
  CHECK(syscall(SYS_ppoll, &ready, 1, &none, &mask, 8) == 1);
  CHECK_FAILS(syscall(SYS_ppoll, &ready, 1, &none, &mask, 5), EINVAL);  // the set's size is the program's to say
  // What libc's functions would not hand on.
  CHECK_FAILS(syscall(SYS_mq_open, "none", O_RDONLY, 0, bad), EFAULT);
  struct {
    const sigset_t* mask;
    size_t size;
  } masked = {&mask, 8};
  const struct timespec soon = {0, 1000000};
  CHECK(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, &masked) == 0);
  masked.size = 5;
  CHECK_FAILS(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, &masked), EINVAL);
  CHECK(syscall(SYS_fcntl, pair[0], F_SETFD, FD_CLOEXEC) == 0 && syscall(SYS_fcntl, pair[0], F_GETFD) == FD_CLOEXEC);
  CHECK(syscall(SYS_dup3, pair[0], pair[1], O_CLOEXEC) == pair[1]);
  CHECK(syscall(SYS_close, pair[0]) == 0 && syscall(SYS_close, pair[1]) == 0);
  CHECK_FAILS(syscall(SYS_close, pair[1]), EBADF);
}

static void connections(void) {
  const int listener = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  CHECK(syscall(SYS_bind, listener, &name, size) == 0 && syscall(SYS_listen, listener, 1) == 0);
  CHECK(syscall(SYS_getsockname, listener, &name, &size) == 0);
  const int client = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  CHECK(syscall(SYS_connect, client, &name, sizeof name) == 0);
  const int served = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
  CHECK(served >= 0 && syscall(SYS_shutdown, client, SHUT_WR) == 0);
  CHECK(syscall(SYS_close_range, listener, served, 0) == 0 && fcntl(client, F_GETFD) == -1);
}

static void expect_status(pid_t pid, int expected) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static void child(void) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  syscall(SYS_exit_group, fd >= 0 ? 6 : 1);
}

static void processes(void) {
  pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
  if (pid == 0) child();
  expect_status(pid, 6);
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  pid = (pid_t)syscall(SYS_clone3, &arguments, CLONE_ARGS_SIZE_VER0);
  if (pid == 0) child();
  if (pid > 0) expect_status(pid, 6);
  CHECK_FAILS(syscall(SYS_clone3, bad, CLONE_ARGS_SIZE_VER0), EFAULT);
#ifdef SYS_fork
  pid = (pid_t)syscall(SYS_fork);
  if (pid == 0) child();
  expect_status(pid, 6);
#endif
  // The parent waits for a child that it shares nothing with, too.
  int ready[2];
  char byte = 0;
  CHECK(pipe2(ready, O_CLOEXEC | O_NONBLOCK) == 0);
  pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_VFORK, NULL, NULL, NULL, 0);
  if (pid == 0) {
    usleep(20000);
    syscall(SYS_exit_group, write(ready[1], "r", 1) == 1 ? 6 : 1);
  }
  CHECK(read(ready[0], &byte, OPAQUE(sizeof byte)) == 1);
  expect_status(pid, 6);
  CHECK(close(ready[0]) == 0 && close(ready[1]) == 0);
  pid = fork();
  if (pid == 0) {
    char* const arguments_of[] = {(char*)"true", NULL};
    char* const environment[] = {NULL};
    syscall(SYS_execve, "/bin/true", arguments_of, environment);
    _exit(1);
  }
  expect_status(pid, 0);
}

#if defined(__x86_64__)
// A child of clone3 on its parent's stack, which leaves nothing of that as it was but what libc's function needs to
// return a second time.
static void on_the_same_stack(void) {
  struct clone_args arguments = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
  const pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, CLONE_ARGS_SIZE_VER0);
  if (pid == 0) {
    __asm__ volatile(
        "leaq -4096(%%rsp), %%rdi\n\t"
        "movl $510, %%ecx\n\t"  // words of 8 bytes, up to 16 below the stack's top
        "movq $-1, %%rax\n\t"
        "rep stosq\n\t"
        "movl $7, %%edi\n\t"
        "movl %0, %%eax\n\t"
        "syscall"
        :
        : "i"(SYS_exit_group)
        : "rax", "rcx", "rdi", "r11", "memory");
    __builtin_unreachable();
  }
  CHECK(pid > 0 || errno == ENOSYS);
  if (pid > 0) expect_status(pid, 7);
}
#else
static void on_the_same_stack(void) {}
#endif

// What has no function in libc.
static void unnamed(void) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_RDONLY | O_CLOEXEC, 0, 0};
  const int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof how);
  CHECK((fd >= 0 && close(fd) == 0) || errno == ENOSYS);
  struct io_uring_params parameters = {0};
  const int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
  if (ring >= 0) CHECK(close(ring) == 0);
  const uint32_t version = 1;  // LANDLOCK_CREATE_RULESET_VERSION: the answer is a number, and no descriptor's
  CHECK(syscall(SYS_landlock_create_ruleset, NULL, 0, version) > 0 || errno == ENOSYS || errno == EOPNOTSUPP);
  CHECK(syscall(SYS_getpid) == getpid());
  CHECK_FAILS(syscall(9999), ENOSYS);
}

// A thread that is to be cancelled, and asks by number alone: it runs to its end.
static void* not_cancelled(void* argument) {
  int* const pair = argument;
  char byte;
  CHECK(pthread_cancel(pthread_self()) == 0);
  CHECK(syscall(SYS_write, pair[0], "x", 1) == 1 && syscall(SYS_read, pair[1], &byte, 1) == 1);
  CHECK(syscall(SYS_close, pair[0]) == 0 && syscall(SYS_close, pair[1]) == 0);
  return argument;
}

static void cancellation(void) {
  int pair[2];
  CHECK(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pthread_t thread;
  void* result = NULL;
  CHECK(pthread_create(&thread, NULL, not_cancelled, pair) == 0 && pthread_join(thread, &result) == 0);
  CHECK(result == pair);
}

int main(void) {
  bad = OPAQUE((void*)unmapped_after_64());
  sockets();
  connections();
  processes();
  on_the_same_stack();
  unnamed();
  cancellation();
  return 0;
}
