// SPDX-License-Identifier: Apache-2.0
//
// A thread is cancelled in each of the calls that wait: its cleanup handlers run, in their order, and talk; nothing
// else of the call is seen. Then a signal handler jumps out of each of them, five times. The program says where it was
// each time, and at last that its sockets still work.

#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "say.h"

static int stream[2], full[2], pipes[2], listener, epoll, file, holder;
static char buffer[1 << 16];
static char fifo[256];

static void in_read(void) { CHECK(read(pipes[0], buffer, 1) < 0); }
static void in_readv(void) {
  struct iovec part = {buffer, 1};
  CHECK(readv(stream[0], &part, 1) < 0);
}
static void in_preadv2(void) {
  struct iovec part = {buffer, 1};
  CHECK(preadv2(stream[0], &part, 1, -1, 0) < 0);
}
static void in_recv(void) { CHECK(recv(stream[0], buffer, 1, 0) < 0); }
static void in_recvfrom(void) { CHECK(recvfrom(stream[0], buffer, 1, 0, NULL, NULL) < 0); }
static void in_recvmsg(void) {
  struct iovec part = {buffer, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK(recvmsg(stream[0], &message, 0) < 0);
}
static void in_recvmmsg(void) {
  struct iovec part = {buffer, 1};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
  CHECK(recvmmsg(stream[0], &message, 1, 0, NULL) < 0);
}
static void in_write(void) { CHECK(write(full[0], buffer, sizeof buffer) < 0); }
static void in_writev(void) {
  struct iovec part = {buffer, sizeof buffer};
  CHECK(writev(full[0], &part, 1) < 0);
}
static void in_send(void) { CHECK(send(full[0], buffer, sizeof buffer, 0) < 0); }
static void in_sendto(void) { CHECK(sendto(full[0], buffer, sizeof buffer, 0, NULL, 0) < 0); }
static void in_sendmsg(void) {
  struct iovec part = {buffer, sizeof buffer};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK(sendmsg(full[0], &message, 0) < 0);
}
static void in_accept(void) { CHECK(accept(listener, NULL, NULL) < 0); }
static void in_accept4(void) { CHECK(accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0); }
static void in_poll(void) {
  struct pollfd one = {stream[0], POLLIN, 0};
  CHECK(poll(&one, 1, -1) < 0);
}
static void in_ppoll(void) {
  struct pollfd one = {stream[0], POLLIN, 0};
  CHECK(ppoll(&one, 1, NULL, NULL) < 0);
}
static void in_select(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(stream[0], &set);
  CHECK(select(stream[0] + 1, &set, NULL, NULL, NULL) < 0);
}
static void in_pselect(void) { CHECK(pselect(0, NULL, NULL, NULL, NULL, NULL) < 0); }
static void in_epoll_wait(void) {
  struct epoll_event event;
  CHECK(epoll_wait(epoll, &event, 1, -1) < 0);
}
static void in_epoll_pwait(void) {
  struct epoll_event event;
  CHECK(epoll_pwait(epoll, &event, 1, -1, NULL) < 0);
}
static void in_splice(void) { CHECK(splice(pipes[0], NULL, full[1], NULL, 10, 0) < 0); }
static void in_open(void) { CHECK(open(fifo, O_RDONLY) < 0); }
static void in_openat(void) { CHECK(openat(AT_FDCWD, fifo, O_RDONLY) < 0); }
static void in_fcntl(void) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  CHECK(fcntl(file, F_SETLKW, &lock) < 0);
}

typedef struct {
  const char* name;
  void (*wait)(void);
} Wait;

static const Wait waits[] = {
    {"read", in_read},
    {"readv", in_readv},
    {"preadv2", in_preadv2},
    {"recv", in_recv},
    {"recvfrom", in_recvfrom},
    {"recvmsg", in_recvmsg},
    {"recvmmsg", in_recvmmsg},
    {"write", in_write},
    {"writev", in_writev},
    {"send", in_send},
    {"sendto", in_sendto},
    {"sendmsg", in_sendmsg},
    {"accept", in_accept},
    {"accept4", in_accept4},
    {"poll", in_poll},
    {"ppoll", in_ppoll},
    {"select", in_select},
    {"pselect", in_pselect},
    {"epoll_wait", in_epoll_wait},
    {"epoll_pwait", in_epoll_pwait},
    {"splice", in_splice},
    {"open", in_open},
    {"openat", in_openat},
    {"fcntl", in_fcntl},
};
enum { kWaits = sizeof waits / sizeof *waits };

static atomic_int waiting_tid;

static void outer(void* argument) { say("%s: outer handler", (const char*)argument); }
static void inner(void* argument) {
  char word[64];
  snprintf(word, sizeof word, "%s cancelled", (const char*)argument);
  talk(word);
}

static void* wait_in(void* argument) {
  const Wait* const wait = argument;
  pthread_cleanup_push(outer, (void*)wait->name);
  pthread_cleanup_push(inner, (void*)wait->name);
  waiting_tid = (int)syscall(SYS_gettid);
  wait->wait();
  CHECK(!"it waits for what does not come");
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return NULL;
}

// Waits until the thread sleeps in the kernel.
static void until_asleep(int tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  for (;;) {
    FILE* const stat = fopen(path, "r");
    CHECK(stat != NULL && fgets(text, sizeof text, stat) != NULL && fclose(stat) == 0);
    if (strstr(text, ") S ") != NULL) return;
    usleep(500);
  }
}

static void cancel_each(void) {
  for (int i = 0; i < kWaits; ++i) {
    pthread_t thread;
    waiting_tid = 0;
    CHECK(pthread_create(&thread, NULL, wait_in, (void*)&waits[i]) == 0);
    while (waiting_tid == 0) usleep(100);
    until_asleep(waiting_tid);
    CHECK(pthread_cancel(thread) == 0);
    void* result;
    CHECK(pthread_join(thread, &result) == 0);
    say("%s: %s", waits[i].name, result == PTHREAD_CANCELED ? "cancelled" : "ended");
  }
}

static sigjmp_buf out;
static void jump(int number) { siglongjmp(out, number); }

static void jump_out_of_each(void) {
  const struct sigaction action = {.sa_handler = jump};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  for (volatile int i = 0; i < kWaits; ++i) {
    for (volatile int n = 0; n < 5; ++n) {
      if (sigsetjmp(out, 1) == 0) {
        const struct itimerval soon = {{0, 0}, {0, 3000}};
        CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        waits[i].wait();
        CHECK(!"it waits for what does not come");
      }
    }
    char word[64];
    snprintf(word, sizeof word, "%s left", waits[i].name);
    talk(word);
  }
}

// A child that holds the lock that in_fcntl waits for.
static void hold_lock(void) {
  int ready[2];
  CHECK(pipe(ready) == 0);
  holder = fork();
  if (holder == 0) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    CHECK(fcntl(file, F_SETLK, &lock) == 0 && write(ready[1], "r", 1) == 1);
    for (;;) pause();
  }
  char byte;
  CHECK(holder > 0 && read(ready[0], &byte, 1) == 1);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  snprintf(fifo, sizeof fifo, "%s", argv[1]);  // a fifo that nobody opens
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, full) == 0);
  while (send(full[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
  }
  while (send(full[1], buffer, 1, MSG_DONTWAIT) > 0) {
  }
  CHECK(pipe(pipes) == 0);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(listener >= 0 && listen(listener, 5) == 0);
  epoll = epoll_create1(0);
  struct epoll_event readable = {.events = EPOLLIN};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, stream[0], &readable) == 0);
  file = memfd_create("locked", 0);
  hold_lock();
  cancel_each();
  jump_out_of_each();
  CHECK(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
  CHECK(send(stream[1], "still", 5, 0) == 5 && recv(stream[0], buffer, 5, 0) == 5);
  const int next = dup(0);
  say("next descriptor %d", next);
  return 0;
}
