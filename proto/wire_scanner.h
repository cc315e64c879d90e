// SPDX-License-Identifier: Apache-2.0
//
// Walks the fields of an encoded protobuf message in place: no copy, no allocation, no exception. Trusts nothing: every
// length is checked against the bytes that are there.

#ifndef SOCKTALE_PROTO_WIRE_SCANNER_H_
#define SOCKTALE_PROTO_WIRE_SCANNER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace socktale {

// The low three bits of a tag; groups (3 and 4) are of protobuf's past and count as damage.
enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// A field's tag, for `case` labels: a field that arrives with another wire type than its own is an unknown field, as it
// is for libprotobuf.
constexpr uint32_t Tag(uint32_t number, WireType type) { return number << 3 | static_cast<uint32_t>(type); }

constexpr int32_t ZigZag32(uint32_t value) { return static_cast<int32_t>(value >> 1 ^ (0u - (value & 1))); }
constexpr int64_t ZigZag64(uint64_t value) { return static_cast<int64_t>(value >> 1 ^ (0ull - (value & 1))); }

// The loop of a caller:
//   WireScanner scan(bytes);
//   for (uint32_t tag; scan.Next(tag);) switch (tag) { case …: scan.Varint(value); break; default: scan.Skip(tag); }
//   if (!scan.ok()) …  // damaged; scan.offset() says where
// After the first misfit everything returns nothing and the loop ends.
class WireScanner {
 public:
  explicit WireScanner(absl::string_view bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  // Takes the next field's tag. False at the end of the message, or of its sense.
  bool Next(uint32_t& tag) {
    if (at_ == end_) return false;
    field_ = at_;
    if (const auto byte = static_cast<uint8_t>(*at_); byte < 0x80) {
      ++at_;
      tag = byte;
    } else {
      const uint64_t value = Varint();
      if (value > UINT32_MAX) Fail();
      tag = static_cast<uint32_t>(value);
    }
    if (tag >> 3 == 0) Fail();
    return ok_;
  }

  // Takes a varint of 1 to 10 bytes; 0 when there is none.
  uint64_t Varint() {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) return static_cast<uint8_t>(*at_++);
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail();
    return 0;
  }

  // Narrower numbers keep their low bits, as libprotobuf does.
  uint32_t Varint32() { return static_cast<uint32_t>(Varint()); }
  int32_t Sint32() { return ZigZag32(Varint32()); }
  int64_t Sint64() { return ZigZag64(Varint()); }

  // Takes eight bytes, little-endian; 0 when there are fewer.
  uint64_t Fixed64() {
    const absl::string_view bytes = Take(8);
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return value;
  }

  // Takes a length and as many bytes; empty when they are not all there.
  absl::string_view Bytes() { return Take(Varint()); }

  // Passes over the value of a field that the caller does not know.
  void Skip(uint32_t tag) {
    switch (static_cast<WireType>(tag & 7)) {
      case WireType::kVarint:
        Varint();
        break;
      case WireType::kFixed64:
        Take(8);
        break;
      case WireType::kBytes:
        Bytes();
        break;
      case WireType::kFixed32:
        Take(4);
        break;
      default:
        Fail();
    }
  }

  bool ok() const { return ok_; }
  size_t offset() const { return static_cast<size_t>((ok_ ? at_ : field_) - begin_); }  // of the field that misfits
  absl::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }

 private:
  absl::string_view Take(uint64_t size) {
    if (size > static_cast<uint64_t>(end_ - at_)) {
      Fail();
      return {};
    }
    const absl::string_view bytes(at_, static_cast<size_t>(size));
    at_ += size;
    return bytes;
  }

  void Fail() {
    ok_ = false;
    at_ = end_;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* field_ = begin_;  // tag of the field being taken
  bool ok_ = true;
};

}  // namespace socktale

#endif  // SOCKTALE_PROTO_WIRE_SCANNER_H_
