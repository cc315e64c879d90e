// SPDX-License-Identifier: Apache-2.0
//
// Every call that takes a pointer, with bad ones in place of each of its pointers: unmapped memory, the last bytes
// before such, null, and an address no process has. A line for each call: its name, the result, and errno.
//
//   bad_pointers        as it is
//   bad_pointers user   as another user, for whom the kernel refuses some before it looks at the pointer
//   bad_pointers filter behind a filter that answers EPERM to most before the kernel sees them

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "say.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
int open_tree(int directory, const char* path, unsigned flags);
int fsopen(const char* type, unsigned flags);
int fspick(int directory, const char* path, unsigned flags);

static int stream[2];    // connected, non-blocking, full of bytes to read
static int datagram[2];  // the same, with datagrams
static int listener, file, pipes[2], epoll, timer, counter, watcher, lonely;
static char text[4096];
static char* edge;  // unmapped; the bytes before it are mapped, and no NUL among them when a call begins

// A line for one call. A negative result keeps errno, another says 0 for it.
#define TRY(name, call)                                             \
  do {                                                              \
    memset(edge - 64, 'x', 64);                                     \
    errno = 0;                                                      \
    const long try_result = (long)(call);                           \
    say("%s %ld %d", name, try_result, try_result < 0 ? errno : 0); \
  } while (0)

// A call that may make a descriptor.
#define TRY_OPEN(name, call)                           \
  do {                                                 \
    memset(edge - 64, 'x', 64);                        \
    errno = 0;                                         \
    const int made = (call);                           \
    say("%s %d %d", name, made, made < 0 ? errno : 0); \
    if (made >= 0) CHECK(close(made) == 0);            \
  } while (0)

static void nonblocking(int fd) { CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0); }

static void set_up(void) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream) == 0);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagram) == 0);
  for (int i = 0; i < 2; ++i) {
    CHECK(send(stream[i], text, sizeof text, 0) == sizeof text);
    for (int n = 0; n < 5; ++n) CHECK(send(datagram[i], text, 100, 0) == 100);
  }
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  listener = socket(AF_INET, SOCK_STREAM, 0);
  lonely = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(listener, (const struct sockaddr*)&any, sizeof any) == 0 && listen(listener, 5) == 0);
  nonblocking(listener);
  nonblocking(lonely);
  file = memfd_create("file", 0);
  CHECK(file >= 0 && write(file, text, sizeof text) == sizeof text && lseek(file, 0, SEEK_SET) == 0);
  CHECK(pipe(pipes) == 0);
  nonblocking(pipes[0]);
  nonblocking(pipes[1]);
  CHECK(write(pipes[1], text, 64) == 64);
  epoll = epoll_create1(0);
  struct epoll_event readable = {.events = EPOLLIN};
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, stream[0], &readable) == 0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  counter = eventfd(3, EFD_NONBLOCK);
  watcher = inotify_init1(IN_NONBLOCK);
}

static void transfers(char* bad) {
  TRY("read", read(stream[0], bad, 8));
  TRY("write", write(stream[0], bad, 8));
  TRY("recv", recv(stream[0], bad, 8, 0));
  TRY("send", send(stream[0], bad, 8, 0));
  TRY("recvfrom", recvfrom(datagram[0], bad, 8, 0, NULL, NULL));
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char byte;
  TRY("recvfrom", recvfrom(datagram[0], &byte, 1, 0, (void*)bad, &size));
  TRY("recvfrom", recvfrom(datagram[0], &byte, 1, 0, (void*)&address, (void*)bad));
  TRY("sendto", sendto(datagram[0], bad, 8, 0, NULL, 0));
  TRY("sendto", sendto(datagram[0], text, 8, 0, (void*)bad, 16));
  struct iovec parts[2] = {{text, 4}, {bad, 8}};
  TRY("readv", readv(stream[0], (void*)bad, 2));
  TRY("readv", readv(stream[0], parts, 2));
  TRY("writev", writev(stream[0], (void*)bad, 2));
  TRY("writev", writev(stream[0], parts, 2));
  TRY("pread", pread(file, bad, 8, 0));
  TRY("pwrite", pwrite(file, bad, 8, 0));
  TRY("preadv", preadv(file, (void*)bad, 2, 0));
  TRY("pwritev", pwritev(file, (void*)bad, 2, 0));
  TRY("preadv2", preadv2(stream[0], (void*)bad, 2, -1, 0));
  TRY("preadv2", preadv2(stream[0], parts, 2, -1, 0));
  TRY("pwritev2", pwritev2(stream[0], (void*)bad, 2, -1, 0));
  TRY("pwritev2", pwritev2(stream[0], parts, 2, -1, 0));
  TRY("sendfile", sendfile(stream[0], file, (void*)bad, 4));
  TRY("splice", splice(file, (void*)bad, pipes[1], NULL, 4, SPLICE_F_NONBLOCK));
  TRY("splice", splice(pipes[0], NULL, file, (void*)bad, 4, SPLICE_F_NONBLOCK));
  TRY("vmsplice", vmsplice(pipes[1], (void*)bad, 1, SPLICE_F_NONBLOCK));
  TRY("vmsplice", vmsplice(pipes[1], parts + 1, 1, SPLICE_F_NONBLOCK));
  TRY("copy_file_range", copy_file_range(file, (void*)bad, file, NULL, 4, 0));
}

static void messages(char* bad) {
  struct iovec good = {text, 4}, wrong = {bad, 8};
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr kinds[] = {
      {.msg_iov = &wrong, .msg_iovlen = 1},
      {.msg_iov = (void*)bad, .msg_iovlen = 1},
      {.msg_iov = &good, .msg_iovlen = 1, .msg_name = bad, .msg_namelen = 16},
      {.msg_iov = &good, .msg_iovlen = 1, .msg_control = bad, .msg_controllen = sizeof control},
  };
  TRY("recvmsg", recvmsg(datagram[0], (void*)bad, 0));
  TRY("sendmsg", sendmsg(datagram[0], (void*)bad, 0));
  struct mmsghdr batch[2] = {{.msg_hdr = {.msg_iov = &good, .msg_iovlen = 1}}, {.msg_len = 0}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    struct msghdr message = kinds[i];
    TRY("recvmsg", recvmsg(datagram[0], &message, MSG_PEEK));
    message = kinds[i];
    TRY("sendmsg", sendmsg(datagram[0], &message, 0));
    batch[1].msg_hdr = kinds[i];  // the first is good: half a batch
    TRY("recvmmsg", recvmmsg(datagram[0], batch, 2, MSG_PEEK, NULL));
    TRY("sendmmsg", sendmmsg(datagram[0], batch, 2, 0));
  }
  TRY("recvmmsg", recvmmsg(datagram[0], (void*)bad, 2, 0, NULL));
  TRY("recvmmsg", recvmmsg(datagram[0], batch, 1, MSG_PEEK, (void*)bad));
  TRY("sendmmsg", sendmmsg(datagram[0], (void*)bad, 2, 0));
}

static void addresses(char* bad) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  TRY("bind", bind(lonely, (void*)bad, 16));
  TRY("connect", connect(lonely, (void*)bad, 16));
  TRY("connect", connect(stream[0], (void*)bad, 110));
  TRY_OPEN("accept", accept(listener, (void*)bad, &size));
  TRY_OPEN("accept", accept(listener, (void*)&address, (void*)bad));
  TRY_OPEN("accept4", accept4(listener, (void*)bad, (void*)bad, 0));
  TRY("getsockname", getsockname(listener, (void*)bad, &size));
  TRY("getsockname", getsockname(listener, (void*)&address, (void*)bad));
  TRY("getpeername", getpeername(stream[0], (void*)bad, &size));
  TRY("getpeername", getpeername(stream[0], (void*)&address, (void*)bad));
  // One that is waiting for accept: its address has nowhere to go.
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  size = sizeof address;
  CHECK(getsockname(listener, (void*)&address, &size) == 0);
  TRY("connect", connect(client, (void*)&address, size));
  TRY_OPEN("accept", accept(listener, (void*)bad, &size));
  CHECK(close(client) == 0);
  int value = 1;
  size = sizeof value;
  TRY("setsockopt", setsockopt(lonely, SOL_SOCKET, SO_KEEPALIVE, bad, 4));
  TRY("setsockopt", setsockopt(lonely, SOL_SOCKET, SO_BINDTODEVICE, bad, 16));
  TRY("getsockopt", getsockopt(lonely, SOL_SOCKET, SO_KEEPALIVE, bad, &size));
  TRY("getsockopt", getsockopt(lonely, SOL_SOCKET, SO_KEEPALIVE, &value, (void*)bad));
}

// (The timeouts of ppoll and select are read by libc itself: numbers() has those.)
static void waits(char* bad) {
  const int null = OPAQUE(bad) == NULL;
  const struct timespec now = {0, 0};
  struct pollfd one = {stream[0], POLLIN, 0};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(stream[0], &set);
  struct timeval no_time = {0, 0};
  struct epoll_event event;
  TRY("poll", poll((void*)bad, 2, 0));
  TRY("ppoll", ppoll((void*)bad, 2, &now, NULL));
  TRY("ppoll", ppoll(&one, 1, &now, (void*)bad));
  TRY("select", select(stream[0] + 1, (void*)bad, NULL, NULL, &no_time));
  TRY("select", select(stream[0] + 1, NULL, (void*)bad, &set, &no_time));
  TRY("pselect", pselect(stream[0] + 1, NULL, NULL, (void*)bad, &now, NULL));
  TRY("pselect", pselect(stream[0] + 1, NULL, NULL, NULL, &now, (void*)bad));
  TRY("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, counter, (void*)bad));
  TRY("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_MOD, stream[0], (void*)bad));
  TRY("epoll_wait", epoll_wait(epoll, (void*)bad, 4, 0));
  TRY("epoll_pwait", epoll_pwait(epoll, (void*)bad, 4, 0, NULL));
  TRY("epoll_pwait", epoll_pwait(epoll, &event, 1, 0, (void*)bad));
  if (!null) TRY("epoll_pwait2", epoll_pwait2(epoll, &event, 1, (void*)bad, NULL));
  TRY("epoll_pwait2", epoll_pwait2(epoll, &event, 1, &now, (void*)bad));
}

static void makers(char* bad) {
  const int null = OPAQUE(bad) == NULL;
  TRY("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (void*)bad));
  TRY("pipe", pipe((void*)bad));
  TRY("pipe2", pipe2((void*)bad, O_CLOEXEC));
  TRY_OPEN("open", open(bad, O_RDONLY));
  TRY_OPEN("open", open(bad, O_RDWR | O_CREAT, 0600));
  TRY_OPEN("openat", openat(AT_FDCWD, bad, O_RDONLY));
  TRY_OPEN("openat", openat(-1, bad, O_RDONLY));
  TRY_OPEN("openat", openat(listener, bad, O_RDONLY));
  TRY_OPEN("creat", creat(bad, 0600));
  TRY_OPEN("memfd_create", memfd_create(bad, 0));
  TRY_OPEN("signalfd", signalfd(-1, (void*)bad, 0));
  TRY("fopen", fopen(bad, "r") == NULL ? -1 : 0);
  FILE* stream_of_file;
  TRY("fopen", (stream_of_file = fopen("/dev/null", "r")) == NULL ? -1 : 0);
  if (stream_of_file != NULL && !null) TRY("freopen", freopen(bad, "r", stream_of_file) == NULL ? -1 : 0);
  TRY_OPEN("open_tree", open_tree(AT_FDCWD, bad, OPEN_TREE_CLONE));
  TRY_OPEN("open_tree", open_tree(-1, bad, 0));
  TRY_OPEN("fsopen", fsopen(bad, 0));
  TRY_OPEN("fspick", fspick(AT_FDCWD, bad, 0));
  TRY_OPEN("open_by_handle_at", open_by_handle_at(AT_FDCWD, (void*)bad, 0));
  TRY("inotify_add_watch", inotify_add_watch(watcher, bad, IN_CREATE));
  TRY("inotify_add_watch", inotify_add_watch(file, bad, IN_CREATE));
  TRY("fanotify_mark", fanotify_mark(watcher, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, bad));
  TRY("timerfd_settime", timerfd_settime(timer, 0, (void*)bad, NULL));
  const struct itimerspec never = {{0, 0}, {0, 0}};
  TRY("timerfd_settime", timerfd_settime(timer, 0, &never, (void*)bad));
  TRY("timerfd_gettime", timerfd_gettime(timer, (void*)bad));
  TRY("eventfd_read", eventfd_read(counter, (void*)bad));
  TRY("ioctl", ioctl(stream[0], FIONBIO, bad));
  TRY("ioctl", ioctl(stream[0], FIONREAD, bad));
  TRY("fcntl", fcntl(file, F_GETLK, bad));
  TRY("fcntl", fcntl(stream[0], F_GETOWN_EX, bad));
}

static void programs(char* bad) {
  const int null = OPAQUE(bad) == NULL;  // asked before the compiler concludes from a call that it is none
  char* good[] = {(char*)"true", NULL};
  char* wrong[] = {(char*)"true", null ? (char*)1 : bad, NULL};
  TRY("execve", execve(bad, good, good));
  if (!null) {  // (Linux takes null for empty)
    TRY("execve", execve("/bin/true", (void*)bad, good));
    TRY("execve", execve("/bin/true", good, (void*)bad));
  }
  TRY("execve", execve("/bin/true", wrong, good));
  TRY("execve", execve("/bin/true", good, wrong));
  TRY("execve", execveat(AT_FDCWD, bad, good, good, 0));
  pid_t pid = 0;
  int error = posix_spawn(&pid, bad, NULL, NULL, good, good);
  say("posix_spawn %d %d", error, pid);
  error = posix_spawn(&pid, "/bin/true", NULL, NULL, wrong, good);
  say("posix_spawn %d %d", error, pid);
  error = posix_spawn(&pid, "/bin/true", NULL, NULL, good, wrong);
  say("posix_spawn %d %d", error, pid);
  if (!null) say("system %d", system(bad));
  say("popen %d", popen(bad, "r") == NULL ? -1 : 0);
}

// The same by number, where libc has no part in it.
static void numbers(char* bad) {
  TRY("open", syscall(SYS_open, bad, O_RDONLY, 0));
  TRY("openat2", syscall(SYS_openat2, AT_FDCWD, bad, bad, 24));
  TRY("read", syscall(SYS_read, stream[0], bad, 8));
  TRY("sendto", syscall(SYS_sendto, datagram[0], text, 8, 0, bad, 16));
  TRY("recvmsg", syscall(SYS_recvmsg, datagram[0], bad, 0));
  TRY("mq_open", syscall(SYS_mq_open, bad, O_RDONLY, 0, bad));
  if (OPAQUE(bad) != NULL) {  // (null: for ever)
    TRY("select", syscall(SYS_select, 8, bad, NULL, NULL, bad));
    TRY("ppoll", syscall(SYS_ppoll, bad, 1, bad, bad, 8));
  }
  TRY("clone3", syscall(SYS_clone3, bad, 64));
  TRY("execve", syscall(SYS_execve, bad, bad, bad));
  TRY("pidfd_send_signal", syscall(SYS_pidfd_send_signal, file, 0, bad, 0));
}

static void filter_calls(void) {
  const int calls[] = {SYS_bind,       SYS_connect,    SYS_sendto,       SYS_sendmsg,    SYS_sendmmsg,
                       SYS_recvfrom,   SYS_recvmsg,    SYS_recvmmsg,     SYS_poll,       SYS_ppoll,
                       SYS_select,     SYS_pselect6,   SYS_epoll_ctl,    SYS_epoll_wait, SYS_open,
                       SYS_openat,     SYS_creat,      SYS_memfd_create, SYS_signalfd4,  SYS_inotify_add_watch,
                       SYS_setsockopt, SYS_getsockopt, SYS_getpeername,  SYS_accept,     SYS_timerfd_settime,
                       SYS_readv,      SYS_writev,     SYS_pipe2,        SYS_ioctl,      SYS_fsopen};
  enum { kCalls = sizeof calls / sizeof *calls };
  struct sock_filter code[kCalls + 3];
  code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < kCalls; ++i) {
    code[1 + i] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], (unsigned char)(kCalls - i), 0);
  }
  code[1 + kCalls] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[2 + kCalls] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  const struct sock_fprog filter = {kCalls + 3, code};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

int main(int argc, char** argv) {
  set_up();
  const int filtered = argc > 1 && strcmp(argv[1], "filter") == 0;
  if (filtered) filter_calls();
  if (argc > 1 && strcmp(argv[1], "user") == 0)
    CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
  edge = unmapped_after_64();
  char* const bad[] = {edge, edge - 2, edge - 17, NULL, (char*)8, (char*)0x8000000000000000};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    say("# %zu", i);
    transfers(bad[i]);
    messages(bad[i]);
    addresses(bad[i]);
    waits(bad[i]);
    makers(bad[i]);
    if (!filtered) programs(bad[i]);
    numbers(bad[i]);
  }
  return 0;
}
