// SPDX-License-Identifier: Apache-2.0
//
// Reads a .tale file, whole, cut, damaged or still growing. Never more than one block is in memory.

#ifndef SOCKTALE_PROTO_TRACE_FILE_READER_H_
#define SOCKTALE_PROTO_TRACE_FILE_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "proto/block_codec.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"
#include "proto/trace_file_scan.h"

namespace socktale {

class TraceFileReader {
 public:
  // Opens a trace. Uses the index where there is a trailer, else scans block headers from the start; where no good
  // header is found the reader goes on at the next marker and lists what is between in damage(). A file cut off inside
  // its first block opens and has no blocks.
  // Several traces in one file (`cat a b`) are read one behind the other: header() is the first one's, ReadTables gives
  // the last one's, each part begins with a block of BLOCK_KIND_HEADER, and events are numbered on through all of them.
  // kNotFound: no such file; kInvalidArgument: not a socktale trace (says what it looks like); kUnimplemented: a newer
  // format (says which version of socktale wrote it).
  static absl::StatusOr<TraceFileReader> Open(const std::string& path);

  // Reads the file behind an open descriptor, of which it takes a copy; path: its name, for errors. For whoever holds
  // the file's lock: by its name it might meet another file.
  static absl::StatusOr<TraceFileReader> OpenDescriptor(int fd, const std::string& path);

  TraceFileReader(TraceFileReader&&) = default;
  TraceFileReader& operator=(TraceFileReader&&) = default;

  // Empty (format 0) when the file is cut before its end, or damaged there.
  const TraceHeader& header() const { return header_; }

  // All readable blocks in file order.
  const std::vector<BlockEntry>& blocks() const { return map_.blocks; }

  // Events that were recorded before those in the file, and given back by a ring. 0: none.
  uint64_t given_back() const;

  // The block's sequence number; equal to its position in a file of one undamaged trace that is no ring's.
  uint64_t sequence(size_t position) const { return map_.sequences[position]; }

  // Which blocks (positions in blocks()) hold a connection's events; empty without an index.
  // They are read when they are first asked for.
  const std::vector<ConnectionBlocks>& connections();

  // Reads and checks one block and returns its decoded payload. position: in blocks(). kDataLoss with place and reason
  // when it is damaged, which damage() lists from then on. The view is valid until the next call.
  absl::StatusOr<absl::string_view> ReadBlock(size_t position);

  // The last tables of the file that can be read, or none: *found is then false.
  absl::StatusOr<Tables> ReadTables(bool* found);

  // Has its trailer, and tables written at the end.
  bool sealed() const { return sealed_; }
  uint64_t file_size() const { return file_size_; }
  uint64_t end_ns() const;  // latest last_ns of all blocks

  // The byte behind the last whole block, or the file's size when it is sealed. Smaller than file_size() in a cut file.
  uint64_t readable_size() const { return map_.readable_size; }

  // In file order. Headers are checked by Open where there is no index; payloads, and all else, by ReadBlock.
  const std::vector<DamagedRange>& damage() const { return map_.damage; }

  // The 16 bytes that mark each block of the (last) trace in the file.
  std::string marker() const { return {map_.marker.begin(), map_.marker.end()}; }

  // Looks for blocks appended since Open or the last Refresh. Returns how many there are. kDataLoss when the file got
  // shorter.
  absl::StatusOr<size_t> Refresh();

 private:
  TraceFileReader() = default;

  static absl::StatusOr<TraceFileReader> Read(UniqueFd fd, const std::string& path);

  // Takes blocks and connections from the index. False when there is none, or none to rely on.
  absl::StatusOr<bool> LoadIndex();
  absl::Status ReadHeader();
  void ExpectRing();
  absl::StatusOr<absl::string_view> CheckedPayload(const BlockEntry& entry, uint64_t sequence);
  void NoteDamage(size_t position, const absl::Status& why);

  UniqueFd fd_;
  std::string path_;
  TraceHeader header_;
  BlockMap map_;
  std::vector<ConnectionBlocks> connections_;
  bool connections_unread_ = false;  // they stand in the last block, an index
  uint64_t file_size_ = 0;
  bool sealed_ = false;
  PayloadCodec codec_;
  std::string stored_;
  std::string decoded_;
};

}  // namespace socktale

#endif  // SOCKTALE_PROTO_TRACE_FILE_READER_H_
