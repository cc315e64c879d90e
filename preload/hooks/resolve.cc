// SPDX-License-Identifier: Apache-2.0
//
// getaddrinfo: the question, and the addresses it was answered with, which give connections their host names. What libc
// sends to name servers for it is libc's own and not seen here.

#include <netdb.h>
#include <string.h>

#include "preload/call_scope.h"
#include "preload/poison.h"

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
  call.Leave();
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

}  // namespace socktale
