// SPDX-License-Identifier: Apache-2.0
//
// A yardstick: what a recorder costs that hands its events to LTTng-UST, the best tracer with shared memory there is. A
// preloaded library that records the calls which the workloads of bench/workloads make on sockets, with the bytes that
// moved. It knows nothing of forks, vectors, names or lives of descriptors: what is measured here is the least.

#define _GNU_SOURCE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "bench/lttng/tracepoints.h"

#define HOOK __attribute__((visibility("default")))

// Numbers of the functions, in the tracepoint's field `function`.
enum function {
  kRead = 1,
  kWrite,
  kSend,
  kRecv,
  kSocket,
  kSocketpair,
  kBind,
  kListen,
  kAccept,
  kConnect,
  kShutdown,
  kSetsockopt,
  kGetsockname,
  kClose
};

static struct {
  ssize_t (*read)(int, void*, size_t);
  ssize_t (*write)(int, const void*, size_t);
  ssize_t (*send)(int, const void*, size_t, int);
  ssize_t (*recv)(int, void*, size_t, int);
  int (*socket)(int, int, int);
  int (*socketpair)(int, int, int, int[2]);
  int (*bind)(int, const struct sockaddr*, socklen_t);
  int (*listen)(int, int);
  int (*accept)(int, struct sockaddr*, socklen_t*);
  int (*connect)(int, const struct sockaddr*, socklen_t);
  int (*shutdown)(int, int);
  int (*setsockopt)(int, int, int, const void*, socklen_t);
  int (*getsockname)(int, struct sockaddr*, socklen_t*);
  int (*close)(int);
} real;

enum { kUnknown, kIsSocket, kIsNone };
static _Atomic unsigned char kinds[1 << 16];
static atomic_int ready;

#define RESOLVE(name) *(void**)&real.name = dlsym(RTLD_NEXT, #name)

// Also called by the hooks: constructors of other libraries, and the threads that LTTng's makes, call them before this.
__attribute__((constructor)) static void resolve(void) {
  RESOLVE(read);
  RESOLVE(write);
  RESOLVE(send);
  RESOLVE(recv);
  RESOLVE(socket);
  RESOLVE(socketpair);
  RESOLVE(bind);
  RESOLVE(listen);
  RESOLVE(accept);
  RESOLVE(connect);
  RESOLVE(shutdown);
  RESOLVE(setsockopt);
  RESOLVE(getsockname);
  RESOLVE(close);
  atomic_store_explicit(&ready, 1, memory_order_release);
}

static int is_socket(int fd) {
  if ((unsigned)fd >= sizeof kinds) return 0;
  unsigned char kind = atomic_load_explicit(&kinds[fd], memory_order_relaxed);
  if (kind == kUnknown) {
    struct stat status;
    int saved = errno;
    kind = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? kIsSocket : kIsNone;
    errno = saved;
    atomic_store_explicit(&kinds[fd], kind, memory_order_relaxed);
  }
  return kind == kIsSocket;
}

static uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void record(enum function function, int fd, uint64_t entry_ns, int64_t result, const void* bytes) {
  int saved = errno;
  lttng_ust_tracepoint(sockets, call, (int)function, fd, entry_ns, result, result < 0 ? saved : 0, bytes,
                       bytes != NULL && result > 0 ? (uint32_t)result : 0);
  errno = saved;
}

// The body of a hook: `call` is the real call on fd, `bytes` what it moved, or NULL.
#define RECORD(function, fd, bytes, call)                               \
  do {                                                                  \
    if (!atomic_load_explicit(&ready, memory_order_acquire)) resolve(); \
    if (!is_socket(fd)) return call;                                    \
    const uint64_t entry_ns = now_ns();                                 \
    const __typeof__(call) result = call;                               \
    record(function, fd, entry_ns, result, bytes);                      \
    return result;                                                      \
  } while (0)

HOOK ssize_t read(int fd, void* bytes, size_t size) { RECORD(kRead, fd, bytes, real.read(fd, bytes, size)); }
HOOK ssize_t write(int fd, const void* bytes, size_t size) { RECORD(kWrite, fd, bytes, real.write(fd, bytes, size)); }
HOOK ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  RECORD(kSend, fd, bytes, real.send(fd, bytes, size, flags));
}
HOOK ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  RECORD(kRecv, fd, bytes, real.recv(fd, bytes, size, flags));
}
HOOK int bind(int fd, const struct sockaddr* address, socklen_t size) {
  RECORD(kBind, fd, NULL, real.bind(fd, address, size));
}
HOOK int listen(int fd, int backlog) { RECORD(kListen, fd, NULL, real.listen(fd, backlog)); }
HOOK int accept(int fd, struct sockaddr* address, socklen_t* size) {
  RECORD(kAccept, fd, NULL, real.accept(fd, address, size));
}
HOOK int connect(int fd, const struct sockaddr* address, socklen_t size) {
  RECORD(kConnect, fd, NULL, real.connect(fd, address, size));
}
HOOK int shutdown(int fd, int how) { RECORD(kShutdown, fd, NULL, real.shutdown(fd, how)); }
HOOK int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  RECORD(kSetsockopt, fd, NULL, real.setsockopt(fd, level, name, value, size));
}
HOOK int getsockname(int fd, struct sockaddr* address, socklen_t* size) {
  RECORD(kGetsockname, fd, NULL, real.getsockname(fd, address, size));
}

HOOK int socket(int domain, int type, int protocol) {
  if (!atomic_load_explicit(&ready, memory_order_acquire)) resolve();
  const uint64_t entry_ns = now_ns();
  const int fd = real.socket(domain, type, protocol);
  record(kSocket, fd, entry_ns, fd, NULL);
  return fd;
}

HOOK int socketpair(int domain, int type, int protocol, int pair[2]) {
  if (!atomic_load_explicit(&ready, memory_order_acquire)) resolve();
  const uint64_t entry_ns = now_ns();
  const int result = real.socketpair(domain, type, protocol, pair);
  record(kSocketpair, pair[0], entry_ns, result, NULL);
  return result;
}

HOOK int close(int fd) {
  if (!atomic_load_explicit(&ready, memory_order_acquire)) resolve();
  if (!is_socket(fd)) {
    if ((unsigned)fd < sizeof kinds) atomic_store_explicit(&kinds[fd], kUnknown, memory_order_relaxed);
    return real.close(fd);
  }
  const uint64_t entry_ns = now_ns();
  atomic_store_explicit(&kinds[fd], kUnknown, memory_order_relaxed);
  const int result = real.close(fd);
  record(kClose, fd, entry_ns, result, NULL);
  return result;
}
