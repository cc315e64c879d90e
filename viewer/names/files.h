// SPDX-License-Identifier: Apache-2.0
//
// Constants of descriptors that are no sockets' own: open, fcntl, poll, epoll and what makes descriptors.

#ifndef SOCKTALE_VIEWER_NAMES_FILES_H_
#define SOCKTALE_VIEWER_NAMES_FILES_H_

#include <cstdint>
#include <string>

namespace socktale {

std::string OpenFlagNames(uint32_t flags);           // "O_RDWR|O_CREAT|O_CLOEXEC"; the access mode is always there
std::string StatusFlagNames(uint32_t flags);         // of pipe2, dup3, fcntl: "O_NONBLOCK|O_CLOEXEC"; "0"
std::string FcntlCommandName(uint32_t command);      // "F_DUPFD_CLOEXEC"
std::string DescriptorFlagNames(uint32_t flags);     // "FD_CLOEXEC"; "0"
std::string PollEventNames(uint32_t events);         // "POLLIN|POLLOUT"; "0"
std::string EpollEventNames(uint32_t events);        // "EPOLLIN|EPOLLET"; "0"
std::string EpollOperationName(uint32_t operation);  // "EPOLL_CTL_ADD"
std::string EpollFlagNames(uint32_t flags);          // of epoll_create1: "EPOLL_CLOEXEC"; "0"
std::string EventfdFlagNames(uint32_t flags);        // "EFD_NONBLOCK"; "0"
std::string TimerfdFlagNames(uint32_t flags);        // "TFD_NONBLOCK"; "0"
std::string SignalfdFlagNames(uint32_t flags);       // "SFD_NONBLOCK"; "0"
std::string MemfdFlagNames(uint32_t flags);          // "MFD_CLOEXEC"; "0"

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_FILES_H_
