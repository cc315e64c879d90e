// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "absl/strings/str_cat.h"
#include "viewer/names/constants.h"

namespace socktale {
namespace {

// On x86-64 programs compiled with 64-bit offsets need no O_LARGEFILE: fcntl.h says 0, the kernel reports this bit.
constexpr uint32_t kLargeFile = 0100000;

constexpr Constant kAccessModes[] = {CONSTANT(O_RDONLY), CONSTANT(O_WRONLY), CONSTANT(O_RDWR)};
constexpr Constant kOpenFlags[] = {
    CONSTANT(O_CREAT),     CONSTANT(O_EXCL),   CONSTANT(O_NOCTTY),          CONSTANT(O_TRUNC),    CONSTANT(O_APPEND),
    CONSTANT(O_NONBLOCK),  CONSTANT(O_SYNC),   CONSTANT(O_DSYNC),           CONSTANT(O_ASYNC),    CONSTANT(O_TMPFILE),
    CONSTANT(O_DIRECTORY), CONSTANT(O_DIRECT), {kLargeFile, "O_LARGEFILE"}, CONSTANT(O_NOFOLLOW), CONSTANT(O_NOATIME),
    CONSTANT(O_CLOEXEC),   CONSTANT(O_PATH),
};

constexpr Constant kFcntlCommands[] = {
    CONSTANT(F_DUPFD),         CONSTANT(F_GETFD),      CONSTANT(F_SETFD),      CONSTANT(F_GETFL),
    CONSTANT(F_SETFL),         CONSTANT(F_GETLK),      CONSTANT(F_SETLK),      CONSTANT(F_SETLKW),
    CONSTANT(F_SETOWN),        CONSTANT(F_GETOWN),     CONSTANT(F_SETSIG),     CONSTANT(F_GETSIG),
    CONSTANT(F_SETOWN_EX),     CONSTANT(F_GETOWN_EX),  CONSTANT(F_OFD_GETLK),  CONSTANT(F_OFD_SETLK),
    CONSTANT(F_OFD_SETLKW),    CONSTANT(F_SETLEASE),   CONSTANT(F_GETLEASE),   CONSTANT(F_NOTIFY),
    CONSTANT(F_DUPFD_CLOEXEC), CONSTANT(F_SETPIPE_SZ), CONSTANT(F_GETPIPE_SZ), CONSTANT(F_ADD_SEALS),
    CONSTANT(F_GET_SEALS),
};

constexpr Constant kDescriptorFlags[] = {CONSTANT(FD_CLOEXEC)};

constexpr Constant kPollEvents[] = {
    CONSTANT(POLLIN),   CONSTANT(POLLPRI),    CONSTANT(POLLOUT),    CONSTANT(POLLERR),    CONSTANT(POLLHUP),
    CONSTANT(POLLNVAL), CONSTANT(POLLRDNORM), CONSTANT(POLLRDBAND), CONSTANT(POLLWRNORM), CONSTANT(POLLWRBAND),
    CONSTANT(POLLMSG),  CONSTANT(POLLREMOVE), CONSTANT(POLLRDHUP),
};

constexpr Constant kEpollEvents[] = {
    CONSTANT(EPOLLIN),     CONSTANT(EPOLLPRI),       CONSTANT(EPOLLOUT),    CONSTANT(EPOLLERR),     CONSTANT(EPOLLHUP),
    CONSTANT(EPOLLRDNORM), CONSTANT(EPOLLRDBAND),    CONSTANT(EPOLLWRNORM), CONSTANT(EPOLLWRBAND),  CONSTANT(EPOLLMSG),
    CONSTANT(EPOLLRDHUP),  CONSTANT(EPOLLEXCLUSIVE), CONSTANT(EPOLLWAKEUP), CONSTANT(EPOLLONESHOT), CONSTANT(EPOLLET),
};

constexpr Constant kEpollOperations[] = {CONSTANT(EPOLL_CTL_ADD), CONSTANT(EPOLL_CTL_DEL), CONSTANT(EPOLL_CTL_MOD)};
constexpr Constant kEpollFlags[] = {CONSTANT(EPOLL_CLOEXEC)};
constexpr Constant kEventfdFlags[] = {CONSTANT(EFD_SEMAPHORE), CONSTANT(EFD_CLOEXEC), CONSTANT(EFD_NONBLOCK)};
constexpr Constant kTimerfdFlags[] = {CONSTANT(TFD_CLOEXEC), CONSTANT(TFD_NONBLOCK)};
constexpr Constant kSignalfdFlags[] = {CONSTANT(SFD_CLOEXEC), CONSTANT(SFD_NONBLOCK)};
constexpr Constant kMemfdFlags[] = {CONSTANT(MFD_CLOEXEC), CONSTANT(MFD_ALLOW_SEALING), CONSTANT(MFD_HUGETLB)};

}  // namespace

std::string OpenFlagNames(uint32_t flags) {
  const std::string mode = NameOrNumber(kAccessModes, flags & O_ACCMODE);
  const uint32_t rest = flags & ~static_cast<uint32_t>(O_ACCMODE);
  return rest == 0 ? mode : absl::StrCat(mode, "|", BitNames(kOpenFlags, rest));
}

std::string StatusFlagNames(uint32_t flags) { return BitNames(kOpenFlags, flags); }
std::string FcntlCommandName(uint32_t command) { return NameOrNumber(kFcntlCommands, command); }
std::string DescriptorFlagNames(uint32_t flags) { return BitNames(kDescriptorFlags, flags); }
std::string PollEventNames(uint32_t events) { return BitNames(kPollEvents, events); }
std::string EpollEventNames(uint32_t events) { return BitNames(kEpollEvents, events); }
std::string EpollOperationName(uint32_t operation) { return NameOrNumber(kEpollOperations, operation); }
std::string EpollFlagNames(uint32_t flags) { return BitNames(kEpollFlags, flags); }
std::string EventfdFlagNames(uint32_t flags) { return BitNames(kEventfdFlags, flags); }
std::string TimerfdFlagNames(uint32_t flags) { return BitNames(kTimerfdFlags, flags); }
std::string SignalfdFlagNames(uint32_t flags) { return BitNames(kSignalfdFlags, flags); }
std::string MemfdFlagNames(uint32_t flags) { return BitNames(kMemfdFlags, flags); }

}  // namespace socktale
