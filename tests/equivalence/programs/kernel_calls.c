// SPDX-License-Identifier: Apache-2.0
//
// Calls of the kernel that programs make seldom: bytes that stay inside it, bytes at an offset, many descriptors closed
// at once, watches, timers, processes as descriptors, and system calls by their numbers.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "each_call.h"
#include "tests/workloads/check.h"

enum { kSize = 300 };

static void make_close_range(void) {
  const struct Ends ends = stream_ends();
  CHECK(dup2(ends.a, 700) == 700 && dup2(ends.b, 702) == 702 && dup2(ends.b, 703) == 703);
  CHECK(close_range(700, 702, 0) == 0);
  CHECK_FAILS(fcntl(702, F_SETFD, 0), EBADF);
  CHECK(fcntl(703, F_SETFD, 0) == 0);
  closefrom(703);
  CHECK_FAILS(fcntl(703, F_SETFD, 0), EBADF);
  CHECK_FAILS(close_range(702, 700, 0), EINVAL);
  close_ends(ends);
}

static void make_splice(void) {
  const int file = open("/proc/self/exe", O_RDONLY);
  const struct Ends ends = stream_ends(), datagrams = datagram_ends();
  int pipe_ends[2];
  CHECK(pipe(pipe_ends) == 0);
  char got[kSize];
  const int sinks[][2] = {{ends.a, ends.b}, {datagrams.a, datagrams.b}};
  for (int i = 0; i < 2; ++i) {
    loff_t from = 64;
    CHECK(splice(file, &from, pipe_ends[1], NULL, kSize, 0) == kSize);
    CHECK(splice(pipe_ends[0], NULL, sinks[i][0], NULL, kSize, 0) == kSize);
    CHECK(recv(sinks[i][1], got, sizeof got, MSG_WAITALL) == kSize);
  }
  CHECK(send(ends.a, got, sizeof got, 0) == kSize);
  CHECK(splice(ends.b, NULL, pipe_ends[1], NULL, kSize, 0) == kSize && read(pipe_ends[0], got, sizeof got) == kSize);
  CHECK_FAILS(splice(file, NULL, ends.a, NULL, kSize, 0), EINVAL);
  CHECK_FAILS(splice(kNoDescriptor, NULL, ends.a, NULL, kSize, 0), EBADF);
  CHECK(close(file) == 0);
  close_ends(ends);
  close_ends(datagrams);
  close_ends((struct Ends){pipe_ends[0], pipe_ends[1]});
}

static void make_tee(void) {
  int first[2], second[2];
  char got[kSize] = "dear reader";
  CHECK(pipe(first) == 0 && pipe(second) == 0);
  struct iovec part = {got, sizeof got};
  CHECK(vmsplice(first[1], &part, 1, 0) == kSize);
  CHECK(tee(first[0], second[1], kSize, 0) == kSize);
  CHECK(read(first[0], got, sizeof got) == kSize && read(second[0], got, sizeof got) == kSize);
  CHECK_FAILS(tee(kNoDescriptor, second[1], 9, 0), EBADF);
  CHECK_FAILS(vmsplice(kNoDescriptor, &part, 1, 0), EBADF);
  close_ends((struct Ends){first[0], first[1]});
  close_ends((struct Ends){second[0], second[1]});
}

static void make_at_offsets(void) {
  const int file = memfd_create("letter", 0), copy = memfd_create("copy", 0);
  const struct Ends ends = stream_ends();
  char bytes[kSize] = "dear reader";
  struct iovec part = {bytes, sizeof bytes};
  CHECK(pwrite(file, bytes, sizeof bytes, 10) == kSize && pread(file, bytes, OPAQUE(sizeof bytes), 10) == kSize);
  CHECK(pwritev(file, &part, 1, 20) == kSize && preadv(file, &part, 1, 20) == kSize);
  CHECK(pwritev2(file, &part, 1, 30, 0) == kSize && preadv2(file, &part, 1, 30, 0) == kSize);
  loff_t from = 0;
  CHECK(copy_file_range(file, &from, copy, NULL, kSize, 0) == kSize);
  CHECK(pwritev2(ends.a, &part, 1, -1, 0) == kSize);  // with no offset, sockets take it
  CHECK(preadv2(ends.b, &part, 1, -1, 0) == kSize);
  CHECK_FAILS(pread(ends.a, bytes, OPAQUE((size_t)9), 10), ESPIPE);
  CHECK_FAILS(pwrite(kNoDescriptor, bytes, 9, 10), EBADF);
  CHECK_FAILS(preadv(kNoDescriptor, &part, 1, 0), EBADF);
  CHECK_FAILS(pwritev(ends.a, &part, 1, 5), ESPIPE);
  CHECK_FAILS(copy_file_range(kNoDescriptor, NULL, copy, NULL, 9, 0), EBADF);
  close_ends(ends);
  close_ends((struct Ends){file, copy});
}

static void make_ioctl(void) {
  const struct Ends kinds[] = {stream_ends(), datagram_ends()};
  for (int i = 0; i < 2; ++i) {
    int value = 1;
    CHECK(ioctl(kinds[i].a, FIONBIO, &value) == 0 && ioctl(kinds[i].a, FIOCLEX) == 0 &&
          ioctl(kinds[i].a, FIONCLEX) == 0);
    CHECK(send(kinds[i].b, "knock", 5, 0) == 5);
    CHECK(ioctl(kinds[i].a, FIONREAD, &value) == 0);
    CHECK_FAILS(ioctl(kinds[i].a, FIONBIO, nowhere()), EFAULT);
    close_ends(kinds[i]);
  }
  CHECK_FAILS(ioctl(kNoDescriptor, FIONREAD, &(int){0}), EBADF);
}

static void make_epoll_pwait2(void) {
  const struct Ends ends = stream_ends();
  const int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = ends.a};
  const struct timespec soon = {.tv_nsec = 1000};
  CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends.a, &event) == 0 && epoll_pwait2(set, &event, 1, &soon, NULL) == 0);
  CHECK(send(ends.b, "knock", 5, 0) == 5 && epoll_pwait2(set, &event, 1, NULL, NULL) == 1);
  CHECK_FAILS(epoll_pwait2(kNoDescriptor, &event, 1, &soon, NULL), EBADF);
  CHECK(close(set) == 0);
  close_ends(ends);
}

static void make_eventfd_transfers(void) {
  const int fd = eventfd(0, EFD_NONBLOCK);
  eventfd_t value;
  CHECK(eventfd_write(fd, 7) == 0 && eventfd_read(fd, &value) == 0 && value == 7);
  CHECK_FAILS(eventfd_read(fd, &value), EAGAIN);
  CHECK_FAILS(eventfd_write(kNoDescriptor, 1), EBADF);
  CHECK(close(fd) == 0);
}

static void make_timers(void) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec once = {.it_value = {.tv_nsec = 1000}}, left;
  uint64_t expired;
  CHECK(timerfd_settime(fd, 0, &once, NULL) == 0 && timerfd_gettime(fd, &left) == 0);
  CHECK(read(fd, &expired, sizeof expired) == sizeof expired);
  CHECK_FAILS(timerfd_settime(kNoDescriptor, 0, &once, NULL), EBADF);
  CHECK_FAILS(timerfd_gettime(kNoDescriptor, &left), EBADF);
  CHECK(close(fd) == 0);
}

static void make_inotify(void) {
  const int fd = inotify_init1(IN_NONBLOCK), older = inotify_init();
  const int watch = inotify_add_watch(fd, "/", IN_CREATE);
  CHECK(older >= 0 && watch >= 0 && inotify_rm_watch(fd, watch) == 0);
  CHECK_FAILS(inotify_add_watch(kNoDescriptor, "/", IN_CREATE), EBADF);
  CHECK_FAILS(inotify_rm_watch(fd, 4711), EINVAL);
  close_ends((struct Ends){fd, older});
}

// Closes what a call made that the kernel may refuse: to anybody but root, in a container, or for being too old.
static void made_or_refused(int fd) {
  if (fd >= 0) {
    CHECK(close(fd) == 0);
  } else {
    CHECK(errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == ESTALE || errno == ENODEV);
  }
}

static void make_fanotify(void) {
  const int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
  if (fd >= 0) {
    CHECK(fanotify_mark(fd, FAN_MARK_ADD, FAN_CLOSE_WRITE, AT_FDCWD, "/") == 0 || errno == ENODEV || errno == EINVAL);
    CHECK_FAILS(fanotify_mark(fd, 0x471100, FAN_CLOSE_WRITE, AT_FDCWD, "/"), EINVAL);
  }
  made_or_refused(fd);
  CHECK(fanotify_init(0x471100, O_RDONLY) == -1 && (errno == EINVAL || errno == EPERM || errno == ENOSYS));
  const int file = memfd_create("no group", 0);
  CHECK(fanotify_mark(file, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/") == -1 && (errno == EINVAL || errno == ENOSYS));
  CHECK(fanotify_mark(kNoDescriptor, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/") == -1 &&
        (errno == EBADF || errno == ENOSYS));
  CHECK(close(file) == 0);
}

// Mounts that no folder shows: they go with their descriptors.
static void make_mounts(void) {
  const int system = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (system >= 0) {
    CHECK(fsconfig(system, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0 || errno == EPERM);
    made_or_refused(fsmount(system, FSMOUNT_CLOEXEC, 0));
  }
  made_or_refused(system);
  made_or_refused(fspick(AT_FDCWD, "/", FSPICK_CLOEXEC));
  made_or_refused(open_tree(AT_FDCWD, "/", OPEN_TREE_CLOEXEC));
  const int file = memfd_create("no file system", 0);
  // Which of these the kernel looks at first, rights or arguments, differs by call.
  CHECK(fsopen("no such", FSOPEN_CLOEXEC) == -1);
  CHECK(fsmount(file, FSMOUNT_CLOEXEC, 0) == -1);
  CHECK(fsmount(kNoDescriptor, FSMOUNT_CLOEXEC, 0) == -1);
  CHECK(fspick(kNoDescriptor, "nowhere", FSPICK_CLOEXEC) == -1);
  CHECK(open_tree(file, "nowhere", OPEN_TREE_CLOEXEC) == -1);
  CHECK(open_tree(kNoDescriptor, "nowhere", OPEN_TREE_CLOEXEC) == -1);
  CHECK(close(file) == 0);
}

static void make_handles(void) {
  char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* const handle = (struct file_handle*)room;
  int mount_id;
  const char* const places[] = {"/dev/shm", "/tmp"};  // not every file system has handles
  for (int i = 0; i < 2; ++i) {
    handle->handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, places[i], handle, &mount_id, 0) != 0) continue;
    const int place = open(places[i], O_RDONLY | O_DIRECTORY);
    made_or_refused(open_by_handle_at(place, handle, O_RDONLY | O_CLOEXEC));
    CHECK(close(place) == 0);
  }
  handle->handle_bytes = 4;
  CHECK(open_by_handle_at(kNoDescriptor, handle, O_RDONLY) == -1);
  const int file = memfd_create("no folder", 0);
  CHECK(open_by_handle_at(file, OPAQUE((struct file_handle*)nowhere()), O_RDONLY) == -1);
  CHECK(close(file) == 0);
}

static void make_pidfd(void) {
  const struct Ends ends = stream_ends();
  const int self = pidfd_open(getpid(), 0);
  CHECK(self >= 0 && pidfd_send_signal(self, 0, NULL, 0) == 0);
  const int copy = pidfd_getfd(self, ends.a, 0);
  CHECK(copy >= 0 && close(copy) == 0);
  CHECK_FAILS(pidfd_getfd(self, kNoDescriptor, 0), EBADF);
  CHECK_FAILS(pidfd_open(-1, 0), EINVAL);
  CHECK(close(self) == 0);
  close_ends(ends);
}

static void make_syscall(void) {
  const struct Ends ends = stream_ends();
  char got[5];
  CHECK(syscall(SYS_sendto, ends.a, "knock", 5L, 0L, NULL, 0L) == 5);
  CHECK(syscall(SYS_recvfrom, ends.b, got, 5L, MSG_WAITALL, NULL, NULL) == 5 && memcmp(got, "knock", 5) == 0);
  const long copy = syscall(SYS_dup, ends.a);
  CHECK(copy >= 0 && syscall(SYS_close, copy) == 0);
  CHECK_FAILS(syscall(SYS_close, copy), EBADF);
  CHECK_FAILS(syscall(SYS_read, (long)kNoDescriptor, got, 1L), EBADF);
  close_ends(ends);
}

const struct EachCall kKernelCalls[] = {{"close_range", make_close_range},
                                        {"splice", make_splice},
                                        {"tee", make_tee},
                                        {"vmsplice", make_tee},
                                        {"pread", make_at_offsets},
                                        {"pwrite", make_at_offsets},
                                        {"preadv", make_at_offsets},
                                        {"pwritev", make_at_offsets},
                                        {"preadv2", make_at_offsets},
                                        {"pwritev2", make_at_offsets},
                                        {"copy_file_range", make_at_offsets},
                                        {"ioctl", make_ioctl},
                                        {"epoll_pwait2", make_epoll_pwait2},
                                        {"eventfd_read", make_eventfd_transfers},
                                        {"eventfd_write", make_eventfd_transfers},
                                        {"timerfd_settime", make_timers},
                                        {"timerfd_gettime", make_timers},
                                        {"inotify_init", make_inotify},
                                        {"inotify_add_watch", make_inotify},
                                        {"inotify_rm_watch", make_inotify},
                                        {"fanotify_init", make_fanotify},
                                        {"fanotify_mark", make_fanotify},
                                        {"fsopen", make_mounts},
                                        {"fsmount", make_mounts},
                                        {"fspick", make_mounts},
                                        {"open_tree", make_mounts},
                                        {"open_by_handle_at", make_handles},
                                        {"pidfd_open", make_pidfd},
                                        {"pidfd_getfd", make_pidfd},
                                        {"pidfd_send_signal", make_pidfd},
                                        {"syscall", make_syscall},
                                        {NULL, NULL}};
