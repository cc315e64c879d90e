// SPDX-License-Identifier: Apache-2.0
//
// syscall(2): any system call by its number. One that has a function in libc is recorded as a call of that function, by
// the hook of that name; the few that have none and make a descriptor are recorded here (CALL_SYSCALL); everything else
// goes straight through.
//
// The hooks then give the kernel the number itself (ByNumber in call_scope.h), so the call stays what the program asked
// for: no atfork handlers, no cancellation, the kernel's own reading of the arguments.

#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "preload/found.h"
#include "preload/hooks/confine.h"
#include "preload/hooks/made.h"
#include "preload/hooks/sharing_child.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {

constinit __thread ByNumber by_number = {0, 0, {}};

namespace {

// Where Dispatch() stands: the linker gives the ends of a section these names.
#define DISPATCH_SECTION "socktale_dispatch"
extern "C" const char __start_socktale_dispatch[] __attribute__((visibility("hidden")));
extern "C" const char __stop_socktale_dispatch[] __attribute__((visibility("hidden")));

}  // namespace

// A note is taken by a hook that returns to Dispatch() and no other: not by one of a signal handler that comes between
// the note and the hook that it is for, nor by the program's next call after a handler that jumped away from there.
bool CallScope::TakesNumber(Hook hook, const void* caller) {
  if (caller < __start_socktale_dispatch || caller >= __stop_socktale_dispatch) return false;
  if (by_number.hook != static_cast<uint32_t>(hook) + 1) return false;
  by_number.hook = 0;
  return true;
}

void CallScope::TakeNumberOfHook(const void* caller) {
  if (!TakesNumber(hook_, caller)) return;
  number_ = by_number.number;
  __builtin_memcpy(words_, by_number.words, sizeof words_);
}

// The kernel gets what the program gave, but where the hook put something in its place: an address of its own for none,
// another environment. Where the C function has less of a word than the kernel (an int), or no such argument at all,
// the program's word is whole.
long CallScope::ToKernel(const Arguments& given) const {
  long v[6];
  for (int i = 0; i < 6; ++i) {
    const bool same = (given.narrow >> i & 1) != 0 && static_cast<int>(given.values[i]) == static_cast<int>(words_[i]);
    v[i] = same || given.values[i] == 0 ? words_[i] : given.values[i];
  }
  const long result = KernelCall(number_, v[0], v[1], v[2], v[3], v[4], v[5]);
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

namespace {

struct Words {
  long a, b, c, d, e, f;
};

long Straight(long number, const Words& w) {
  return ResolvedReal(real.syscall, Hook::syscall)(number, w.a, w.b, w.c, w.d, w.e, w.f);
}

void Note(Hook hook, long number, const Words& w) {
  by_number.number = static_cast<int32_t>(number);
  static_assert(sizeof by_number.words == sizeof w);
  __builtin_memcpy(by_number.words, &w, sizeof w);
  // Last: whoever takes it finds it whole. (What a signal handler asks by number in between is undone by its syscall.)
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  by_number.hook = static_cast<uint32_t>(hook) + 1;
}

// ---- System calls without a function in libc ----------------------------------------------------------------------

// Whether the call makes a descriptor. (signalfd has a function in libc, whose arguments are not the system call's.)
bool MakesDescriptor(long number, const Words& w) {
  switch (number) {
    case SYS_signalfd4:
#ifdef SYS_signalfd
    case SYS_signalfd:
#endif
      return static_cast<int>(w.a) == -1;
    case SYS_openat2:
    case SYS_userfaultfd:
    case SYS_perf_event_open:
    case SYS_io_uring_setup:
#ifdef SYS_memfd_secret
    case SYS_memfd_secret:
#endif
      return true;
#ifdef SYS_landlock_create_ruleset
    case SYS_landlock_create_ruleset:
      return static_cast<uint32_t>(w.c) == 0;  // its flags ask for a version instead
#endif
    default:
      return false;
  }
}

long RecordUnnamed(long number, const Words& w) {
  CallScope call(Hook::syscall);
  const long result = call.Real(real.syscall, number, w.a, w.b, w.c, w.d, w.e, w.f);
  if (!call.recording()) return result;
  const int fd = static_cast<int>(result);
  EventHead head = call.Head(result);
  head.fd = fd;
  struct stat status;
  uint32_t kind = 0;
  bool close_on_exec = false;
  if (fd >= 0 && RawSyscall(SYS_fstat, fd, RawPointer(&status)) == 0) {
    kind = AskKind(fd, status);
    close_on_exec = (RawSyscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC) != 0;
    fds::Made(fd, fds::EntryFor(kind));
  }
  const char* const path = number == SYS_openat2 ? reinterpret_cast<const char*>(w.b) : nullptr;
  const size_t path_size = path != nullptr && fd >= 0 ? PathSize(result, path) : 0;
  EventWriter event(head, 3 * wire::kMaxNumberField + wire::kMaxBytesOverhead + path_size);
  if (!event.ok()) return result;
  event.tail().Uint<field::event::kOption>(static_cast<uint32_t>(number));
  event.tail().Bytes<field::event::kPath>(path, path_size);
  event.tail().Uint<field::event::kKind>(kind);
  event.tail().Uint<field::event::kCloseOnExec>(close_on_exec);
  event.Commit();
  return result;
}

// ---- clone --------------------------------------------------------------------------------------------------------

// A clone that is a fork: the child has its own memory and goes on where its parent is.
long CloneLikeFork(long number, const Words& w, uint64_t flags) {
  CallScope call(Hook::clone);
  const long kernel = KernelCall(number, w.a, w.b, w.c, w.d, w.e, w.f);
  if (kernel == 0) {
    if (call.recording()) AttachAfterFork(call.start_ns());
    return 0;
  }
  if (kernel < 0) errno = static_cast<int>(-kernel);
  const long result = kernel < 0 ? -1 : kernel;
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.end_ns = Now();
  head.flags = static_cast<uint32_t>(flags);
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return result;
  event.tail().Uint<field::event::kPid>(result > 0 ? static_cast<uint32_t>(result) : 0);
  event.Commit();
  return result;
}

// Others are threads, or go on on a stack of their own, where libc's function leaves them and nothing of ours is.
long CloneOnOwnStack(long number, const Words& w, uint64_t flags) {
  if ((flags & CLONE_VM) == 0) return Straight(number, w);
  const SharingChild child(flags);
  const long result = Straight(number, w);
  if (result != 0) child.Returned(static_cast<int>(result));  // 0: the child itself, where clone3 gave it no stack
  return result;
}

long Clone(long number, const Words& w) {
  uint64_t flags = static_cast<uint64_t>(w.a);
  uint64_t stack = static_cast<uint64_t>(w.b);
  clone_args arguments = {};
  bool longer = false;  // than we know it: there is no copying it
  if (number == SYS_clone3) {
    const size_t size = static_cast<size_t>(w.b);
    if (size < CLONE_ARGS_SIZE_VER0 ||
        !CopyIn(&arguments, reinterpret_cast<const void*>(w.a), size < sizeof arguments ? size : sizeof arguments)) {
      return Straight(number, w);
    }
    longer = size > sizeof arguments;
    flags = arguments.flags;
    stack = arguments.stack;
  }
  if ((flags & CLONE_VM) == 0 && stack == 0) return CloneLikeFork(number, w, flags);
  if (stack == 0 && (flags & CLONE_VFORK) != 0 && (flags & CLONE_THREAD) == 0 && !longer) {
    // The child would return through our frame and leave it in pieces to its parent (as it would do with libc's return
    // address, but for that it has to do more). With a copy of the memory it may; its parent waits for it all the same.
    Words without_sharing = w;
    constexpr uint64_t kSharing = CLONE_VM | CLONE_SIGHAND;  // the second is had with the first alone
    if (number == SYS_clone) {
      without_sharing.a &= ~static_cast<long>(kSharing);
    } else {
      arguments.flags &= ~kSharing;
      without_sharing.a = RawPointer(&arguments);
    }
    return CloneLikeFork(number, without_sharing, flags);
  }
  return CloneOnOwnStack(number, w, flags);
}

// name: of the hook. Behind it its arguments, of the types it has. A jump to the hook in place of a call would have it
// return to the program: there is something left to do behind it.
#define BY_NAME(number, name, ...)           \
  case number: {                             \
    Note(Hook::name, number, w);             \
    const long result = ::name(__VA_ARGS__); \
    __asm__ volatile("");                    \
    return result;                           \
  }
#define INT(word) static_cast<int>(w.word)
#define UNSIGNED(word) static_cast<unsigned>(w.word)
#define SIZE(word) static_cast<size_t>(w.word)
#define POINTER(type, word) reinterpret_cast<type>(w.word)

[[gnu::noinline, gnu::section(DISPATCH_SECTION)]] long Dispatch(long number, const Words& w) {
  switch (number) {
    // Bytes.
    BY_NAME(SYS_read, read, INT(a), POINTER(void*, b), SIZE(c))
    BY_NAME(SYS_write, write, INT(a), POINTER(const void*, b), SIZE(c))
    BY_NAME(SYS_readv, readv, INT(a), POINTER(const iovec*, b), INT(c))
    BY_NAME(SYS_writev, writev, INT(a), POINTER(const iovec*, b), INT(c))
    BY_NAME(SYS_pread64, pread64, INT(a), POINTER(void*, b), SIZE(c), w.d)
    BY_NAME(SYS_pwrite64, pwrite64, INT(a), POINTER(const void*, b), SIZE(c), w.d)
    BY_NAME(SYS_preadv, preadv64, INT(a), POINTER(const iovec*, b), INT(c), w.d)
    BY_NAME(SYS_pwritev, pwritev64, INT(a), POINTER(const iovec*, b), INT(c), w.d)
    // The offset's upper half, which 64-bit kernels do not look at, stands between it and the flags.
    BY_NAME(SYS_preadv2, preadv64v2, INT(a), POINTER(const iovec*, b), INT(c), w.d, INT(f))
    BY_NAME(SYS_pwritev2, pwritev64v2, INT(a), POINTER(const iovec*, b), INT(c), w.d, INT(f))
    BY_NAME(SYS_sendto, sendto, INT(a), POINTER(const void*, b), SIZE(c), INT(d), POINTER(const sockaddr*, e),
            static_cast<socklen_t>(w.f))
    BY_NAME(SYS_recvfrom, recvfrom, INT(a), POINTER(void*, b), SIZE(c), INT(d), POINTER(sockaddr*, e),
            POINTER(socklen_t*, f))
    BY_NAME(SYS_sendmsg, sendmsg, INT(a), POINTER(const msghdr*, b), INT(c))
    BY_NAME(SYS_recvmsg, recvmsg, INT(a), POINTER(msghdr*, b), INT(c))
    BY_NAME(SYS_sendmmsg, sendmmsg, INT(a), POINTER(mmsghdr*, b), UNSIGNED(c), INT(d))
    BY_NAME(SYS_recvmmsg, recvmmsg, INT(a), POINTER(mmsghdr*, b), UNSIGNED(c), INT(d), POINTER(timespec*, e))
    BY_NAME(SYS_sendfile, sendfile64, INT(a), INT(b), POINTER(off64_t*, c), SIZE(d))
    BY_NAME(SYS_splice, splice, INT(a), POINTER(off64_t*, b), INT(c), POINTER(off64_t*, d), SIZE(e), UNSIGNED(f))
    BY_NAME(SYS_tee, tee, INT(a), INT(b), SIZE(c), UNSIGNED(d))
    BY_NAME(SYS_vmsplice, vmsplice, INT(a), POINTER(const iovec*, b), SIZE(c), UNSIGNED(d))
    BY_NAME(SYS_copy_file_range, copy_file_range, INT(a), POINTER(off64_t*, b), INT(c), POINTER(off64_t*, d), SIZE(e),
            UNSIGNED(f))

    // Sockets.
    BY_NAME(SYS_socket, socket, INT(a), INT(b), INT(c))
    BY_NAME(SYS_socketpair, socketpair, INT(a), INT(b), INT(c), POINTER(int*, d))
    BY_NAME(SYS_bind, bind, INT(a), POINTER(const sockaddr*, b), static_cast<socklen_t>(w.c))
    BY_NAME(SYS_listen, listen, INT(a), INT(b))
    BY_NAME(SYS_accept, accept, INT(a), POINTER(sockaddr*, b), POINTER(socklen_t*, c))
    BY_NAME(SYS_accept4, accept4, INT(a), POINTER(sockaddr*, b), POINTER(socklen_t*, c), INT(d))
    BY_NAME(SYS_connect, connect, INT(a), POINTER(const sockaddr*, b), static_cast<socklen_t>(w.c))
    BY_NAME(SYS_shutdown, shutdown, INT(a), INT(b))
    BY_NAME(SYS_getsockname, getsockname, INT(a), POINTER(sockaddr*, b), POINTER(socklen_t*, c))
    BY_NAME(SYS_getpeername, getpeername, INT(a), POINTER(sockaddr*, b), POINTER(socklen_t*, c))
    BY_NAME(SYS_setsockopt, setsockopt, INT(a), INT(b), INT(c), POINTER(const void*, d), static_cast<socklen_t>(w.e))
    BY_NAME(SYS_getsockopt, getsockopt, INT(a), INT(b), INT(c), POINTER(void*, d), POINTER(socklen_t*, e))

    // Descriptors.
    BY_NAME(SYS_close, close, INT(a))
    BY_NAME(SYS_close_range, close_range, UNSIGNED(a), UNSIGNED(b), INT(c))
    BY_NAME(SYS_dup, dup, INT(a))
    BY_NAME(SYS_dup3, dup3, INT(a), INT(b), INT(c))
    BY_NAME(SYS_fcntl, fcntl, INT(a), INT(b), w.c)
    BY_NAME(SYS_ioctl, ioctl, INT(a), static_cast<unsigned long>(w.b), w.c)
    BY_NAME(SYS_openat, openat, INT(a), POINTER(const char*, b), INT(c), static_cast<mode_t>(w.d))
    BY_NAME(SYS_pipe2, pipe2, POINTER(int*, a), INT(b))
    BY_NAME(SYS_eventfd2, eventfd, UNSIGNED(a), INT(b))
    BY_NAME(SYS_epoll_create1, epoll_create1, INT(a))
    BY_NAME(SYS_epoll_ctl, epoll_ctl, INT(a), INT(b), INT(c), POINTER(epoll_event*, d))
    BY_NAME(SYS_timerfd_create, timerfd_create, INT(a), INT(b))
    BY_NAME(SYS_timerfd_settime, timerfd_settime, INT(a), INT(b), POINTER(const itimerspec*, c),
            POINTER(itimerspec*, d))
    BY_NAME(SYS_timerfd_gettime, timerfd_gettime, INT(a), POINTER(itimerspec*, b))
    BY_NAME(SYS_memfd_create, memfd_create, POINTER(const char*, a), UNSIGNED(b))
    BY_NAME(SYS_inotify_init1, inotify_init1, INT(a))
    BY_NAME(SYS_inotify_add_watch, inotify_add_watch, INT(a), POINTER(const char*, b), UNSIGNED(c))
    BY_NAME(SYS_inotify_rm_watch, inotify_rm_watch, INT(a), INT(b))
    BY_NAME(SYS_fanotify_init, fanotify_init, UNSIGNED(a), UNSIGNED(b))
    BY_NAME(SYS_fanotify_mark, fanotify_mark, INT(a), UNSIGNED(b), static_cast<uint64_t>(w.c), INT(d),
            POINTER(const char*, e))
    BY_NAME(SYS_pidfd_open, pidfd_open, INT(a), UNSIGNED(b))
    BY_NAME(SYS_pidfd_getfd, pidfd_getfd, INT(a), INT(b), UNSIGNED(c))
    BY_NAME(SYS_pidfd_send_signal, pidfd_send_signal, INT(a), INT(b), POINTER(siginfo_t*, c), UNSIGNED(d))
    BY_NAME(SYS_mq_open, mq_open, POINTER(const char*, a), INT(b), static_cast<mode_t>(w.c), POINTER(mq_attr*, d))
    BY_NAME(SYS_open_by_handle_at, open_by_handle_at, INT(a), POINTER(file_handle*, b), INT(c))
    BY_NAME(SYS_open_tree, open_tree, INT(a), POINTER(const char*, b), UNSIGNED(c))
    BY_NAME(SYS_fsopen, fsopen, POINTER(const char*, a), UNSIGNED(b))
    BY_NAME(SYS_fsmount, fsmount, INT(a), UNSIGNED(b), UNSIGNED(c))
    BY_NAME(SYS_fspick, fspick, INT(a), POINTER(const char*, b), UNSIGNED(c))

    // Waiting. The kernel also gets the size of the set of signals; pselect6 the set with its size behind one pointer.
    BY_NAME(SYS_ppoll, ppoll, POINTER(pollfd*, a), SIZE(b), POINTER(const timespec*, c), POINTER(const sigset_t*, d))
    BY_NAME(SYS_epoll_pwait, epoll_pwait, INT(a), POINTER(epoll_event*, b), INT(c), INT(d), POINTER(const sigset_t*, e))
    BY_NAME(SYS_epoll_pwait2, epoll_pwait2, INT(a), POINTER(epoll_event*, b), INT(c), POINTER(const timespec*, d),
            POINTER(const sigset_t*, e))

    // Programs.
    BY_NAME(SYS_execve, execve, POINTER(const char*, a), POINTER(char* const*, b), POINTER(char* const*, c))
    BY_NAME(SYS_execveat, execveat, INT(a), POINTER(const char*, b), POINTER(char* const*, c), POINTER(char* const*, d),
            INT(e))

    BY_NAME(SYS_pselect6, pselect, INT(a), POINTER(fd_set*, b), POINTER(fd_set*, c), POINTER(fd_set*, d),
            POINTER(const timespec*, e), nullptr)

#if defined(__x86_64__)  // which has these beside the newer ones above
    BY_NAME(SYS_open, open, POINTER(const char*, a), INT(b), static_cast<mode_t>(w.c))
    BY_NAME(SYS_creat, creat, POINTER(const char*, a), static_cast<mode_t>(w.b))
    BY_NAME(SYS_pipe, pipe, POINTER(int*, a))
    BY_NAME(SYS_dup2, dup2, INT(a), INT(b))
    BY_NAME(SYS_eventfd, eventfd, UNSIGNED(a), 0)
    BY_NAME(SYS_epoll_create, epoll_create, INT(a))
    BY_NAME(SYS_inotify_init, inotify_init)
    BY_NAME(SYS_poll, poll, POINTER(pollfd*, a), SIZE(b), INT(c))
    BY_NAME(SYS_select, select, INT(a), POINTER(fd_set*, b), POINTER(fd_set*, c), POINTER(fd_set*, d),
            POINTER(timeval*, e))
    BY_NAME(SYS_epoll_wait, epoll_wait, INT(a), POINTER(epoll_event*, b), INT(c), INT(d))
    BY_NAME(SYS_fork, fork)
#endif
    // What confines the program.
    case SYS_prctl:
      return ::prctl(INT(a), w.b, w.c, w.d, w.e);
    case SYS_seccomp:
      return Seccomp(UNSIGNED(a), UNSIGNED(b), POINTER(void*, c));

    case SYS_exit_group:
      ::_exit(INT(a));
#if defined(__x86_64__)
    case SYS_vfork:  // as in Clone()
      return CloneLikeFork(SYS_clone, {CLONE_VFORK | SIGCHLD, 0, 0, 0, 0, 0}, CLONE_VFORK | CLONE_VM);
#endif
    case SYS_clone:
    case SYS_clone3:
      return Clone(number, w);
    default:
      return MakesDescriptor(number, w) ? RecordUnnamed(number, w) : Straight(number, w);
  }
}

}  // namespace

INTERPOSE long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  Words w;
  w.a = va_arg(arguments, long);
  w.b = va_arg(arguments, long);
  w.c = va_arg(arguments, long);
  w.d = va_arg(arguments, long);
  w.e = va_arg(arguments, long);
  w.f = va_arg(arguments, long);
  va_end(arguments);
  // In a signal handler: what is being noted outside it, the hook there finds as it was. (Or it is the note of a call
  // that a handler jumped out of, which nobody takes any more.)
  const ByNumber interrupted = by_number;
  const long result = Dispatch(number, w);
  by_number = interrupted;
  return result;
}

}  // namespace socktale
