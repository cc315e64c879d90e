// SPDX-License-Identifier: Apache-2.0
//
// getaddrinfo, getnameinfo, gethostbyname and gethostbyaddr: the question, and what it was answered with: addresses,
// which give connections their host names. What libc sends to name servers for it is libc's own and not seen here.

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/poison.h"
#include "preload/socket_facts.h"

namespace socktale {
namespace {

constexpr size_t kMaxHost = 1025;   // NI_MAXHOST: no name is longer
constexpr size_t kMaxService = 64;  // services have short names
constexpr size_t kMaxAnswers = 32;

struct Answers {
  const addrinfo* of[kMaxAnswers];
  size_t count = 0;
  size_t bytes = 0;  // that they take in the event
};

bool SameAddress(const addrinfo* a, const addrinfo* b) {
  return a->ai_addrlen == b->ai_addrlen && memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen) == 0;
}

// One of each address: the list holds it again for each type of socket, one after another.
void Collect(const addrinfo* list, Answers& answers) {
  for (; list != nullptr && answers.count < kMaxAnswers; list = list->ai_next) {
    if (list->ai_addr == nullptr || list->ai_addrlen > kMaxAddress) continue;
    if (answers.count > 0 && SameAddress(answers.of[answers.count - 1], list)) continue;
    answers.of[answers.count++] = list;
    answers.bytes += wire::kMaxBytesOverhead + list->ai_addrlen;
  }
}

size_t LengthOf(const char* text, size_t most) { return text == nullptr ? 0 : strnlen(text, most); }

// ---- hostent ---------------------------------------------------------------------------------------------------

// An address without its port, as the trace has them.
struct HostAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  size_t size;
};

// bytes: in_addr or in6_addr. False: of another family, or not as long as that has it.
bool ToAddress(int family, const void* bytes, size_t size, HostAddress& address) {
  address = {};
  if (family == AF_INET && size == sizeof address.v4.sin_addr) {
    address.v4.sin_family = AF_INET;
    memcpy(&address.v4.sin_addr, bytes, size);
    address.size = sizeof address.v4;
  } else if (family == AF_INET6 && size == sizeof address.v6.sin6_addr) {
    address.v6.sin6_family = AF_INET6;
    memcpy(&address.v6.sin6_addr, bytes, size);
    address.size = sizeof address.v6;
  }
  return address.size != 0;
}

// found: the answer, null when there is none. The name is not read by the kernel but by libc, which has read it.
void RecordByName(const CallScope& call, const char* name, int family, const hostent* found) {
  EventHead head = call.Head(0);
  if (found == nullptr) head.result = -1;
  const size_t name_size = LengthOf(name, kMaxHost);
  HostAddress answers[kMaxAnswers];
  size_t count = 0;
  for (size_t i = 0; found != nullptr && count < kMaxAnswers && found->h_addr_list[i] != nullptr; ++i) {
    if (ToAddress(found->h_addrtype, found->h_addr_list[i], static_cast<size_t>(found->h_length), answers[count])) {
      ++count;
    }
  }
  EventWriter event(head, wire::kMaxNumberField + wire::kMaxBytesOverhead + name_size +
                              count * (wire::kMaxBytesOverhead + sizeof(sockaddr_in6)));
  if (!event.ok()) return;
  event.tail().Uint<field::event::kDomain>(static_cast<uint32_t>(family));
  event.tail().Bytes<field::event::kHost>(name, name_size);
  for (size_t i = 0; i < count; ++i) event.tail().Element<field::event::kAnswer>(&answers[i].any, answers[i].size);
  event.Commit();
}

// bytes, size, family: the address asked about.
void RecordByAddress(const CallScope& call, const void* bytes, socklen_t size, int family, const hostent* found) {
  EventHead head = call.Head(0);
  if (found == nullptr) head.result = -1;
  HostAddress asked;
  if (found != nullptr && ToAddress(family, bytes, size, asked)) head.address = {&asked.any, asked.size};
  const char* const name = found != nullptr ? found->h_name : nullptr;
  const size_t name_size = LengthOf(name, kMaxHost);
  EventWriter event(head, wire::kMaxNumberField + wire::kMaxBytesOverhead + name_size);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kDomain>(static_cast<uint32_t>(family));
  event.tail().Bytes<field::event::kHost>(name, name_size);
  event.Commit();
}

}  // namespace

// libc reads every argument and writes *result, so all of them are good memory by the time the call is back; unless it
// refused the hints, which it looks at first.
INTERPOSE int getaddrinfo(const char* __restrict node, const char* __restrict service, const addrinfo* __restrict hints,
                          addrinfo** __restrict list) {
  CallScope call(Hook::getaddrinfo);
  const int result = call.Real(real.getaddrinfo, node, service, hints, list);
  if (!call.recording()) return result;

  EventHead head = call.Head(result);
  head.error = result == EAI_SYSTEM ? static_cast<uint32_t>(errno) : 0;  // EAI_BADFLAGS is -1 and sets none
  if (hints != nullptr) head.flags = static_cast<uint32_t>(hints->ai_flags);
  Answers answers;
  if (result == 0) Collect(*list, answers);
  const bool refused = result == EAI_BADFLAGS || result == EAI_FAMILY;
  const size_t node_size = refused ? 0 : LengthOf(node, kMaxHost);
  const size_t service_size = refused ? 0 : LengthOf(service, kMaxService);
  EventWriter event(head,
                    3 * wire::kMaxNumberField + 2 * wire::kMaxBytesOverhead + node_size + service_size + answers.bytes);
  if (event.ok()) {
    wire::Writer& tail = event.tail();
    if (hints != nullptr) {
      tail.Uint<field::event::kDomain>(static_cast<uint32_t>(hints->ai_family));
      tail.Uint<field::event::kType>(static_cast<uint32_t>(hints->ai_socktype));
      tail.Uint<field::event::kProtocol>(static_cast<uint32_t>(hints->ai_protocol));
    }
    tail.Bytes<field::event::kHost>(node, node_size);
    tail.Bytes<field::event::kService>(service, service_size);
    for (size_t i = 0; i < answers.count; ++i) {
      tail.Element<field::event::kAnswer>(answers.of[i]->ai_addr, answers.of[i]->ai_addrlen);
    }
    event.Commit();
  }
  return result;
}

INTERPOSE int getnameinfo(const sockaddr* __restrict address, socklen_t size, char* __restrict host,
                          socklen_t host_size, char* __restrict service, socklen_t service_size, int flags) {
  CallScope call(Hook::getnameinfo);
  const int result = call.Real(real.getnameinfo, address, size, host, host_size, service, service_size, flags);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.error = result == EAI_SYSTEM ? static_cast<uint32_t>(errno) : 0;
  head.flags = static_cast<uint32_t>(flags);
  if (result == 0) head.address = GivenAddress(address, size);
  const size_t got_host = result == 0 && host_size != 0 ? LengthOf(host, host_size) : 0;
  const size_t got_service = result == 0 && service_size != 0 ? LengthOf(service, service_size) : 0;
  EventWriter event(head, 2 * wire::kMaxBytesOverhead + got_host + got_service);
  if (!event.ok()) return result;
  event.tail().Bytes<field::event::kHost>(host, got_host);
  event.tail().Bytes<field::event::kService>(service, got_service);
  event.Commit();
  return result;
}

INTERPOSE hostent* gethostbyname(const char* name) {
  CallScope call(Hook::gethostbyname);
  hostent* const found = call.Real(real.gethostbyname, name);
  if (call.recording()) RecordByName(call, name, AF_UNSPEC, found);
  return found;
}

INTERPOSE hostent* gethostbyname2(const char* name, int family) {
  CallScope call(Hook::gethostbyname2);
  hostent* const found = call.Real(real.gethostbyname2, name, family);
  if (call.recording()) RecordByName(call, name, family, found);
  return found;
}

INTERPOSE int gethostbyname_r(const char* __restrict name, hostent* __restrict room, char* __restrict buffer,
                              size_t size, hostent** __restrict found, int* __restrict error) {
  CallScope call(Hook::gethostbyname_r);
  const int result = call.Real(real.gethostbyname_r, name, room, buffer, size, found, error);
  if (call.recording()) RecordByName(call, name, AF_UNSPEC, result == 0 ? *found : nullptr);
  return result;
}

INTERPOSE int gethostbyname2_r(const char* __restrict name, int family, hostent* __restrict room,
                               char* __restrict buffer, size_t size, hostent** __restrict found,
                               int* __restrict error) {
  CallScope call(Hook::gethostbyname2_r);
  const int result = call.Real(real.gethostbyname2_r, name, family, room, buffer, size, found, error);
  if (call.recording()) RecordByName(call, name, family, result == 0 ? *found : nullptr);
  return result;
}

INTERPOSE hostent* gethostbyaddr(const void* address, socklen_t size, int family) {
  CallScope call(Hook::gethostbyaddr);
  hostent* const found = call.Real(real.gethostbyaddr, address, size, family);
  if (call.recording()) RecordByAddress(call, address, size, family, found);
  return found;
}

INTERPOSE int gethostbyaddr_r(const void* __restrict address, socklen_t size, int family, hostent* __restrict room,
                              char* __restrict buffer, size_t buffer_size, hostent** __restrict found,
                              int* __restrict error) {
  CallScope call(Hook::gethostbyaddr_r);
  const int result = call.Real(real.gethostbyaddr_r, address, size, family, room, buffer, buffer_size, found, error);
  if (call.recording()) RecordByAddress(call, address, size, family, result == 0 ? *found : nullptr);
  return result;
}

}  // namespace socktale
