// SPDX-License-Identifier: Apache-2.0
//
// Finds the blocks of a trace file by walking from header to header: for files without an index (cut, growing, several
// in one) and for damaged ones.

#ifndef SOCKTALE_PROTO_TRACE_FILE_SCAN_H_
#define SOCKTALE_PROTO_TRACE_FILE_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/block_codec.h"
#include "proto/trace.pb.h"

namespace socktale {

// A stretch of the file that could not be read.
struct DamagedRange {
  uint64_t offset = 0;     // bytes from the file's start
  uint64_t size = 0;       // 0: blocks are missing here
  uint64_t after_ns = 0;   // last_ns of the block of events before it; ns since the trace began
  uint64_t before_ns = 0;  // first_ns of the block of events after it; 0: there is none
  std::string what;        // "block 7 at byte 4096: length 9000, but the file ends 4096 bytes into it"
};

// What a walk through a file found.
struct BlockMap {
  std::vector<BlockEntry> blocks;     // in file order; events are numbered on through several traces in one file
  std::vector<uint64_t> sequences;    // BlockHeader.sequence of the same blocks
  std::vector<uint32_t> with_events;  // positions in `blocks` of those with events
  std::vector<DamagedRange> damage;   // in file order
  uint64_t readable_size = 0;         // byte behind the last whole block or trailer: where a walk goes on
  Marker marker{};                    // of the last block
  uint64_t events_before_part = 0;    // events of the traces before the one that the last block is of
  size_t open_damage = 0;             // from this one on, no block of events has been found behind the damage

  void Add(BlockEntry entry, uint64_t sequence);

  // last_ns of the nearest block of events before `position`; 0: there is none. Likewise the first_ns of the nearest
  // one from `position` on. Files may hold any number of blocks without events, so neither walks over them.
  uint64_t LastNsBefore(size_t position) const;
  uint64_t FirstNsFrom(size_t position) const;
};

// Reads and judges the block that begins at `offset`. why: what is wrong, unless the verdict is kWhole.
// kUnavailable when the file cannot be read.
absl::StatusOr<FrameVerdict> ReadFrame(int fd, uint64_t offset, uint64_t file_size, BlockFrame& frame,
                                       std::string& why);

// Walks on from map.readable_size to file_size. Reads headers only, and searches for a marker where none is found.
// A file that ends inside a block is cut, which is no damage. kUnavailable when the file cannot be read.
absl::Status ScanBlocks(int fd, uint64_t file_size, BlockMap& map);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_TRACE_FILE_SCAN_H_
