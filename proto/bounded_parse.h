// SPDX-License-Identifier: Apache-2.0
//
// Parses a protobuf message from bytes that nobody vouches for, without letting a few of them become much memory.

#ifndef SOCKTALE_PROTO_BOUNDED_PARSE_H_
#define SOCKTALE_PROTO_BOUNDED_PARSE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace socktale {

// Merges `bytes` into `message`, as MergeFromString does. kDataLoss when they are no such message, or would need more
// than a MiB and sixteen times their size in memory, as no honest message of ours does (an empty submessage takes two
// bytes of a file and hundreds in memory).
// budget_bytes: memory that the caller can spend on all it merges; what this message needs is taken off, roughly, and
// kDataLoss comes when it would not suffice. For bytes that were compressed, whose size says nothing about the file's.
absl::Status MergeBounded(absl::string_view bytes, google::protobuf::Message& message, int64_t& budget_bytes);
absl::Status MergeBounded(absl::string_view bytes, google::protobuf::Message& message);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_BOUNDED_PARSE_H_
