// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/call_arguments.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "viewer/cli/format.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/files.h"
#include "viewer/names/options.h"
#include "viewer/names/printable.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

std::string FcntlArguments(const EventView& event) {
  const std::string command = FcntlCommandName(event.flags);
  switch (event.flags) {
    case F_SETFL:
      // What F_GETFL gave is often handed back, access mode and all.
      return absl::StrCat(
          command, ", ",
          Short((event.option & O_ACCMODE) != 0 ? OpenFlagNames(event.option) : StatusFlagNames(event.option), "O_"));
    case F_SETFD:
      return absl::StrCat(command, ", ", DescriptorFlagNames(event.option));
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return absl::StrCat(command, ", ", event.option);
    default:
      return command;
  }
}

std::string OptionArguments(const EventView& event, bool set) {
  std::string text = OptionName(event.level, event.option);
  // An option without a name says nothing without its level.
  if (text.find('_') == std::string::npos) text = absl::StrCat(OptionLevelName(event.level), ", ", text);
  const std::string value = OptionValue(event.level, event.option, event.payload);
  if (set && !value.empty()) absl::StrAppend(&text, ", ", value);
  return text;
}

}  // namespace

std::string Short(const std::string& names, const char* prefix) { return absl::StrReplaceAll(names, {{prefix, ""}}); }

std::string Quoted(absl::string_view text, bool unicode) { return QuotePayload(View(text), 120, 0, unicode); }

std::string JoinItems(std::vector<std::string> items, size_t total) {
  if (items.size() < total) items.push_back(absl::StrCat("+", total - items.size()));
  return absl::StrJoin(items, ", ");
}

std::string ProgramWords(const EventView& event) {
  std::vector<std::string> words;
  for (absl::string_view word : event.argv) {
    if (words.size() == kListItems) break;
    words.push_back(ShellQuote(View(word).substr(0, 60)));
  }
  if (event.argv.size() > words.size()) words.push_back("...");
  return absl::StrJoin(words, " ");
}

std::string PolledList(const EventView& event, bool asked, bool is_epoll) {
  std::vector<std::string> items;
  size_t total = 0;
  for (absl::string_view bytes : event.polled) {
    PolledView polled;
    if (!ParsePolled(bytes, polled).ok()) continue;
    const uint32_t bits = asked ? polled.events : polled.revents;
    if (bits == 0) continue;
    if (++total > kListItems) continue;
    const std::string names = is_epoll ? Short(EpollEventNames(bits), "EPOLL") : Short(PollEventNames(bits), "POLL");
    items.push_back(absl::StrCat(polled.fd, " ", names));
  }
  return JoinItems(items, total);
}

std::string TimeoutInWords(int64_t timeout_ns, bool unicode) {
  if (timeout_ns < 0) return "for ever";
  return timeout_ns == 0 ? "0" : FormatDuration(static_cast<uint64_t>(timeout_ns), unicode);
}

std::string ArgumentsOf(const EventView& event, bool unicode) {
  const std::string fd = absl::StrCat(event.fd);
  switch (event.call) {
    case CALL_SOCKET:
    case CALL_SOCKETPAIR: {
      const std::string made =
          absl::StrCat(Short(FamilyName(event.domain), "AF_"), ", ", Short(SocketTypeName(event.type), "SOCK_"));
      if (event.protocol == 0) return made;
      return absl::StrCat(made, ", ", Short(ProtocolNumberName(event.domain, event.protocol), "IPPROTO_"));
    }
    case CALL_BIND:
    case CALL_CONNECT:
    case CALL_GETSOCKNAME:
    case CALL_GETPEERNAME:
      return event.address.empty() ? fd : absl::StrCat(fd, ", ", DescribeAddress(event.address));
    case CALL_LISTEN:
      return absl::StrCat(fd, ", ", static_cast<int32_t>(event.option));
    case CALL_ACCEPT:
    case CALL_ACCEPT4: {
      const absl::string_view peer = event.address.empty() ? event.peer_address : event.address;
      std::string text = peer.empty() ? fd : absl::StrCat(fd, ", ", DescribeAddress(peer));
      if (event.flags != 0) absl::StrAppend(&text, ", ", Short(StatusFlagNames(event.flags), "O_"));
      return text;
    }
    case CALL_SHUTDOWN:
      return absl::StrCat(fd, ", ", Short(ShutdownName(event.flags), "SHUT_"));
    case CALL_DUP2:
      return absl::StrCat(fd, ", ", event.new_fd);
    case CALL_DUP3:
      return absl::StrCat(fd, ", ", event.new_fd, ", ", Short(StatusFlagNames(event.flags), "O_"));
    case CALL_FCNTL:
      return absl::StrCat(fd, ", ", FcntlArguments(event));
    case CALL_OPENAT:
      // The directory matters to a relative path only, and AT_FDCWD is the usual one.
      if (event.fd >= 0 && !absl::StartsWith(event.path, "/")) {
        return absl::StrCat(fd, ", ", Quoted(event.path, unicode), ", ", Short(OpenFlagNames(event.flags), "O_"));
      }
      [[fallthrough]];
    case CALL_OPEN:
      return absl::StrCat(Quoted(event.path, unicode), ", ", Short(OpenFlagNames(event.flags), "O_"));
    case CALL_CREAT:
      return Quoted(event.path, unicode);
    case CALL_PIPE:
    case CALL_EPOLL_CREATE:
      return "";
    case CALL_PIPE2:
      return Short(StatusFlagNames(event.flags), "O_");
    case CALL_EPOLL_CREATE1:
      return Short(EpollFlagNames(event.flags), "EPOLL_");
    case CALL_EVENTFD:
      return Short(EventfdFlagNames(event.flags), "EFD_");
    case CALL_TIMERFD_CREATE:
      return Short(TimerfdFlagNames(event.flags), "TFD_");
    case CALL_SIGNALFD:
      return Short(SignalfdFlagNames(event.flags), "SFD_");
    case CALL_MEMFD_CREATE:
      return absl::StrCat(Quoted(event.path, unicode), ", ", Short(MemfdFlagNames(event.flags), "MFD_"));
    case CALL_SETSOCKOPT:
    case CALL_GETSOCKOPT:
      return absl::StrCat(fd, ", ", OptionArguments(event, event.call == CALL_SETSOCKOPT));
    case CALL_POLL:
    case CALL_PPOLL:
    case CALL_SELECT:
    case CALL_PSELECT:
      return absl::StrCat("[", PolledList(event, true, false), "], ", TimeoutInWords(event.timeout_ns, unicode));
    case CALL_EPOLL_CTL:
      return absl::StrCat(fd, ", ", Short(EpollOperationName(event.flags), "EPOLL_CTL_"), ", ",
                          event.polled.empty() ? absl::StrCat(event.new_fd) : PolledList(event, true, true));
    case CALL_EPOLL_WAIT:
    case CALL_EPOLL_PWAIT:
    case CALL_EPOLL_PWAIT2:
      return absl::StrCat(fd, ", ", TimeoutInWords(event.timeout_ns, unicode));
    case CALL_FORK:
    case CALL_VFORK:
      return "";
    case CALL_EXECVE:
    case CALL_POSIX_SPAWN:
    case CALL_EXECUTING: {
      const std::string path = Quoted(event.path, unicode);
      return event.argv.empty() ? path : absl::StrCat(path, ", ", ProgramWords(event));
    }
    case CALL_EXIT:
      return absl::StrCat(event.result);
    case CALL_GETADDRINFO:
      return absl::StrCat(event.host.empty() ? "NULL" : Quoted(event.host, unicode), ", ",
                          event.service.empty() ? "NULL" : Quoted(event.service, unicode));
    default:
      return NewerArgumentsOf(event, unicode);
  }
}

}  // namespace socktale
