// SPDX-License-Identifier: Apache-2.0

#include "proto/bounded_parse.h"

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

// Memory that `bytes` would take as a message of prototype's type, roughly. The types of a .proto file of ours are not
// recursive, which bounds the depth here.
uint64_t Cost(const Message& prototype, absl::string_view bytes) {
  uint64_t cost = prototype.SpaceUsedLong();
  WireScanner scan(bytes);
  for (uint32_t tag = 0; scan.Next(tag);) {
    if (tag != Tag(tag >> 3, WireType::kBytes)) {
      scan.Skip(tag);
      continue;
    }
    const absl::string_view value = scan.Bytes();
    const FieldDescriptor* field = prototype.GetDescriptor()->FindFieldByNumber(static_cast<int>(tag >> 3));
    if (field == nullptr) {
      cost += sizeof(std::string) + value.size();  // kept as an unknown field
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message* part = prototype.GetReflection()->GetMessageFactory()->GetPrototype(field->message_type());
      cost += kPointerBytes + Cost(*part, value);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      cost += kPointerBytes + sizeof(std::string) + value.size();
    } else {
      cost += sizeof(uint64_t) * value.size();  // packed numbers of a byte each, at worst
    }
  }
  return cost;
}

}  // namespace

absl::Status MergeBounded(absl::string_view bytes, Message& message) {
  const std::string& type = message.GetDescriptor()->name();
  const Message* empty = message.GetReflection()->GetMessageFactory()->GetPrototype(message.GetDescriptor());
  if (Cost(*empty, bytes) > (1 << 20) + uint64_t{16} * bytes.size()) {
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
