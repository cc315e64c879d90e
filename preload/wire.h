// SPDX-License-Identifier: Apache-2.0
//
// Writes protobuf's wire format into memory the caller gives: freestanding, so it works inside any program and signal
// handler, at any optimization level, without exceptions and without the C++ library.
//
// The writer never checks for room. The caller adds up the bounds of what it is about to write (constants below, plus
// the lengths of its bytes), compares that sum once with the room it has, cuts the payload if need be, and then writes.
// Field numbers are template arguments: tags are constants of one byte (fields 1 to 15) or two (16 to 2047).
//
// As in proto3, a field that holds 0 or no bytes is left out; members of repeated fields always stand.

#ifndef SOCKTALE_PRELOAD_WIRE_H_
#define SOCKTALE_PRELOAD_WIRE_H_

#include <stddef.h>
#include <stdint.h>

namespace socktale::wire {

enum Type : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// Most bytes that a varint takes: of 64 bits (and of every negative int32), of 32 bits.
inline constexpr size_t kMaxVarint64 = 10;
inline constexpr size_t kMaxVarint32 = 5;
// Most bytes that a field takes, tag included: any number; bytes, without the bytes themselves.
inline constexpr size_t kMaxNumberField = 2 + kMaxVarint64;
inline constexpr size_t kMaxBytesOverhead = 2 + kMaxVarint32;

constexpr uint32_t ZigZag32(int32_t v) { return (static_cast<uint32_t>(v) << 1) ^ static_cast<uint32_t>(v >> 31); }
constexpr uint64_t ZigZag64(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }

// Bytes that `v` takes as a varint: 1 to 10.
constexpr size_t VarintSize(uint64_t v) { return static_cast<size_t>((63 - __builtin_clzll(v | 1)) * 9 + 73) / 64; }

// Bytes that a field's tag takes: 1 or 2.
constexpr size_t TagSize(uint32_t field) { return field < 16 ? 1 : 2; }

// Bytes that field `field` takes when it holds `size` bytes, tag and length included. 0 when size is 0.
constexpr size_t BytesFieldSize(uint32_t field, size_t size) {
  return size == 0 ? 0 : TagSize(field) + VarintSize(size) + size;
}

// How many of `size` bytes fit into `room` bytes as field `field`, tag and length included.
constexpr size_t BytesThatFit(uint32_t field, size_t size, size_t room) {
  const size_t overhead = TagSize(field) + 1;
  if (room <= overhead) return 0;
  size_t fits = room - overhead;  // right if the length takes one byte; else each further one costs a byte
  if (fits > size) fits = size;
  while (fits > 0 && TagSize(field) + VarintSize(fits) + fits > room) --fits;
  return fits;
}

class Writer {
 public:
  explicit Writer(uint8_t* begin) : p_(begin) {}

  uint8_t* position() const { return p_; }

  // uint32, uint64, bool, enum. Nothing when v is 0.
  template <uint32_t field>
  void Uint(uint64_t v) {
    if (v == 0) return;
    Tag<field, kVarint>();
    Varint(v);
  }

  // sint32, sint64 (which take the same bytes). Nothing when v is 0.
  template <uint32_t field>
  void Sint(int64_t v) {
    Uint<field>(ZigZag64(v));
  }

  // fixed64 and fixed32. Nothing when v is 0.
  template <uint32_t field>
  void Fixed64(uint64_t v) {
    if (v == 0) return;
    Tag<field, kFixed64>();
    __builtin_memcpy(p_, &v, sizeof v);  // wire order is little-endian, as is every machine the shim runs on
    p_ += sizeof v;
  }
  template <uint32_t field>
  void Fixed32(uint32_t v) {
    if (v == 0) return;
    Tag<field, kFixed32>();
    __builtin_memcpy(p_, &v, sizeof v);
    p_ += sizeof v;
  }

  // bytes, string. Nothing when size is 0; data may be null then.
  template <uint32_t field>
  void Bytes(const void* data, size_t size) {
    if (size == 0) return;
    Element<field>(data, size);
  }

  // One member of `repeated bytes`: written also when empty.
  template <uint32_t field>
  void Element(const void* data, size_t size) {
    Tag<field, kLengthDelimited>();
    Varint(size);
    Raw(data, size);
  }

  // Writes tag and length of a bytes field and gives where its `size` bytes go; the caller fills all of them.
  template <uint32_t field>
  uint8_t* BytesSpace(size_t size) {
    Tag<field, kLengthDelimited>();
    Varint(size);
    uint8_t* const space = p_;
    p_ += size;
    return space;
  }

  // `repeated sint32`, packed as proto3 does. Nothing when count is 0.
  template <uint32_t field>
  void PackedSint32(const int32_t* values, size_t count) {
    if (count == 0) return;
    size_t size = 0;
    for (size_t i = 0; i < count; ++i) size += VarintSize(ZigZag32(values[i]));
    Tag<field, kLengthDelimited>();
    Varint(size);
    for (size_t i = 0; i < count; ++i) Varint(ZigZag32(values[i]));
  }

  // A message or run of bytes whose length is not known yet: writes its tag, leaves `width` bytes for the length and
  // returns where they are. EndReserved() fills them in.
  template <uint32_t field, size_t width>
  uint8_t* BeginReserved() {
    static_assert(width >= 1 && width <= kMaxVarint32);
    Tag<field, kLengthDelimited>();
    uint8_t* const length = p_;
    p_ += width;
    return length;
  }

  // length: what BeginReserved<field, width>() gave; what was written since must be below 2^(7 * width) bytes long.
  template <size_t width>
  void EndReserved(uint8_t* length) {
    PaddedVarint<width>(length, static_cast<uint64_t>(p_ - (length + width)));
  }

  // Writes v, below 2^(7 * width), as a varint of exactly `width` bytes: readers take the padding as leading zeros.
  template <size_t width>
  static void PaddedVarint(uint8_t* at, uint64_t v) {
    for (size_t i = 0; i + 1 < width; ++i) {
      at[i] = static_cast<uint8_t>(v | 0x80);
      v >>= 7;
    }
    at[width - 1] = static_cast<uint8_t>(v & 0x7f);
  }

  void Varint(uint64_t v) {
    while (v >= 0x80) {
      *p_++ = static_cast<uint8_t>(v | 0x80);
      v >>= 7;
    }
    *p_++ = static_cast<uint8_t>(v);
  }

  void Raw(const void* data, size_t size) {
    if (size == 0) return;  // memcpy from a null pointer is undefined even for no bytes
    __builtin_memcpy(p_, data, size);
    p_ += size;
  }

  template <uint32_t field, Type type>
  void Tag() {
    static_assert(field >= 1 && field < 2048, "tags of one or two bytes");
    constexpr uint32_t tag = field << 3 | type;
    if constexpr (tag < 0x80) {
      *p_++ = tag;
    } else {
      *p_++ = (tag & 0x7f) | 0x80;
      *p_++ = tag >> 7;
    }
  }

 private:
  uint8_t* p_;
};

}  // namespace socktale::wire

#endif  // SOCKTALE_PRELOAD_WIRE_H_
