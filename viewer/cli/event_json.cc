// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/event_json.h"

#include <netdb.h>

#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"
#include "viewer/names/options.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// Whether new_fd names a descriptor, which 0 may.
bool HasSecondDescriptor(const EventView& event) {
  switch (event.call) {
    case CALL_DUP2:
    case CALL_DUP3:
    case CALL_SENDFILE:
    case CALL_SPLICE:
    case CALL_TEE:
    case CALL_COPY_FILE_RANGE:
    case CALL_CLOSE_RANGE:
    case CALL_EPOLL_CTL:
      return true;
    case CALL_SOCKETPAIR:
    case CALL_PIPE:
    case CALL_PIPE2:
    case CALL_OPENPTY:
      return event.error == 0;
    default:
      return event.new_fd != 0;
  }
}

// EVENT_NOTE_READ_BACK → "read_back".
Json Notes(uint32_t notes) {
  Json names = Json::array();
  for (uint32_t bit = 1; bit != 0; bit <<= 1) {
    if ((notes & bit) == 0 || bit == EVENT_NOTE_MORE) continue;  // a payload's parts are put together here
    const std::string& symbol = EventNote_Name(static_cast<int>(bit));
    names.push_back(symbol.empty() ? absl::StrCat(bit)
                                   : absl::AsciiStrToLower(absl::StripPrefix(symbol, "EVENT_NOTE_")));
  }
  return names;
}

Json PolledJson(const EventView& event) {
  Json list = Json::array();
  for (absl::string_view bytes : event.polled) {
    PolledView polled;
    if (!ParsePolled(bytes, polled).ok()) continue;
    list.push_back({{"fd", polled.fd}, {"events", polled.events}, {"revents", polled.revents}});
  }
  return list;
}

Json DatagramsJson(const EventView& event) {
  Json list = Json::array();
  for (absl::string_view bytes : event.datagrams) {
    DatagramView datagram;
    if (!ParseDatagram(bytes, datagram).ok()) continue;
    Json entry = {{"len", datagram.size}};
    if (!datagram.address.empty()) entry["address"] = AddressJson(View(datagram.address));
    list.push_back(std::move(entry));
  }
  return list;
}

void AddAddress(Json& object, const char* key, absl::string_view bytes) {
  if (!bytes.empty()) object[key] = AddressJson(View(bytes));
}

void AddText(Json& object, const char* key, absl::string_view bytes) {
  if (!bytes.empty()) AddBytes(object, key, View(bytes));
}

// Zero means "absent" in an Event.
void AddNumber(Json& object, const char* key, uint64_t number) {
  if (number != 0) object[key] = number;
}

void AddProcessFields(Json& object, const EventView& event) {
  AddNumber(object, "made_pid", event.pid);
  AddNumber(object, "parent_pid", event.parent_pid);
  AddNumber(object, "peer_pid", event.peer_pid);
  AddText(object, "name", event.name);
  AddText(object, "cwd", event.cwd);
  AddNumber(object, "network_namespace", event.network_namespace);
  AddNumber(object, "pid_namespace", event.pid_namespace);
  AddNumber(object, "limit", event.limit);
  if (event.call == CALL_ATTACHED) object["user"] = event.user;
  if (event.reason != ATTACH_REASON_UNKNOWN) {
    object["reason"] = absl::AsciiStrToLower(absl::StripPrefix(AttachReason_Name(event.reason), "ATTACH_REASON_"));
  }
  if (!event.argv.empty()) {
    Json words = Json::array();
    for (absl::string_view word : event.argv) {
      Json entry;
      AddBytes(entry, "text", View(word));
      words.push_back(entry.contains("text") ? entry["text"] : entry);
    }
    object["argv"] = std::move(words);
  }
}

void AddSocketFields(Json& object, const EventView& event) {
  AddAddress(object, "address", event.address);
  AddAddress(object, "local", event.local_address);
  AddAddress(object, "peer", event.peer_address);
  if (event.domain != 0) object["domain"] = FamilyName(event.domain);
  if (event.type != 0) object["socket_type"] = SocketTypeName(event.type);
  if (event.protocol != 0) object["protocol"] = ProtocolNumberName(event.domain, event.protocol);
  AddNumber(object, "socket_id", event.socket_id);
  AddNumber(object, "inode", event.inode);
  if (event.call == CALL_SETSOCKOPT || event.call == CALL_GETSOCKOPT) {
    object["level"] = OptionLevelName(event.level);
    object["option"] = OptionName(event.level, event.option);
  } else {
    AddNumber(object, "option", event.option);
  }
  if (event.listening) object["listening"] = true;
  AddNumber(object, "rtt_us", event.rtt_us);
  AddNumber(object, "retransmits", event.retransmits);
  if (!event.answers.empty()) {
    Json answers = Json::array();
    for (absl::string_view answer : event.answers) answers.push_back(AddressJson(View(answer)));
    object["answers"] = std::move(answers);
  }
}

}  // namespace

Json EventJson(const TracedEvent& traced) {
  const EventView& event = *traced.event;
  Json object = {{"type", "event"},
                 {"id", absl::StrCat("e", traced.number)},
                 {"t_ns", event.start_ns},
                 {"dur_ns", event.duration_ns}};
  const Process* process = traced.process;
  AddProcess(object, process);
  if (traced.run != nullptr) {
    object["tid"] = traced.run->tid;
    AddNumber(object, "level", traced.run->level);
  }
  object["call"] = CallName(event.call);
  const bool left = event.call == CALL_LEFT;
  if (left) object["left"] = CallName(CallToldOf(event));
  const bool has_descriptor = left ? WorksOnDescriptor(CallToldOf(event)) : HasDescriptor(event.call);
  if (has_descriptor && event.fd >= 0) {  // AT_FDCWD is none
    object["fd"] = DescriptorId(process, event.fd, traced.fd_life != nullptr ? traced.fd_life->generation() : 0);
  }
  if (HasSecondDescriptor(event)) object["new_fd"] = event.new_fd;
  if (traced.connection != nullptr) {
    object["conn"] = absl::StrCat("c", traced.connection->id());
    object["from_client"] = traced.from_client;
  }
  const bool told_before = event.call == CALL_DLOPEN || event.call == CALL_DLMOPEN;
  if (!told_before && !left) object["ret"] = event.result;
  if (event.error != 0) object["err"] = ErrnoName(event.error);
  if ((event.call == CALL_GETADDRINFO || event.call == CALL_GETNAMEINFO) && event.result != 0) {
    object["why"] = gai_strerror(static_cast<int>(event.result));
  }
  AddNumber(object, "size", event.size);
  AddNumber(object, "flags", event.flags);
  if (event.notes != 0) {
    if (Json notes = Notes(event.notes); !notes.empty()) object["notes"] = std::move(notes);
  }
  AddSocketFields(object, event);
  if (event.kind != DESCRIPTOR_KIND_UNKNOWN) object["kind"] = KindName(event.kind);
  AddText(object, "path", event.path);
  AddNumber(object, "status_flags", event.status_flags);
  if (event.close_on_exec) object["close_on_exec"] = true;
  if (event.offset != UINT64_MAX) AddNumber(object, "offset", event.offset);  // else the descriptor's own position
  if (!event.passed.empty()) object["passed"] = std::vector<int32_t>(event.passed.begin(), event.passed.end());
  if (!event.polled.empty()) object["polled"] = PolledJson(event);
  if (!event.datagrams.empty()) object["datagrams"] = DatagramsJson(event);
  if (event.timeout_ns != 0) object["timeout_ns"] = event.timeout_ns;
  AddText(object, "host", event.host);
  AddText(object, "service", event.service);
  AddProcessFields(object, event);
  return object;
}

}  // namespace socktale
