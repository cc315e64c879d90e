// SPDX-License-Identifier: Apache-2.0
//
// Calls from where there is little stack: in signal handlers on an alternate stack of the least that the kernel takes
// and 3 KiB more, and in threads of the smallest stack there is.

#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "say.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static int pair[2], epoll;
static struct mmsghdr batch[4];
static struct iovec parts[4];
static char room[4][16];
static fd_set set;
static char* true_argv[] = {(char*)"true", NULL};
static char* no_environment[] = {NULL};
static volatile sig_atomic_t done;

static void calls(int number) {
  (void)number;
  const int saved = errno;
  for (int i = 0; i < 4; ++i) {
    parts[i] = (struct iovec){room[i], 4};
    batch[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  if (send(pair[0], "four", 4, 0) != 4 || recv(pair[1], room[0], 4, 0) != 4) _exit(80);
  if (sendmmsg(pair[0], batch, 4, 0) != 4 || recvmmsg(pair[1], batch, 4, 0, NULL) != 4) _exit(81);
  struct pollfd one = {pair[0], POLLOUT, 0};
  if (poll(&one, 1, 0) != 1) _exit(82);
  FD_SET(pair[0], &set);
  struct timeval now = {0, 0};
  if (select(pair[0] + 1, NULL, &set, NULL, &now) != 1) _exit(83);
  struct epoll_event event;
  if (epoll_wait(epoll, &event, 1, 0) != 1) _exit(84);
  const int fd = dup(pair[0]);
  if (fd < 0 || close(fd) != 0) _exit(85);
  const pid_t pid = vfork();
  if (pid == 0) {
    execve("/bin/true", true_argv, no_environment);
    _exit(1);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) _exit(86);
  ++done;
  errno = saved;
}

static void* in_thread(void* argument) {
  calls(0);
  return argument;
}

int main(void) {
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  epoll = epoll_create1(0);
  struct epoll_event writable = {.events = EPOLLOUT};
  CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &writable) == 0);

  const size_t least = getauxval(AT_MINSIGSTKSZ) != 0 ? getauxval(AT_MINSIGSTKSZ) : 2048;
  const size_t size = least + 3072;
  // Below it nothing is mapped: what needs more ends the program.
  char* const memory = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  const size_t pages = (size + 4095) / 4096 * 4096;
  CHECK(mprotect(memory + (1 << 16) - pages, pages, PROT_READ | PROT_WRITE) == 0);
  const stack_t stack = {.ss_sp = memory + (1 << 16) - pages, .ss_size = pages};
  CHECK(sigaltstack(&stack, NULL) == 0);
  const struct sigaction action = {.sa_handler = calls, .sa_flags = SA_ONSTACK};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  for (int i = 0; i < 3; ++i) CHECK(raise(SIGUSR1) == 0);

  pthread_attr_t smallest;
  CHECK(pthread_attr_init(&smallest) == 0 && pthread_attr_setstacksize(&smallest, PTHREAD_STACK_MIN) == 0);
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &smallest, in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  }
  say("done %d", (int)done);
  return 0;
}
