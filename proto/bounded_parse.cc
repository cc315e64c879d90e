// SPDX-License-Identifier: Apache-2.0

#include "proto/bounded_parse.h"

#include <algorithm>
#include <climits>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kPointerBytes = 8;

// Takes the memory that `bytes` would need as a message of prototype's type off `budget`, roughly; stops when it is
// used up. The types of our .proto files are not recursive, which bounds the depth here.
bool Fits(const Message& prototype, absl::string_view bytes, int64_t& budget) {
  budget -= static_cast<int64_t>(prototype.SpaceUsedLong() + kPointerBytes);
  WireScanner scan(bytes);
  for (uint32_t tag = 0; budget >= 0 && scan.Next(tag);) {
    if (tag != Tag(tag >> 3, WireType::kBytes)) {
      scan.Skip(tag);
      continue;
    }
    const absl::string_view value = scan.Bytes();
    const FieldDescriptor* field = prototype.GetDescriptor()->FindFieldByNumber(static_cast<int>(tag >> 3));
    if (field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message* part = prototype.GetReflection()->GetMessageFactory()->GetPrototype(field->message_type());
      if (!Fits(*part, value, budget)) return false;
    } else if (field != nullptr && field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
      budget -= static_cast<int64_t>(sizeof(uint64_t) * value.size());  // packed numbers, of a byte each at worst
    } else {
      budget -= static_cast<int64_t>(kPointerBytes + sizeof(std::string) + value.size());  // unknown ones are kept too
    }
  }
  return budget >= 0;
}

}  // namespace

absl::Status MergeBounded(absl::string_view bytes, Message& message) {
  int64_t budget_bytes = INT64_MAX;
  return MergeBounded(bytes, message, budget_bytes);
}

absl::Status MergeBounded(absl::string_view bytes, Message& message, int64_t& budget_bytes) {
  const std::string& type = message.GetDescriptor()->name();
  const Message* empty = message.GetReflection()->GetMessageFactory()->GetPrototype(message.GetDescriptor());
  const int64_t allowed = std::min(budget_bytes, (1 << 20) + int64_t{16} * static_cast<int64_t>(bytes.size()));
  int64_t budget = allowed;
  const bool fits = Fits(*empty, bytes, budget);
  budget_bytes -= allowed - budget;
  if (!fits) {
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes of ", type, " with more entries than can be true"));
  }
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  if (bytes.size() > INT_MAX || !message.MergeFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return absl::DataLossError(absl::StrCat("its ", bytes.size(), " bytes are no message ", type));
  }
  return absl::OkStatus();
}

}  // namespace socktale
