// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/call_text.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/call_families.h"
#include "viewer/cli/call_arguments.h"
#include "viewer/cli/format.h"
#include "viewer/model/lookup.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/files.h"
#include "viewer/names/options.h"
#include "viewer/names/printable.h"
#include "viewer/names/requests.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

// Calls that took this long are said to have waited.
constexpr uint64_t kWaitNs = 1'000'000;

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

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
  return JoinItems(items, event.datagrams.size());
}

// Whether bytes moved that could be kept: else the size stands in their place.
bool HasPayload(const EventView& event) {
  return event.payload_size > 0 && (event.notes & EVENT_NOTE_NOT_SEEN) == 0;
}

// Where the kernel took bytes from: "7", of a file "7 at 4096".
std::string SourceText(const EventView& event) {
  if ((event.notes & EVENT_NOTE_READ_BACK) == 0) return absl::StrCat(event.new_fd);
  return absl::StrCat(event.new_fd, " at ", event.offset);
}

// send, recv and their like: descriptor, payload (or the size that was asked for), flags, address.
void DescribeTransfer(const EventView& event, CallText& text) {
  text.before = absl::StrCat(CallName(event.call), "(", event.fd);
  const bool at_offset = IsAtOffset(event.call);
  if (at_offset && event.offset != UINT64_MAX) absl::StrAppend(&text.before, " at ", event.offset);
  if (event.call == CALL_SENDFILE) absl::StrAppend(&text.before, ", ", SourceText(event));
  if (!event.datagrams.empty()) absl::StrAppend(&text.before, ", [", DatagramSizes(event), "]");
  text.before += ", ";
  text.payload_size = event.payload_size;
  text.has_payload = HasPayload(event);
  if (!text.has_payload) absl::StrAppend(&text.before, event.size);
  if (event.error == 0) text.direction = DirectionOf(event.call);
  if (event.flags != 0) {
    absl::StrAppend(
        &text.after, ", ",
        at_offset ? Short(ReadWriteFlagNames(event.flags), "RWF_") : Short(MessageFlagNames(event.flags), "MSG_"));
  }
  if (!event.address.empty()) absl::StrAppend(&text.after, ", ", DescribeAddress(event.address));
  absl::StrAppend(&text.after, Passed(event), ")");
}

// splice and its like: where from, where to, payload (or the size that was asked for), flags.
void DescribeCopy(const EventView& event, CallText& text) {
  text.before = absl::StrCat(CallName(event.call), "(");
  if (event.call != CALL_VMSPLICE) absl::StrAppend(&text.before, SourceText(event), ", ");
  absl::StrAppend(&text.before, event.fd, ", ");
  text.payload_size = event.payload_size;
  text.has_payload = HasPayload(event);
  if (!text.has_payload) absl::StrAppend(&text.before, event.size);
  if (event.flags != 0) absl::StrAppend(&text.after, ", ", Short(SpliceFlagNames(event.flags), "SPLICE_F_"));
  text.after += ")";
}

bool IsCopyBetweenDescriptors(Call call) {
  return call == CALL_SPLICE || call == CALL_TEE || call == CALL_COPY_FILE_RANGE || call == CALL_VMSPLICE;
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
  const std::string program = event.argv.empty() ? Printable(View(event.path)) : ProgramWords(event);
  const std::string parent =
      event.parent_pid != 0 && event.reason == ATTACH_REASON_FORK ? absl::StrCat(" by process ", event.parent_pid) : "";
  return absl::StrCat(how, parent, program.empty() || event.reason == ATTACH_REASON_FORK ? "" : ": ",
                      event.reason == ATTACH_REASON_FORK ? "" : program);
}

std::string Outcome(const EventView& event) {
  if (event.error != 0) return ErrnoName(event.error);
  switch (event.call) {
    case CALL_EXIT:
    case CALL_EXECUTING:
    case CALL_DLOPEN:
    case CALL_DLMOPEN:
      return "";
    case CALL_SOCKETPAIR:
    case CALL_PIPE:
    case CALL_PIPE2:
    case CALL_OPENPTY:
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
  const std::string ready = PolledList(event, false, IsEpollWait(event.call));
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

// What an address was answered with: "db.internal", service "postgresql".
std::string NameInWords(const EventView& event, bool unicode) {
  std::vector<std::string> words;
  if (!event.host.empty()) words.push_back(Quoted(event.host, unicode));
  if (!event.service.empty()) words.push_back(absl::StrCat("service ", Quoted(event.service, unicode)));
  return absl::StrJoin(words, ", ");
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
  if (event.call == CALL_GETNAMEINFO || event.call == CALL_GETHOSTBYADDR) add(NameInWords(event, unicode));
  if ((event.call == CALL_GETADDRINFO || event.call == CALL_GETHOSTBYNAME) && event.result == 0) {
    std::vector<std::string> answers;
    for (absl::string_view answer : event.answers) {
      if (answers.size() < kListItems) answers.push_back(DescribeAddress(answer));
    }
    add(JoinItems(answers, event.answers.size()));
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
    case CALL_LEFT: {
      const Call left = CallToldOf(event);
      const bool on_descriptor = WorksOnDescriptor(left) && event.fd >= 0;
      text.before = absl::StrCat(CallName(left), "(", on_descriptor ? absl::StrCat(event.fd) : "",
                                 ") did not come back: a jump or a cancellation ended it");
      return text;
    }
    default:
      break;
  }
  if (DirectionOf(event.call) != Direction::kNone) {
    DescribeTransfer(event, text);
  } else if (IsCopyBetweenDescriptors(event.call)) {
    DescribeCopy(event, text);
  } else {
    const std::string name = event.call == CALL_EXECUTING ? "execve" : CallName(event.call);
    text.before = absl::StrCat(name, "(", ArgumentsOf(event, unicode), ")");
  }
  if ((event.call == CALL_GETADDRINFO || event.call == CALL_GETNAMEINFO) && event.result != 0) {
    text.failed = true;
    text.outcome = gai_strerror(static_cast<int>(event.result));
  } else if ((event.call == CALL_GETHOSTBYNAME || event.call == CALL_GETHOSTBYADDR) && event.result != 0) {
    text.failed = true;
    text.outcome = "no answer";
  } else {
    text.outcome = Outcome(event);
    text.failed = event.error != 0 && !IsNotYet(event.error);
  }
  text.remark = absl::StrJoin(Remarks(event, unicode), ", ");
  return text;
}

}  // namespace socktale
