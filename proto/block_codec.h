// SPDX-License-Identifier: Apache-2.0
//
// One block of a trace file, between bytes and fields: how its header is written, checked and read, and its payload
// compressed. Reads no file. docs/trace-format.md draws the bytes.

#ifndef SOCKTALE_PROTO_BLOCK_CODEC_H_
#define SOCKTALE_PROTO_BLOCK_CODEC_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace socktale {

using Marker = std::array<char, kMarkerBytes>;

// The bytes of a block before its payload: tag and length, the header, the payload's tag and length. header: complete
// but for checksum, header_checksum and (for a header grown too long) the images, which are set here.
// payload: as it will stand in the file.
std::string EncodeBlockPrefix(BlockHeader& header, absl::string_view payload);

// A block's header as found in a file, with its place there.
struct BlockFrame {
  uint64_t size = 0;          // of the whole block, tag and length included
  uint64_t prefix_size = 0;   // bytes before the payload
  uint64_t payload_size = 0;  // as stored
  Marker marker{};
  BlockKind kind = BLOCK_KIND_UNKNOWN;
  Codec codec = CODEC_RAW;
  uint64_t raw_size = 0;
  uint64_t checksum = 0;
  uint64_t sequence = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  uint64_t first_event = 0;
  uint64_t event_count = 0;

  // The row of the index for this block at `offset`.
  BlockEntry Entry(uint64_t offset) const;
};

enum class FrameVerdict {
  kWhole,  // a good header, and the file is long enough for the payload
  kCut,    // sensible as far as it goes, but the file ends before the block does
  kBad,    // no block, or one with a damaged header
};

// No honest block has more bytes before its payload, so this much is enough to judge any.
inline constexpr size_t kPrefixMaxBytes = 64 << 10;
// And no block is smaller.
inline constexpr size_t kBlockMinBytes = 35;

// Judges the block that begins with `bytes`. bytes: as many as are at hand; left: from there to the end of the file.
// *more: set when `bytes` is too short to tell, and up to kPrefixMaxBytes should be given; the verdict is then void.
// why: what is wrong, unless kWhole.
FrameVerdict ParseBlockFrame(absl::string_view bytes, uint64_t left, BlockFrame& frame, bool* more, std::string& why);

// Compresses and decompresses payloads, one after another, with the same working memory.
class PayloadCodec {
 public:
  PayloadCodec();
  ~PayloadCodec();
  PayloadCodec(PayloadCodec&&) noexcept;
  PayloadCodec& operator=(PayloadCodec&&) noexcept;

  // Compresses into `out`. False when that gains nothing: the payload is better stored raw.
  bool Compress(absl::string_view raw, std::string& out);

  // Checks a stored payload against its header, and decodes it. raw: a view of `stored` or of `buffer`.
  absl::Status Decode(const BlockFrame& frame, absl::string_view stored, std::string& buffer, absl::string_view& raw);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
    void operator()(ZSTD_DCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> compressor_;
  std::unique_ptr<ZSTD_DCtx_s, Free> decompressor_;
};

}  // namespace socktale

#endif  // SOCKTALE_PROTO_BLOCK_CODEC_H_
