// SPDX-License-Identifier: Apache-2.0
//
// What the writer and the reader of a .tale file agree on beyond proto/trace.proto. docs/trace-format.md explains it.

#ifndef SOCKTALE_PROTO_TRACE_FILE_FORMAT_H_
#define SOCKTALE_PROTO_TRACE_FILE_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace socktale {

// Newest TraceHeader.format this code reads.
inline constexpr uint32_t kTraceFormat = 1;

// Raw bytes of events that make a block.
inline constexpr size_t kBlockTargetBytes = 512 << 10;
// No honest block is larger when decoded; a greater raw_size is damage.
inline constexpr size_t kBlockMaxBytes = 64 << 20;

inline constexpr size_t kMarkerBytes = 16;

// The trailer: tag 0x11 (File.index_offset, fixed64), 8 bytes little-endian, tag 0x1a (File.trailer_magic), length 5,
// magic.
inline constexpr size_t kTrailerBytes = 16;
inline constexpr char kTrailerMagic[] = "tale\n";

// A file that is still being written, or whose recorder was killed, has this behind its name; sealing renames it.
inline constexpr char kPartSuffix[] = ".part";

}  // namespace socktale

#endif  // SOCKTALE_PROTO_TRACE_FILE_FORMAT_H_
