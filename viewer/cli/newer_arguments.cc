// SPDX-License-Identifier: Apache-2.0
//
// Arguments of calls that make, end or watch descriptors under other names than open, close and poll, and of those that
// start processes and look names up.

#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "viewer/cli/call_arguments.h"
#include "viewer/cli/format.h"
#include "viewer/model/lookup.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/files.h"
#include "viewer/names/requests.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

// Joins the arguments that are there.
std::string Listed(std::vector<std::string> arguments) {
  std::erase(arguments, "");
  return absl::StrJoin(arguments, ", ");
}

std::string PathOrNothing(const EventView& event, bool unicode) {
  return event.path.empty() ? "" : Quoted(event.path, unicode);
}

// Flags that are worth a word only where some are given.
std::string IfAny(uint32_t flags, std::string names) { return flags == 0 ? "" : std::move(names); }

// The directory that a path begins at: it matters to a relative one only, and AT_FDCWD is the usual one.
std::string Directory(const EventView& event) {
  return event.fd < 0 || absl::StartsWith(event.path, "/") ? "" : absl::StrCat(event.fd);
}

// fopen's mode, of the flags that it stands for (fopen(3)): "r", "w+", "ae".
std::string StreamMode(uint32_t flags) {
  const bool both = (flags & O_ACCMODE) == O_RDWR;
  std::string mode = (flags & O_APPEND) != 0 ? "a" : (flags & O_CREAT) != 0 ? "w" : "r";
  if (both) mode += '+';
  if ((flags & O_EXCL) != 0) mode += 'x';
  if ((flags & O_CLOEXEC) != 0) mode += 'e';
  return absl::StrCat("\"", mode, "\"");
}

std::string PipeMode(uint32_t flags) {
  return absl::StrCat("\"", (flags & O_WRONLY) != 0 ? "w" : "r", (flags & O_CLOEXEC) != 0 ? "e" : "", "\"");
}

// A number that stands in the payload as the machine has it, "[1]"; "" when it is not there.
template <typename Number>
std::string NumberAtPointer(const EventView& event) {
  Number number;
  if (event.payload.size() != sizeof number) return "";
  std::memcpy(&number, event.payload.data(), sizeof number);
  return absl::StrCat("[", number, "]");
}

// When a timer expires next, and how often afterwards.
std::string TimerInWords(const EventView& event, bool unicode) {
  itimerspec timer;
  if (event.payload.size() != sizeof timer) return "";
  std::memcpy(&timer, event.payload.data(), sizeof timer);
  std::string words = TimeoutInWords(event.timeout_ns, unicode);
  constexpr int64_t kSecondNs = 1'000'000'000;
  constexpr int64_t kLongest = INT64_MAX / kSecondNs - 1;  // of longer ones a damaged file alone tells
  const int64_t interval_ns = std::clamp<int64_t>(timer.it_interval.tv_sec, 0, kLongest) * kSecondNs +
                              std::clamp<int64_t>(timer.it_interval.tv_nsec, 0, kSecondNs);
  if (interval_ns > 0) absl::StrAppend(&words, " every ", TimeoutInWords(interval_ns, unicode));
  return words;
}

std::string Family(uint32_t domain) { return IfAny(domain, Short(FamilyName(domain), "AF_")); }

}  // namespace

std::string NewerArgumentsOf(const EventView& event, bool unicode) {
  const std::string fd = absl::StrCat(event.fd);
  const std::string path = PathOrNothing(event, unicode);
  const std::string address = event.address.empty() ? "" : DescribeAddress(event.address);
  switch (event.call) {
    // ---- Descriptors made and ended -----------------------------------------------------------------------------
    case CALL_CLOSE_RANGE:
      return Listed({fd, event.new_fd == INT_MAX ? "~0U" : absl::StrCat(event.new_fd),
                     IfAny(event.flags, Short(CloseRangeFlagNames(event.flags), "CLOSE_RANGE_"))});
    case CALL_MKSTEMP:
      return Listed({path, IfAny(event.flags, Short(StatusFlagNames(event.flags), "O_"))});
    case CALL_SHM_OPEN:
    case CALL_MQ_OPEN:
      return Listed({path, Short(OpenFlagNames(event.flags), "O_")});
    case CALL_POSIX_OPENPT:
      return Short(OpenFlagNames(event.flags), "O_");
    case CALL_OPENDIR:
      return path;
    case CALL_OPEN_BY_HANDLE_AT:
      return Listed({event.fd == AT_FDCWD ? "CWD" : fd, Short(OpenFlagNames(event.flags), "O_")});
    case CALL_OPEN_TREE:
      return Listed({Directory(event), path,
                     IfAny(event.flags, Short(Short(OpenTreeFlagNames(event.flags), "OPEN_TREE_"), "AT_"))});
    case CALL_FSOPEN:
      return Listed({path, IfAny(event.flags, Short(FsOpenFlagNames(event.flags), "FSOPEN_"))});
    case CALL_FSMOUNT:
      return Listed({fd, IfAny(event.flags, Short(FsMountFlagNames(event.flags), "FSMOUNT_"))});
    case CALL_FSPICK:
      return Listed({Directory(event), path, IfAny(event.flags, Short(FsPickFlagNames(event.flags), "FSPICK_"))});
    case CALL_FOPEN:
      return Listed({path, StreamMode(event.flags)});
    case CALL_FDOPEN:
      return Listed({fd, StreamMode(event.flags)});
    case CALL_FREOPEN:
      return Listed({path.empty() ? "NULL" : path, StreamMode(event.flags), fd});
    case CALL_POPEN:
      return Listed({path, PipeMode(event.flags)});
    case CALL_OPENPTY:  // both are its outcome
    case CALL_TMPFILE:
      return "";
    case CALL_FORKPTY:  // the master, which the parent is given
      return event.fd < 0 ? "" : fd;
    case CALL_SYSCALL:
      return Listed({SystemCallName(event.option), path});
    // ---- Watches and timers -------------------------------------------------------------------------------------
    case CALL_INOTIFY_INIT:
    case CALL_PIDFD_OPEN:
      return IfAny(event.flags, Short(StatusFlagNames(event.flags), "O_"));
    case CALL_INOTIFY_ADD_WATCH:
      return Listed({fd, path, Short(InotifyEventNames(event.option), "IN_")});
    case CALL_INOTIFY_RM_WATCH:
    case CALL_PIDFD_GETFD:
      return Listed({fd, absl::StrCat(static_cast<int32_t>(event.option))});
    case CALL_FANOTIFY_INIT:
      return Short(FanotifyFlagNames(event.flags), "FAN_");
    case CALL_FANOTIFY_MARK:
      return Listed({fd, Short(FanotifyMarkNames(event.flags), "FAN_MARK_"),
                     Short(FanotifyEventNames(event.option), "FAN_"), path});
    case CALL_PIDFD_SEND_SIGNAL:
      return Listed({fd, event.option == 0 ? "0" : SignalName(event.option)});
    case CALL_TIMERFD_SETTIME:
      return Listed(
          {fd, IfAny(event.flags, Short(TimerFlagNames(event.flags), "TFD_TIMER_")), TimerInWords(event, unicode)});
    case CALL_TIMERFD_GETTIME:
      return Listed({fd, TimerInWords(event, unicode)});
    case CALL_EVENTFD_READ:
    case CALL_EVENTFD_WRITE:
      return Listed({fd, NumberAtPointer<uint64_t>(event)});
    // ---- Requests to a descriptor -------------------------------------------------------------------------------
    case CALL_IOCTL:
      return Listed({fd, IoctlName(event.option), NumberAtPointer<int32_t>(event)});
    case CALL_GETSOURCEFILTER:
    case CALL_SETSOURCEFILTER:
      // The group is there where the call worked, and with it what is to be done with the sources.
      return Listed({fd, address, address.empty() ? "" : event.flags == MCAST_INCLUDE ? "INCLUDE" : "EXCLUDE"});
    case CALL_ISFDTYPE:
      return Listed({fd, Short(FileTypeName(event.option), "S_")});
    // ---- Processes and names ------------------------------------------------------------------------------------
    case CALL_CLONE:
      return IfAny(event.flags, Short(CloneFlagNames(event.flags), "CLONE_"));
    case CALL_SYSTEM:
      return path.empty() ? "NULL" : path;
    case CALL_DLOPEN:
      return Listed({path, IfAny(event.flags, Short(LoadFlagNames(event.flags), "RTLD_"))});
    case CALL_DLMOPEN:
      return Listed({event.option == static_cast<uint32_t>(LM_ID_NEWLM) ? "NEWLM"
                     : event.option == LM_ID_BASE                       ? "BASE"
                                                                        : absl::StrCat(event.option),
                     path, IfAny(event.flags, Short(LoadFlagNames(event.flags), "RTLD_"))});
    case CALL_GETNAMEINFO:
      return Listed({address, IfAny(event.flags, Short(NameInfoFlagNames(event.flags), "NI_"))});
    case CALL_GETHOSTBYNAME:
      return Listed({Quoted(event.host, unicode), Family(event.domain)});
    case CALL_GETHOSTBYADDR:
      return Listed({address, Family(event.domain)});
    default:
      return HasDescriptor(event.call) ? fd : "";
  }
}

}  // namespace socktale
