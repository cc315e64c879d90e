// SPDX-License-Identifier: Apache-2.0
//
// --json: JSON Lines, one object per line with "type"; the first line describes the trace. Absent means unknown.

#ifndef SOCKTALE_VIEWER_CLI_JSON_H_
#define SOCKTALE_VIEWER_CLI_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "proto/trace.pb.h"
#include "viewer/cli/output.h"
#include "viewer/model/trace.h"

namespace socktale {

// Keeps keys in the order they were put in.
using Json = nlohmann::ordered_json;

// One line. Strings that are no UTF-8 have no place in JSON: use AddBytes for them.
void WriteJson(Output& output, const Json& object);

// {"type":"trace","schema":"socktale/1","start":"2026-…Z","cmd":["curl",…],"dropped":0,…}: the first line of all.
Json TraceJson(const Trace& trace);

// "pid", "pid_use" from its second use in the trace on, and "process", its name; nothing where process is null.
void AddProcess(Json& object, const Process* process);

// object[key] = text where it is valid UTF-8, else object[key + "_b64"] = its base64.
void AddBytes(Json& object, std::string_view key, std::string_view bytes);

// Payload: "text" if printable UTF-8, else "b64"; "len" the bytes that moved and, if fewer were kept, "kept".
void AddPayload(Json& object, std::string_view payload, uint64_t size);

// {"ip":"127.0.0.1","port":8080}, {"path":"/run/db.sock"}, {"abstract":"x"}; null object {} for an unknown family.
Json AddressJson(std::string_view sockaddr_bytes);

std::string Base64(std::string_view bytes);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_JSON_H_
