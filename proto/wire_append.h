// SPDX-License-Identifier: Apache-2.0
//
// Appends encoded pieces of protobuf messages, for what is put together by hand around bytes that are encoded already.

#ifndef SOCKTALE_PROTO_WIRE_APPEND_H_
#define SOCKTALE_PROTO_WIRE_APPEND_H_

#include <cstdint>
#include <string>

#include "proto/wire_scanner.h"

namespace socktale {

inline void AppendVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// The tag of a field of bytes and their length; the bytes come next.
inline void AppendBytesHead(std::string& out, uint32_t number, uint64_t size) {
  AppendVarint(out, Tag(number, WireType::kBytes));
  AppendVarint(out, size);
}

}  // namespace socktale

#endif  // SOCKTALE_PROTO_WIRE_APPEND_H_
