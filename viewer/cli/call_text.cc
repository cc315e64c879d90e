// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/call_text.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "collector/aggregate/pending.h"
#include "viewer/cli/format.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/files.h"
#include "viewer/names/options.h"
#include "viewer/names/printable.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

// Calls that took this long are said to have waited.
constexpr uint64_t kWaitNs = 1'000'000;
// Of a list (arguments of a program, descriptors waited for), so many are shown.
constexpr size_t kListItems = 6;

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// "SOCK_STREAM|SOCK_CLOEXEC" → "STREAM|CLOEXEC": inside an argument list the place says what is meant.
std::string Short(const std::string& names, const char* prefix) { return absl::StrReplaceAll(names, {{prefix, ""}}); }

std::string Quoted(absl::string_view text, bool unicode) { return QuotePayload(View(text), 120, 0, unicode); }

// Joins what there is; of a long list the beginning.
std::string List(std::vector<std::string> items, size_t total) {
  if (items.size() < total) items.push_back(absl::StrCat("+", total - items.size()));
  return absl::StrJoin(items, ", ");
}

std::string Arguments(const EventView& event) {
  std::vector<std::string> words;
  for (absl::string_view word : event.argv) {
    if (words.size() == kListItems) break;
    words.push_back(ShellQuote(View(word).substr(0, 60)));
  }
  if (event.argv.size() > words.size()) words.push_back("...");
  return absl::StrJoin(words, " ");
}

// asked: what was waited for, else what came. epoll's and poll's bits have the same values where both exist.
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
  return List(items, total);
}

std::string Timeout(int64_t timeout_ns, bool unicode) {
  if (timeout_ns < 0) return "for ever";
  return timeout_ns == 0 ? "0" : FormatDuration(static_cast<uint64_t>(timeout_ns), unicode);
}

std::string Passed(const EventView& event) {
  if (event.passed.empty()) return "";
  return absl::StrCat(", descriptors ", absl::StrJoin(event.passed, " "),
                      (event.notes & EVENT_NOTE_CONTROL_CUT) != 0 ? " and more" : "");
}

std::string DatagramSizes(const EventView& event) {
  std::vector<std::string> items;
  for (absl::string_view bytes : event.datagrams) {
    if (items.size() == kListItems) break;
    DatagramView datagram;
    if (ParseDatagram(bytes, datagram).ok()) items.push_back(absl::StrCat(datagram.size, " B"));
  }
  return List(items, event.datagrams.size());
}


// send, recv and their like: descriptor, payload (or the size that was asked for), flags, address.
void DescribeTransfer(const EventView& event, CallText& text) {
  text.before = absl::StrCat(CallName(event.call), "(", event.fd);
  if (event.call == CALL_SENDFILE) absl::StrAppend(&text.before, ", ", event.new_fd, " at ", event.offset);
  if (!event.datagrams.empty()) absl::StrAppend(&text.before, ", [", DatagramSizes(event), "]");
  text.before += ", ";
  text.payload_size = event.payload_size;
  text.has_payload = event.payload_size > 0;
  if (!text.has_payload) absl::StrAppend(&text.before, event.size);
  if (event.error == 0) text.direction = DirectionOf(event.call);
  if (event.flags != 0) absl::StrAppend(&text.after, ", ", Short(MessageFlagNames(event.flags), "MSG_"));
  if (!event.address.empty()) absl::StrAppend(&text.after, ", ", DescribeAddress(event.address));
  absl::StrAppend(&text.after, Passed(event), ")");
}

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

std::string FoundInWords(const EventView& event, bool unicode) {
  std::string text = absl::StrCat("descriptor ", event.fd, " is there: ", KindName(event.kind));
  if (event.kind == DESCRIPTOR_KIND_SOCKET) {
    absl::StrAppend(&text, " ", Short(FamilyName(event.domain), "AF_"), " ",
                    Short(SocketTypeName(event.type), "SOCK_"));
    if (!event.local_address.empty()) absl::StrAppend(&text, " ", DescribeAddress(event.local_address));
    if (!event.peer_address.empty())
      absl::StrAppend(&text, unicode ? " ⇄ " : " - ", DescribeAddress(event.peer_address));
    if (event.listening) text += " listening";
  } else if (!event.path.empty()) {
    absl::StrAppend(&text, " ", Printable(View(event.path)));
  }
  return text;
}

std::string AttachedInWords(const EventView& event) {
  const char* how = event.reason == ATTACH_REASON_FORK   ? "forked"
                    : event.reason == ATTACH_REASON_EXEC ? "executes"
                                                         : "starts";
  const std::string program = event.argv.empty() ? Printable(View(event.path)) : Arguments(event);
  const std::string parent =
      event.parent_pid != 0 && event.reason == ATTACH_REASON_FORK ? absl::StrCat(" by process ", event.parent_pid) : "";
  return absl::StrCat(how, parent, program.empty() || event.reason == ATTACH_REASON_FORK ? "" : ": ",
                      event.reason == ATTACH_REASON_FORK ? "" : program);
}

// The arguments between the parentheses, for calls that move no payload.
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
      return absl::StrCat("[", PolledList(event, true, false), "], ", Timeout(event.timeout_ns, unicode));
    case CALL_EPOLL_CTL:
      return absl::StrCat(fd, ", ", Short(EpollOperationName(event.flags), "EPOLL_CTL_"), ", ",
                          event.polled.empty() ? absl::StrCat(event.new_fd) : PolledList(event, true, true));
    case CALL_EPOLL_WAIT:
    case CALL_EPOLL_PWAIT:
      return absl::StrCat(fd, ", ", Timeout(event.timeout_ns, unicode));
    case CALL_FORK:
    case CALL_VFORK:
      return "";
    case CALL_EXECVE:
    case CALL_POSIX_SPAWN:
    case CALL_EXECUTING: {
      const std::string path = Quoted(event.path, unicode);
      return event.argv.empty() ? path : absl::StrCat(path, ", ", Arguments(event));
    }
    case CALL_EXIT:
      return absl::StrCat(event.result);
    case CALL_GETADDRINFO:
      return absl::StrCat(event.host.empty() ? "NULL" : Quoted(event.host, unicode), ", ",
                          event.service.empty() ? "NULL" : Quoted(event.service, unicode));
    default:
      return fd;
  }
}

std::string Outcome(const EventView& event) {
  if (event.error != 0) return ErrnoName(event.error);
  switch (event.call) {
    case CALL_EXIT:
    case CALL_EXECUTING:
      return "";
    case CALL_SOCKETPAIR:
    case CALL_PIPE:
    case CALL_PIPE2:
      return absl::StrCat(event.fd, ", ", event.new_fd);
    case CALL_GETSOCKOPT:
      return event.payload.empty() ? absl::StrCat(event.result) : OptionValue(event.level, event.option, event.payload);
    case CALL_FCNTL:
      if (event.flags == F_GETFL) return Short(OpenFlagNames(static_cast<uint32_t>(event.result)), "O_");
      if (event.flags == F_GETFD) return DescriptorFlagNames(static_cast<uint32_t>(event.result));
      return absl::StrCat(event.result);
    default:
      return absl::StrCat(event.result);
  }
}

// What came of a wait: who is ready, or that nobody was.
std::string Readiness(const EventView& event) {
  const bool is_epoll = event.call == CALL_EPOLL_WAIT || event.call == CALL_EPOLL_PWAIT;
  const std::string ready = PolledList(event, false, is_epoll);
  if (!ready.empty()) return absl::StrCat("ready: ", ready);
  return event.result == 0 && event.error == 0 ? "nothing was ready" : "";
}

std::string NotesInWords(const EventView& event) {
  std::vector<std::string> words;
  if ((event.notes & EVENT_NOTE_PEEK) != 0) words.push_back("only a look: the bytes stay");
  if ((event.notes & EVENT_NOTE_TRUNCATED) != 0) words.push_back("the datagram was longer");
  if ((event.notes & EVENT_NOTE_NOT_SEEN) != 0) words.push_back("moved inside the kernel, not seen");
  if ((event.notes & EVENT_NOTE_CUT) != 0) words.push_back("not all bytes kept");
  if ((event.notes & EVENT_NOTE_VFORK_CHILD) != 0) words.push_back(absl::StrCat("in vfork child ", event.pid));
  return absl::StrJoin(words, ", ");
}

// The pending error that getsockopt(SO_ERROR) fetched, usually of a connect that went on in the background.
std::string PendingErrorInWords(const EventView& event) {
  int error = 0;
  if (event.call != CALL_GETSOCKOPT || event.level != SOL_SOCKET || event.option != SO_ERROR ||
      event.payload.size() != sizeof error) {
    return "";
  }
  std::memcpy(&error, event.payload.data(), sizeof error);
  return error == 0 ? "" : ErrorInWords(CALL_CONNECT, static_cast<uint32_t>(error));
}

std::vector<std::string> Remarks(const EventView& event, bool unicode) {
  std::vector<std::string> remarks;
  const auto add = [&remarks](std::string remark) {
    if (!remark.empty()) remarks.push_back(std::move(remark));
  };
  if (event.error != 0) add(ErrorInWords(event.call, event.error));
  add(PendingErrorInWords(event));
  if (IsWait(event.call)) add(Readiness(event));
  const Direction direction = DirectionOf(event.call);
  if (direction == Direction::kEnters && event.error == 0 && event.result == 0 && event.size > 0 &&
      event.call != CALL_RECVMMSG) {
    add("the end: nothing more will come");
  }
  if (event.call == CALL_GETADDRINFO && event.result == 0) {
    std::vector<std::string> answers;
    for (absl::string_view answer : event.answers) {
      if (answers.size() < kListItems) answers.push_back(DescribeAddress(answer));
    }
    add(List(answers, event.answers.size()));
  }
  add(NotesInWords(event));
  if (event.duration_ns >= kWaitNs) {
    const bool waits = direction != Direction::kNone || IsWait(event.call) || event.call == CALL_ACCEPT ||
                       event.call == CALL_ACCEPT4 || event.call == CALL_CONNECT;
    add(absl::StrCat(waits ? "waited " : "took ", FormatDuration(event.duration_ns, unicode)));
  }
  return remarks;
}

}  // namespace

CallText DescribeCall(const EventView& event, bool unicode) {
  CallText text;
  switch (event.call) {
    case CALL_ATTACHED:
      text.before = AttachedInWords(event);
      return text;
    case CALL_FOUND:
      text.before = FoundInWords(event, unicode);
      return text;
    case CALL_SOCKET_SUMMARY:
      text.before =
          absl::StrCat("descriptor ", event.fd, ": round trip ", FormatDuration(uint64_t{event.rtt_us} * 1000, unicode),
                       ", ", CountOf(event.retransmits, "segment"), " sent again");
      return text;
    default:
      break;
  }
  if (DirectionOf(event.call) != Direction::kNone) {
    DescribeTransfer(event, text);
  } else {
    const std::string name = event.call == CALL_EXECUTING ? "execve" : CallName(event.call);
    text.before = absl::StrCat(name, "(", ArgumentsOf(event, unicode), ")");
  }
  if (event.call == CALL_GETADDRINFO && event.result != 0) {
    text.failed = true;
    text.outcome = gai_strerror(static_cast<int>(event.result));
  } else {
    text.outcome = Outcome(event);
    text.failed = event.error != 0 && !IsNotYet(event.error);
  }
  text.remark = absl::StrJoin(Remarks(event, unicode), ", ");
  return text;
}

}  // namespace socktale
