// SPDX-License-Identifier: Apache-2.0
//
// Constants of requests to the kernel that are no socket's and no file's own: ioctl, reads and writes with flags,
// copies inside the kernel, watches, mounts, clone.

#ifndef SOCKTALE_VIEWER_NAMES_REQUESTS_H_
#define SOCKTALE_VIEWER_NAMES_REQUESTS_H_

#include <cstdint>
#include <string>

namespace socktale {

std::string IoctlName(uint32_t request);          // "FIONREAD", "SIOCGIFADDR"; else "0x5413"
std::string ReadWriteFlagNames(uint32_t flags);   // of preadv2 and pwritev2: "RWF_NOWAIT"; "0"
std::string SpliceFlagNames(uint32_t flags);      // "SPLICE_F_MOVE|SPLICE_F_NONBLOCK"; "0"
std::string CloseRangeFlagNames(uint32_t flags);  // "CLOSE_RANGE_CLOEXEC"; "0"
std::string TimerFlagNames(uint32_t flags);       // of timerfd_settime: "TFD_TIMER_ABSTIME"; "0"
std::string InotifyEventNames(uint32_t mask);     // "IN_CREATE|IN_MOVED_TO"; "0"
std::string FanotifyFlagNames(uint32_t flags);    // of fanotify_init: "FAN_CLOEXEC|FAN_CLASS_CONTENT"; "0"
std::string FanotifyMarkNames(uint32_t flags);    // of fanotify_mark: "FAN_MARK_ADD|FAN_MARK_MOUNT"; "0"
std::string FanotifyEventNames(uint32_t mask);    // "FAN_OPEN|FAN_CLOSE_WRITE"; "0"
std::string OpenTreeFlagNames(uint32_t flags);    // "OPEN_TREE_CLONE|AT_RECURSIVE"; "0"
std::string FsOpenFlagNames(uint32_t flags);      // "FSOPEN_CLOEXEC"; "0"
std::string FsMountFlagNames(uint32_t flags);     // "FSMOUNT_CLOEXEC"; "0"
std::string FsPickFlagNames(uint32_t flags);      // "FSPICK_CLOEXEC"; "0"
std::string FileTypeName(uint32_t type);          // of isfdtype: "S_IFSOCK"
std::string NameInfoFlagNames(uint32_t flags);    // of getnameinfo: "NI_NUMERICHOST"; "0"
std::string LoadFlagNames(uint32_t flags);        // of dlopen: "RTLD_NOW|RTLD_DEEPBIND"; "0"

// "CLONE_NEWNET|SIGCHLD": the last byte is the signal that the child's end sends; none: "CLONE_NEWNET".
std::string CloneFlagNames(uint32_t flags);

// "openat2" for those that the shim records by number because libc has no function for them; else the number.
std::string SystemCallName(uint32_t number);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_REQUESTS_H_
