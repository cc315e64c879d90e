// SPDX-License-Identifier: Apache-2.0
//
// Prototypes of what libc exports but its headers do not declare (or declare only under _FORTIFY_SOURCE), so that
// preload/real.h can have a slot for every row of hooks.def, and the headers that declare the rest.

#ifndef SOCKTALE_PRELOAD_LIBC_PRIVATE_H_
#define SOCKTALE_PRELOAD_LIBC_PRIVATE_H_

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utmp.h>

extern "C" {

#include <sys/pidfd.h>  // which forgets to say that it is C, in glibc 2.36

// The fortified forms: as the plain ones, with the size of the caller's buffer, which libc checks.
ssize_t __read_chk(int fd, void* buf, size_t len, size_t buf_size);
ssize_t __pread_chk(int fd, void* buf, size_t len, off_t offset, size_t buf_size);
ssize_t __pread64_chk(int fd, void* buf, size_t len, off64_t offset, size_t buf_size);
ssize_t __recv_chk(int fd, void* buf, size_t len, size_t buf_size, int flags);
ssize_t __recvfrom_chk(int fd, void* __restrict buf, size_t len, size_t buf_size, int flags,
                       struct sockaddr* __restrict address, socklen_t* __restrict address_len);
int __poll_chk(struct pollfd* fds, nfds_t count, int timeout_ms, size_t fds_size);
int __ppoll_chk(struct pollfd* fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask,
                size_t fds_size);
int __open_2(const char* path, int flags);
int __open64_2(const char* path, int flags);
int __openat_2(int dir, const char* path, int flags);
int __openat64_2(int dir, const char* path, int flags);
mqd_t __mq_open_2(const char* name, int flags);

// Aliases from before the names with two underscores became private to libc.
int __close(int fd);
int __dup2(int fd, int fd2);
int __fcntl(int fd, int command, ...);
int __open(const char* path, int flags, ...);
int __open64(const char* path, int flags, ...);
int __pipe(int fds[2]);
ssize_t __read(int fd, void* buf, size_t len);
ssize_t __pread64(int fd, void* buf, size_t len, off64_t offset);
ssize_t __pwrite64(int fd, const void* buf, size_t len, off64_t offset);
ssize_t __write(int fd, const void* buf, size_t len);
ssize_t __send(int fd, const void* buf, size_t len, int flags);
int __connect(int fd, const struct sockaddr* address, socklen_t address_len);
int __poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int __select(int count, fd_set* read, fd_set* write, fd_set* except, struct timeval* timeout);
pid_t __fork(void);
pid_t __vfork(void);
int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept;
FILE* _IO_fopen(const char* path, const char* mode);
FILE* _IO_fdopen(int fd, const char* mode);
int _IO_fclose(FILE* stream);
FILE* _IO_popen(const char* command, const char* mode);

}  // extern "C"

#endif  // SOCKTALE_PRELOAD_LIBC_PRIVATE_H_
