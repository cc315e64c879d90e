// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "viewer/cli/format.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

std::string String(std::string_view bytes) { return std::string(bytes); }

// JSON allows DEL and the C1 controls as they are, terminals act on them: here they become \u009b and the like.
std::string WithoutControls(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    const auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0u;
    if (json[i] == '\x7f') {
      safe += "\\u007f";
    } else if (json[i] == '\xc2' && next >= 0x80 && next < 0xa0) {
      absl::StrAppend(&safe, "\\u00", absl::Hex(next));
      ++i;
    } else {
      safe += json[i];
    }
  }
  return safe;
}

}  // namespace

void WriteJson(Output& output, const Json& object) {
  const std::string line = object.dump(-1, ' ', !output.look().unicode, Json::error_handler_t::replace);
  output.WriteBytes(WithoutControls(line) + "\n");
}

Json TraceJson(const Trace& trace) {
  const TraceHeader& header = trace.header();
  const Tables& tables = trace.tables();
  Json object = {{"type", "trace"}, {"schema", "socktale/1"}, {"start", FormatUtc(header.start_wall_ns())}};
  if (!header.name().empty()) object["name"] = header.name();
  object["cmd"] = Json::array();
  for (const std::string& word : header.command()) object["cmd"].push_back(Printable(word));
  if (!header.host().empty()) object["host"] = header.host();
  object["version"] = header.version();
  object["dur_ns"] = tables.end_ns();
  object["events"] = tables.event_count();
  object["connections"] = tables.connection_size();
  object["processes"] = tables.process_size();
  uint64_t dropped = 0;
  for (const Drop& drop : tables.drop()) dropped += drop.events();
  object["dropped"] = dropped;
  object["sealed"] = trace.file().sealed();
  Json missing = Json::array();
  for (const Missing& row : tables.missing()) {
    Json entry = {{"kind", row.kind()}, {"count", row.count()}};
    AddProcess(entry, trace.process(row.process()));
    if (!row.detail().empty()) entry["detail"] = row.detail();
    missing.push_back(std::move(entry));
  }
  object["missing"] = std::move(missing);
  return object;
}

void AddProcess(Json& object, const Process* process) {
  if (process == nullptr) return;
  object["pid"] = process->pid();
  if (process->pid_use() > 1) object["pid_use"] = process->pid_use();
  object["process"] = process->name();
}

void AddBytes(Json& object, std::string_view key, std::string_view bytes) {
  bool control = std::any_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0 && c < ' '; });
  if (!control && IsPrintableText(bytes, false)) {
    object[String(key)] = bytes;
  } else {
    object[String(key) + "_b64"] = Base64(bytes);
  }
}

void AddPayload(Json& object, std::string_view payload, uint64_t size) {
  object["len"] = size;
  if (payload.size() < size) object["kept"] = payload.size();
  if (payload.empty()) return;
  if (IsPrintableText(payload, false)) {
    object["text"] = payload;
  } else {
    object["b64"] = Base64(payload);
  }
}

Json AddressJson(std::string_view sockaddr_bytes) {
  Json object = Json::object();
  sa_family_t family = AF_UNSPEC;
  if (sockaddr_bytes.size() < sizeof(family)) return object;
  memcpy(&family, sockaddr_bytes.data(), sizeof(family));
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_INET && sockaddr_bytes.size() >= offsetof(sockaddr_in, sin_zero)) {
    sockaddr_in address{};
    memcpy(&address, sockaddr_bytes.data(), offsetof(sockaddr_in, sin_zero));
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    object["ip"] = text;
    object["port"] = ntohs(address.sin_port);
  } else if (family == AF_INET6 && sockaddr_bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    sockaddr_in6 address{};
    memcpy(&address, sockaddr_bytes.data(), std::min(sockaddr_bytes.size(), sizeof(address)));
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text));
    object["ip"] = text;
    object["port"] = ntohs(address.sin6_port);
    if (address.sin6_scope_id != 0) object["scope"] = address.sin6_scope_id;
  } else if (family == AF_UNIX && sockaddr_bytes.size() > offsetof(sockaddr_un, sun_path)) {
    const std::string_view path = sockaddr_bytes.substr(offsetof(sockaddr_un, sun_path));
    if (path.front() == '\0') {
      AddBytes(object, "abstract", path.substr(1));
    } else {
      AddBytes(object, "path", path.substr(0, path.find('\0')));
    }
  }
  return object;
}

std::string Base64(std::string_view bytes) {
  std::string text;
  absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()), &text);
  return text;
}

}  // namespace socktale
