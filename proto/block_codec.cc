// SPDX-License-Identifier: Apache-2.0

#include "proto/block_codec.h"

#include <xxhash.h>
#include <zstd.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the widest vectors that the processor has, for XXH3_64bits
#endif

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proto/wire_append.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

constexpr uint32_t V(uint32_t number) { return Tag(number, WireType::kVarint); }
constexpr uint32_t B(uint32_t number) { return Tag(number, WireType::kBytes); }
constexpr uint32_t F(uint32_t number) { return Tag(number, WireType::kFixed64); }

constexpr char kBlockTag = static_cast<char>(B(1));            // File.block
constexpr char kHeaderTag = static_cast<char>(B(1));           // Block.header
constexpr char kPayloadTag = static_cast<char>(B(2));          // Block.payload
constexpr char kHeaderChecksumTag = static_cast<char>(F(12));  // BlockHeader.header_checksum, last in the header
constexpr size_t kHeaderChecksumBytes = 9;
constexpr size_t kAroundHeader = 32;  // more than three tags and three lengths take

// Faster than level 1 by half, for a tenth of its gain.
constexpr int kZstdLevel = -1;

// The fuzzer's build takes every checksum for right: it would never guess one.
#ifdef SOCKTALE_FUZZING
constexpr bool kChecksumsCount = false;
#else
constexpr bool kChecksumsCount = true;
#endif

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  while (value >>= 7) ++bytes;
  return bytes;
}

// A varint that may be cut off by the end of the bytes at hand.
struct PartialVarint {
  uint64_t value = 0;
  size_t bytes = 0;  // 0: cut off; more than 5: no length of ours
};

PartialVarint TakeLength(absl::string_view bytes) {
  PartialVarint got;
  for (size_t i = 0; i < bytes.size() && i < 6; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    got.value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80 || i == 5) {
      got.bytes = i + 1;
      break;
    }
  }
  return got;
}

bool ReadHeader(absl::string_view bytes, BlockFrame& frame, std::string& why) {
  const absl::string_view covered = bytes.substr(0, bytes.size() - kHeaderChecksumBytes);
  WireScanner last(bytes.substr(covered.size()));
  uint32_t last_tag = 0;
  const bool has_checksum = last.Next(last_tag) && last_tag == F(12);
  if (!has_checksum || (kChecksumsCount && last.Fixed64() != XXH3_64bits(covered.data(), covered.size()))) {
    why = "its header's checksum does not fit";
    return false;
  }
  absl::string_view marker;
  uint64_t codec = 0;
  WireScanner scan(covered);
  for (uint32_t tag = 0; scan.Next(tag);) {
    switch (tag) {
      case B(1):
        marker = scan.Bytes();
        break;
      case V(2):
        frame.kind = static_cast<BlockKind>(scan.Varint32());
        break;
      case V(3):
        codec = scan.Varint();
        break;
      case V(4):
        frame.raw_size = scan.Varint();
        break;
      case F(5):
        frame.checksum = scan.Fixed64();
        break;
      case V(6):
        frame.sequence = scan.Varint();
        break;
      case V(7):
        frame.first_ns = scan.Varint();
        break;
      case V(8):
        frame.last_ns = scan.Varint();
        break;
      case V(9):
        frame.first_event = scan.Varint();
        break;
      case V(10):
        frame.event_count = scan.Varint();
        break;
      default:
        scan.Skip(tag);
    }
  }
  if (!scan.ok() || marker.size() != kMarkerBytes || frame.kind == BLOCK_KIND_UNKNOWN) {
    why = "its header makes no sense";
  } else if (codec != CODEC_RAW && codec != CODEC_ZSTD) {
    why = absl::StrCat("its codec is ", codec, ", which is not known here");
  } else if (frame.raw_size > kBlockMaxBytes) {
    why = absl::StrCat("it says to hold ", frame.raw_size, " bytes; the most is ", kBlockMaxBytes);
  } else if (codec == CODEC_RAW && frame.raw_size != frame.payload_size) {
    why = absl::StrCat("it says to hold ", frame.raw_size, " bytes, but has ", frame.payload_size);
  } else if (frame.event_count > frame.raw_size) {
    why = absl::StrCat("it says to hold ", frame.event_count, " events in ", frame.raw_size, " bytes");
  } else {
    frame.codec = static_cast<Codec>(codec);
    std::copy(marker.begin(), marker.end(), frame.marker.begin());
    return true;
  }
  return false;
}

}  // namespace

std::string EncodeBlockPrefix(BlockHeader& header, absl::string_view payload) {
  header.set_checksum(XXH3_64bits(payload.data(), payload.size()));
  header.clear_header_checksum();
  // A list of images that long helps nobody to skip the block.
  if (header.ByteSizeLong() + kHeaderChecksumBytes + kAroundHeader > kPrefixMaxBytes) header.clear_image();
  std::string bytes;
  header.SerializeToString(&bytes);
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  header.set_header_checksum(checksum);
  bytes.push_back(kHeaderChecksumTag);
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(checksum >> shift));

  std::string prefix;
  prefix.reserve(bytes.size() + kAroundHeader);
  prefix.push_back(kBlockTag);
  AppendVarint(prefix, 1 + VarintBytes(bytes.size()) + bytes.size() + 1 + VarintBytes(payload.size()) + payload.size());
  prefix.push_back(kHeaderTag);
  AppendVarint(prefix, bytes.size());
  prefix += bytes;
  prefix.push_back(kPayloadTag);
  AppendVarint(prefix, payload.size());
  return prefix;
}

BlockEntry BlockFrame::Entry(uint64_t offset) const {
  BlockEntry entry;
  entry.set_offset(offset);
  entry.set_size(size);
  entry.set_kind(kind);
  entry.set_first_ns(first_ns);
  entry.set_last_ns(last_ns);
  entry.set_first_event(first_event);
  entry.set_event_count(event_count);
  return entry;
}

FrameVerdict ParseBlockFrame(absl::string_view bytes, uint64_t left, BlockFrame& frame, bool* more, std::string& why) {
  frame = {};
  *more = false;
  const auto bad = [&](auto&&... words) {
    why = absl::StrCat(words...);
    return FrameVerdict::kBad;
  };
  // The bytes at hand ended: the file ended with them, or more can be had.
  const auto ended = [&] {
    if (bytes.size() < left) *more = true;
    why = absl::StrCat("the file ends ", left, " bytes into it");
    return FrameVerdict::kCut;
  };

  if (bytes.empty()) return ended();
  if (bytes[0] != kBlockTag) return bad("no block begins here");
  const PartialVarint length = TakeLength(bytes.substr(1));
  if (length.bytes == 0) return ended();
  if (length.value + 2 < kBlockMinBytes || length.value > kBlockMaxBytes + kPrefixMaxBytes) {
    return bad("a block's length cannot be ", length.value);
  }
  frame.size = 1 + length.bytes + length.value;

  const size_t header_tag_at = 1 + length.bytes;
  if (bytes.size() <= header_tag_at) return ended();
  if (bytes[header_tag_at] != kHeaderTag) return bad("the block has no header");
  const PartialVarint header_length = TakeLength(bytes.substr(header_tag_at + 1));
  if (header_length.bytes == 0) return ended();
  if (header_length.value <= kHeaderChecksumBytes || header_length.value > kPrefixMaxBytes - kAroundHeader) {
    return bad("a header's length cannot be ", header_length.value);
  }
  const size_t header_at = header_tag_at + 1 + header_length.bytes;
  const size_t payload_tag_at = header_at + header_length.value;
  if (bytes.size() <= payload_tag_at) return ended();
  if (bytes[payload_tag_at] != kPayloadTag) return bad("the block has no payload where its header ends");
  const PartialVarint payload_length = TakeLength(bytes.substr(payload_tag_at + 1));
  if (payload_length.bytes == 0) return ended();
  frame.prefix_size = payload_tag_at + 1 + payload_length.bytes;
  frame.payload_size = payload_length.value;
  // Two lengths tell the same story, so a damaged one shows before anything is believed.
  if (frame.prefix_size + frame.payload_size != frame.size) {
    return bad("length ", length.value, " does not fit a payload of ", frame.payload_size);
  }
  if (!ReadHeader(bytes.substr(header_at, header_length.value), frame, why)) return FrameVerdict::kBad;
  if (frame.size > left) {
    why = absl::StrCat("length ", frame.size, ", but the file ends ", left, " bytes into it");
    return FrameVerdict::kCut;
  }
  return FrameVerdict::kWhole;
}

PayloadCodec::PayloadCodec() = default;
PayloadCodec::~PayloadCodec() = default;
PayloadCodec::PayloadCodec(PayloadCodec&&) noexcept = default;
PayloadCodec& PayloadCodec::operator=(PayloadCodec&&) noexcept = default;
void PayloadCodec::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }
void PayloadCodec::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

bool PayloadCodec::Compress(absl::string_view raw, std::string& out) {
  if (!compressor_) compressor_.reset(ZSTD_createCCtx());
  if (!compressor_) return false;
  out.resize(std::max(out.size(), ZSTD_compressBound(raw.size())));
  const size_t size = ZSTD_compressCCtx(compressor_.get(), out.data(), out.size(), raw.data(), raw.size(), kZstdLevel);
  if (ZSTD_isError(size) || size >= raw.size()) return false;
  out.resize(size);
  return true;
}

absl::Status PayloadCodec::Decode(const BlockFrame& frame, absl::string_view stored, std::string& buffer,
                                  absl::string_view& raw) {
  if (kChecksumsCount && XXH3_64bits(stored.data(), stored.size()) != frame.checksum) {
    return absl::DataLossError("its checksum does not fit");
  }
  if (frame.codec == CODEC_RAW) {
    raw = stored;
    return absl::OkStatus();
  }
  // The frame's own word on its size comes first: a few bytes must not unpack into more than the header admits.
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != frame.raw_size || frame.raw_size > kBlockMaxBytes) {
    return absl::DataLossError("its compressed payload has another size than its header says");
  }
  if (!decompressor_) decompressor_.reset(ZSTD_createDCtx());
  if (!decompressor_) return absl::ResourceExhaustedError("no memory to decompress it");
  buffer.resize(frame.raw_size);
  const size_t size =
      ZSTD_decompressDCtx(decompressor_.get(), buffer.data(), buffer.size(), stored.data(), stored.size());
  if (ZSTD_isError(size)) return absl::DataLossError(absl::StrCat("zstd: ", ZSTD_getErrorName(size)));
  if (size != frame.raw_size) return absl::DataLossError("its compressed payload ends early");
  raw = buffer;
  return absl::OkStatus();
}

}  // namespace socktale
