// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/endpoints.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "viewer/cli/format.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

bool Recorded(const Endpoint& endpoint) { return endpoint.object() != 0; }

Json EndpointJson(const Trace& trace, const Endpoint& endpoint) {
  Json object = Json::object();
  if (const Process* process = trace.process(endpoint.process()); process != nullptr && Recorded(endpoint)) {
    AddProcess(object, process);
    object["fd"] = DescriptorLabel(trace, endpoint);
  }
  if (Json address = AddressJson(endpoint.address()); !address.empty()) object["addr"] = std::move(address);
  if (Recorded(endpoint)) {
    object["sent"] = endpoint.sent();
    object["recv"] = endpoint.received();
    if (endpoint.kept_sent() < endpoint.sent()) object["kept_sent"] = endpoint.kept_sent();
    if (endpoint.kept_received() < endpoint.received()) object["kept_recv"] = endpoint.kept_received();
    object["wait_ns"] = endpoint.wait_ns();
    object["t_ns"] = endpoint.start_ns();
    if (endpoint.established_ns() != 0) object["established_ns"] = endpoint.established_ns();
    if (endpoint.end_ns() != 0) object["end_ns"] = endpoint.end_ns();
    if (endpoint.error() != 0) object["error"] = ErrnoName(endpoint.error());
  }
  return object;
}

// What became of the near end of a connection that is open: forked children may hold it when its process is gone.
void LookForHolders(const Trace& trace, View& view) {
  uint64_t last_ns = 0;
  for (const DescriptorLife* life : trace.lookup().LivesOfObject(view.near->object())) {
    const Process* process = trace.process(life->process());
    const bool process_ended = process != nullptr && process->end_ns() != 0;
    if (life->end() == LIFE_END_OPEN && !process_ended) return;
    if (life->end() == LIFE_END_OPEN) last_ns = std::max(last_ns, process->end_ns());
    if (life->end() == LIFE_END_PROCESS) last_ns = std::max(last_ns, life->end_ns());
  }
  view.never_closed = last_ns != 0;
  view.abandoned_ns = last_ns;
}

const char* JoinName(JoinKind join) {
  switch (join) {
    case JOIN_KIND_ADDRESSES:
      return "addresses";
    case JOIN_KIND_PAIR:
      return "pair";
    case JOIN_KIND_ORDER:
      return "order";
    case JOIN_KIND_GUESSED:
      return "guessed";
    default:
      return "one_end";
  }
}

}  // namespace

View ViewOf(const Trace& trace, const Connection& connection) {
  View view;
  view.connection = &connection;
  view.near_is_client = Recorded(connection.client()) || !Recorded(connection.server());
  view.near = view.near_is_client ? &connection.client() : &connection.server();
  view.far = view.near_is_client ? &connection.server() : &connection.client();
  view.near_process = trace.process(view.near->process());
  view.far_process = Recorded(*view.far) ? trace.process(view.far->process()) : nullptr;
  view.both_recorded = Recorded(*view.near) && Recorded(*view.far);
  view.pair = connection.join() == JOIN_KIND_PAIR;
  view.guessed = connection.join() == JOIN_KIND_GUESSED;
  if (connection.end() == CONNECTION_END_OPEN) LookForHolders(trace, view);
  return view;
}

uint64_t LifeNs(const Trace& trace, const View& view) {
  uint64_t end = view.connection->end_ns();
  if (end == 0) end = view.abandoned_ns;
  if (end == 0) end = trace.tables().end_ns();
  return end > view.connection->start_ns() ? end - view.connection->start_ns() : 0;
}

std::string EndInWords(const View& view, bool by_whom) {
  switch (view.connection->end()) {
    case CONNECTION_END_OPEN:
      return view.never_closed ? "never closed" : "open";
    case CONNECTION_END_CLOSED_BY_CLIENT:
      return !by_whom ? "closed" : view.pair ? "closed by the first end" : "closed by client";
    case CONNECTION_END_CLOSED_BY_SERVER:
      return !by_whom ? "closed" : view.pair ? "closed by the second end" : "closed by server";
    case CONNECTION_END_CLOSED:
      return "closed";
    case CONNECTION_END_REFUSED:
      return "refused";
    case CONNECTION_END_RESET:
      return "reset";
    case CONNECTION_END_TIMED_OUT:
      return "timed out";
    case CONNECTION_END_UNREACHABLE:
      return "unreachable";
    case CONNECTION_END_FAILED:
      return view.connection->error() == 0 ? "failed"
                                           : absl::StrCat("failed (", ErrnoName(view.connection->error()), ")");
    default:
      return absl::StrCat("end ", static_cast<int>(view.connection->end()));
  }
}

std::string EndName(const View& view) {
  switch (view.connection->end()) {
    case CONNECTION_END_OPEN:
      return view.never_closed ? "never_closed" : "open";
    case CONNECTION_END_CLOSED_BY_CLIENT:
      return "closed_by_client";
    case CONNECTION_END_CLOSED_BY_SERVER:
      return "closed_by_server";
    case CONNECTION_END_CLOSED:
      return "closed";
    case CONNECTION_END_REFUSED:
      return "refused";
    case CONNECTION_END_RESET:
      return "reset";
    case CONNECTION_END_TIMED_OUT:
      return "timed_out";
    case CONNECTION_END_UNREACHABLE:
      return "unreachable";
    case CONNECTION_END_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

Mark MarkOf(const View& view) {
  switch (view.connection->end()) {
    case CONNECTION_END_REFUSED:
    case CONNECTION_END_RESET:
    case CONNECTION_END_TIMED_OUT:
    case CONNECTION_END_UNREACHABLE:
    case CONNECTION_END_FAILED:
      return Mark::kError;
    default:
      return view.never_closed ? Mark::kWarning : Mark::kNone;
  }
}

std::string ProcessInWords(const Process* process, bool wide) {
  if (process == nullptr) return "?";
  std::string words = ProcessLabel(*process);
  if (!wide || process->image().empty()) return words;
  for (const std::string& argument : process->image(process->image_size() - 1).argv()) {
    absl::StrAppend(&words, " ", ShellQuote(argument));
  }
  return words;
}

std::string DescriptorLabel(const Trace& trace, const Endpoint& endpoint) {
  const DescriptorLife* life = trace.LifeAt(endpoint.process(), endpoint.fd(), endpoint.start_ns());
  return DescriptorId(trace.process(endpoint.process()), endpoint.fd(), life != nullptr ? life->generation() : 0);
}

std::string AddressOfEnd(const View& view, bool near) {
  const bool client = near == view.near_is_client;
  const Endpoint& endpoint = client ? view.connection->client() : view.connection->server();
  std::string words = DescribeAddress(endpoint.address());
  if (words == "-" && !client && !view.connection->unix_path().empty()) words = Printable(view.connection->unix_path());
  return words;
}

Json ConnectionJson(const Trace& trace, const Connection& connection) {
  const View view = ViewOf(trace, connection);
  Json object = {{"type", "conn"}, {"id", absl::StrCat("c", connection.id())}, {"proto", ProtocolName(connection)}};
  if (Json end = EndpointJson(trace, connection.client()); !end.empty()) object["client"] = std::move(end);
  if (Json end = EndpointJson(trace, connection.server()); !end.empty()) object["server"] = std::move(end);
  // Peer, sent and recv are as seen from this end.
  object["seen_from"] = view.near_is_client ? "client" : "server";
  if (Json address = AddressJson(view.far->address()); !address.empty()) object["peer"] = std::move(address);
  if (!connection.host().empty()) object["host"] = connection.host();
  if (!connection.unix_path().empty()) AddBytes(object, "path", connection.unix_path());
  object["t_ns"] = connection.start_ns();
  object["life_ns"] = LifeNs(trace, view);
  object["sent"] = view.near->sent();
  object["recv"] = view.near->received();
  object["wait_ns"] = view.near->wait_ns();
  object["end"] = EndName(view);
  if (connection.error() != 0) object["error"] = ErrnoName(connection.error());
  object["join"] = JoinName(connection.join());
  object["events"] = connection.event_count();
  return object;
}

}  // namespace socktale
