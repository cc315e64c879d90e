// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/requests.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "absl/strings/str_cat.h"
#include "viewer/names/calls.h"
#include "viewer/names/constants.h"

namespace socktale {
namespace {

// FIONREAD is TIOCINQ and SIOCINQ, TIOCOUTQ is SIOCOUTQ.
constexpr Constant kIoctls[] = {
    CONSTANT(FIONREAD),       CONSTANT(TIOCOUTQ),       CONSTANT(FIONBIO),        CONSTANT(FIOASYNC),
    CONSTANT(FIOCLEX),        CONSTANT(FIONCLEX),       CONSTANT(SIOCATMARK),     CONSTANT(SIOCOUTQNSD),
    CONSTANT(FIOSETOWN),      CONSTANT(SIOCSPGRP),      CONSTANT(FIOGETOWN),      CONSTANT(SIOCGPGRP),
    CONSTANT(SIOCADDRT),      CONSTANT(SIOCDELRT),      CONSTANT(SIOCRTMSG),      CONSTANT(SIOCGIFNAME),
    CONSTANT(SIOCSIFLINK),    CONSTANT(SIOCGIFCONF),    CONSTANT(SIOCGIFFLAGS),   CONSTANT(SIOCSIFFLAGS),
    CONSTANT(SIOCGIFADDR),    CONSTANT(SIOCSIFADDR),    CONSTANT(SIOCGIFDSTADDR), CONSTANT(SIOCSIFDSTADDR),
    CONSTANT(SIOCGIFBRDADDR), CONSTANT(SIOCSIFBRDADDR), CONSTANT(SIOCGIFNETMASK), CONSTANT(SIOCSIFNETMASK),
    CONSTANT(SIOCGIFMETRIC),  CONSTANT(SIOCSIFMETRIC),  CONSTANT(SIOCGIFMTU),     CONSTANT(SIOCSIFMTU),
    CONSTANT(SIOCSIFNAME),    CONSTANT(SIOCSIFHWADDR),  CONSTANT(SIOCGIFHWADDR),  CONSTANT(SIOCADDMULTI),
    CONSTANT(SIOCDELMULTI),   CONSTANT(SIOCGIFINDEX),   CONSTANT(SIOCDIFADDR),    CONSTANT(SIOCGIFTXQLEN),
    CONSTANT(SIOCSIFTXQLEN),  CONSTANT(SIOCETHTOOL),    CONSTANT(SIOCGMIIPHY),    CONSTANT(SIOCGMIIREG),
    CONSTANT(SIOCDARP),       CONSTANT(SIOCGARP),       CONSTANT(SIOCSARP),       CONSTANT(SIOCGIFMAP),
    CONSTANT(SIOCGIFVLAN),    CONSTANT(SIOCSIFVLAN),    CONSTANT(SIOCSHWTSTAMP),  CONSTANT(SIOCGHWTSTAMP),
    {0x8906, "SIOCGSTAMP"},   {0x8907, "SIOCGSTAMPNS"},
};

constexpr Constant kReadWriteFlags[] = {
    CONSTANT(RWF_HIPRI), CONSTANT(RWF_DSYNC), CONSTANT(RWF_SYNC), CONSTANT(RWF_NOWAIT), CONSTANT(RWF_APPEND),
};
constexpr Constant kSpliceFlags[] = {
    CONSTANT(SPLICE_F_MOVE),
    CONSTANT(SPLICE_F_NONBLOCK),
    CONSTANT(SPLICE_F_MORE),
    CONSTANT(SPLICE_F_GIFT),
};
constexpr Constant kCloseRangeFlags[] = {CONSTANT(CLOSE_RANGE_UNSHARE), CONSTANT(CLOSE_RANGE_CLOEXEC)};
constexpr Constant kTimerFlags[] = {CONSTANT(TFD_TIMER_ABSTIME), CONSTANT(TFD_TIMER_CANCEL_ON_SET)};

constexpr Constant kInotifyEvents[] = {
    CONSTANT(IN_ALL_EVENTS),  CONSTANT(IN_ACCESS),        CONSTANT(IN_MODIFY),      CONSTANT(IN_ATTRIB),
    CONSTANT(IN_CLOSE_WRITE), CONSTANT(IN_CLOSE_NOWRITE), CONSTANT(IN_OPEN),        CONSTANT(IN_MOVED_FROM),
    CONSTANT(IN_MOVED_TO),    CONSTANT(IN_CREATE),        CONSTANT(IN_DELETE),      CONSTANT(IN_DELETE_SELF),
    CONSTANT(IN_MOVE_SELF),   CONSTANT(IN_ONLYDIR),       CONSTANT(IN_DONT_FOLLOW), CONSTANT(IN_EXCL_UNLINK),
    CONSTANT(IN_MASK_CREATE), CONSTANT(IN_MASK_ADD),      CONSTANT(IN_ONESHOT),
};

constexpr Constant kFanotifyFlags[] = {
    CONSTANT(FAN_CLOEXEC),           CONSTANT(FAN_NONBLOCK),        CONSTANT(FAN_CLASS_CONTENT),
    CONSTANT(FAN_CLASS_PRE_CONTENT), CONSTANT(FAN_UNLIMITED_QUEUE), CONSTANT(FAN_UNLIMITED_MARKS),
    CONSTANT(FAN_ENABLE_AUDIT),      CONSTANT(FAN_REPORT_PIDFD),    CONSTANT(FAN_REPORT_TID),
    CONSTANT(FAN_REPORT_FID),        CONSTANT(FAN_REPORT_DIR_FID),  CONSTANT(FAN_REPORT_NAME),
    CONSTANT(FAN_REPORT_TARGET_FID),
};
constexpr Constant kFanotifyMarks[] = {
    CONSTANT(FAN_MARK_ADD),         CONSTANT(FAN_MARK_REMOVE),
    CONSTANT(FAN_MARK_DONT_FOLLOW), CONSTANT(FAN_MARK_ONLYDIR),
    CONSTANT(FAN_MARK_MOUNT),       CONSTANT(FAN_MARK_IGNORED_MASK),
    CONSTANT(FAN_MARK_FLUSH),       CONSTANT(FAN_MARK_IGNORED_SURV_MODIFY),
    CONSTANT(FAN_MARK_FILESYSTEM),
};
constexpr Constant kFanotifyEvents[] = {
    CONSTANT(FAN_ACCESS),         CONSTANT(FAN_MODIFY),         CONSTANT(FAN_ATTRIB),      CONSTANT(FAN_CLOSE_WRITE),
    CONSTANT(FAN_CLOSE_NOWRITE),  CONSTANT(FAN_OPEN),           CONSTANT(FAN_MOVED_FROM),  CONSTANT(FAN_MOVED_TO),
    CONSTANT(FAN_CREATE),         CONSTANT(FAN_DELETE),         CONSTANT(FAN_DELETE_SELF), CONSTANT(FAN_MOVE_SELF),
    CONSTANT(FAN_OPEN_EXEC),      CONSTANT(FAN_Q_OVERFLOW),     CONSTANT(FAN_OPEN_PERM),   CONSTANT(FAN_ACCESS_PERM),
    CONSTANT(FAN_OPEN_EXEC_PERM), CONSTANT(FAN_EVENT_ON_CHILD), CONSTANT(FAN_RENAME),      CONSTANT(FAN_ONDIR),
};

constexpr Constant kOpenTreeFlags[] = {
    CONSTANT(OPEN_TREE_CLONE), CONSTANT(OPEN_TREE_CLOEXEC), CONSTANT(AT_SYMLINK_NOFOLLOW),
    CONSTANT(AT_NO_AUTOMOUNT), CONSTANT(AT_EMPTY_PATH),     CONSTANT(AT_RECURSIVE),
};
constexpr Constant kFsOpenFlags[] = {CONSTANT(FSOPEN_CLOEXEC)};
constexpr Constant kFsMountFlags[] = {CONSTANT(FSMOUNT_CLOEXEC)};
constexpr Constant kFsPickFlags[] = {
    CONSTANT(FSPICK_CLOEXEC),
    CONSTANT(FSPICK_SYMLINK_NOFOLLOW),
    CONSTANT(FSPICK_NO_AUTOMOUNT),
    CONSTANT(FSPICK_EMPTY_PATH),
};

constexpr Constant kFileTypes[] = {
    CONSTANT(S_IFSOCK), CONSTANT(S_IFLNK), CONSTANT(S_IFREG), CONSTANT(S_IFBLK),
    CONSTANT(S_IFDIR),  CONSTANT(S_IFCHR), CONSTANT(S_IFIFO),
};

constexpr Constant kNameInfoFlags[] = {
    CONSTANT(NI_NUMERICHOST), CONSTANT(NI_NUMERICSERV), CONSTANT(NI_NOFQDN), CONSTANT(NI_NAMEREQD), CONSTANT(NI_DGRAM),
};

constexpr Constant kLoadFlags[] = {
    CONSTANT(RTLD_LAZY),     CONSTANT(RTLD_NOW),    CONSTANT(RTLD_NOLOAD),
    CONSTANT(RTLD_DEEPBIND), CONSTANT(RTLD_GLOBAL), CONSTANT(RTLD_NODELETE),
};

constexpr Constant kCloneFlags[] = {
    CONSTANT(CLONE_VM),
    CONSTANT(CLONE_FS),
    CONSTANT(CLONE_FILES),
    CONSTANT(CLONE_SIGHAND),
    CONSTANT(CLONE_PIDFD),
    CONSTANT(CLONE_PTRACE),
    CONSTANT(CLONE_VFORK),
    CONSTANT(CLONE_PARENT),
    CONSTANT(CLONE_THREAD),
    CONSTANT(CLONE_NEWNS),
    CONSTANT(CLONE_SYSVSEM),
    CONSTANT(CLONE_SETTLS),
    CONSTANT(CLONE_PARENT_SETTID),
    CONSTANT(CLONE_CHILD_CLEARTID),
    CONSTANT(CLONE_DETACHED),
    CONSTANT(CLONE_UNTRACED),
    CONSTANT(CLONE_CHILD_SETTID),
    CONSTANT(CLONE_NEWCGROUP),
    CONSTANT(CLONE_NEWUTS),
    CONSTANT(CLONE_NEWIPC),
    CONSTANT(CLONE_NEWUSER),
    CONSTANT(CLONE_NEWPID),
    CONSTANT(CLONE_NEWNET),
    CONSTANT(CLONE_IO),
};
constexpr uint32_t kExitSignal = 0xff;  // CSIGNAL (linux/sched.h)

constexpr Constant kSystemCalls[] = {
    {SYS_signalfd4, "signalfd4"},
#ifdef SYS_signalfd
    {SYS_signalfd, "signalfd"},
#endif
    {SYS_openat2, "openat2"},
    {SYS_userfaultfd, "userfaultfd"},
    {SYS_perf_event_open, "perf_event_open"},
    {SYS_io_uring_setup, "io_uring_setup"},
    {SYS_landlock_create_ruleset, "landlock_create_ruleset"},
#ifdef SYS_memfd_secret
    {SYS_memfd_secret, "memfd_secret"},
#endif
};

}  // namespace

std::string IoctlName(uint32_t request) {
  const char* name = FindName(kIoctls, request);
  return name != nullptr ? std::string(name) : absl::StrCat("0x", absl::Hex(request));
}

std::string ReadWriteFlagNames(uint32_t flags) { return BitNames(kReadWriteFlags, flags); }
std::string SpliceFlagNames(uint32_t flags) { return BitNames(kSpliceFlags, flags); }
std::string CloseRangeFlagNames(uint32_t flags) { return BitNames(kCloseRangeFlags, flags); }
std::string TimerFlagNames(uint32_t flags) { return BitNames(kTimerFlags, flags); }
std::string InotifyEventNames(uint32_t mask) { return BitNames(kInotifyEvents, mask); }
std::string FanotifyFlagNames(uint32_t flags) { return BitNames(kFanotifyFlags, flags); }
std::string FanotifyMarkNames(uint32_t flags) { return BitNames(kFanotifyMarks, flags); }
std::string FanotifyEventNames(uint32_t mask) { return BitNames(kFanotifyEvents, mask); }
std::string OpenTreeFlagNames(uint32_t flags) { return BitNames(kOpenTreeFlags, flags); }
std::string FsOpenFlagNames(uint32_t flags) { return BitNames(kFsOpenFlags, flags); }
std::string FsMountFlagNames(uint32_t flags) { return BitNames(kFsMountFlags, flags); }
std::string FsPickFlagNames(uint32_t flags) { return BitNames(kFsPickFlags, flags); }
std::string FileTypeName(uint32_t type) { return NameOrNumber(kFileTypes, type); }
std::string NameInfoFlagNames(uint32_t flags) { return BitNames(kNameInfoFlags, flags); }
std::string LoadFlagNames(uint32_t flags) { return BitNames(kLoadFlags, flags); }

std::string CloneFlagNames(uint32_t flags) {
  const uint32_t signal = flags & kExitSignal;
  if (signal == 0) return BitNames(kCloneFlags, flags);
  const uint32_t rest = flags & ~kExitSignal;
  return rest == 0 ? SignalName(signal) : absl::StrCat(BitNames(kCloneFlags, rest), "|", SignalName(signal));
}

std::string SystemCallName(uint32_t number) { return NameOrNumber(kSystemCalls, number); }

}  // namespace socktale
