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
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"

namespace socktale {

// A stretch of the file that could not be read.
struct DamagedRange {
  uint64_t offset = 0;   // bytes from the file's start
  uint64_t size = 0;
  uint64_t after_ns = 0;   // last_ns of the block before it; ns since the trace began
  uint64_t before_ns = 0;  // first_ns of the block after it; 0: there is none
  std::string what;        // "block 7 at byte 4096: length 9000, but the file ends at byte 8192"
};

class TraceFileReader {
 public:
  // Opens a trace. Uses the index where there is a trailer, else scans block headers from the start; a block whose
  // header or checksum is wrong is skipped to the next marker and listed in damage().
  // kNotFound: no such file; kInvalidArgument: not a socktale trace (says what it looks like); kUnimplemented: a newer
  // format (says which version of socktale wrote it).
  static absl::StatusOr<TraceFileReader> Open(const std::string& path);

  TraceFileReader(TraceFileReader&&) = default;
  TraceFileReader& operator=(TraceFileReader&&) = default;

  const TraceHeader& header() const { return header_; }

  // All readable blocks in file order.
  const std::vector<BlockEntry>& blocks() const { return blocks_; }

  // Which blocks (positions in blocks()) hold a connection's events; empty without an index.
  const std::vector<ConnectionBlocks>& connections() const { return connections_; }

  // Reads and checks one block and returns its decoded payload. position: in blocks(). kDataLoss with place and reason
  // when it is damaged. The view is valid until the next call.
  absl::StatusOr<absl::string_view> ReadBlock(size_t position);

  // The last tables block, or no value when the file holds none.
  absl::StatusOr<Tables> ReadTables(bool* found);

  bool sealed() const { return sealed_; }            // has its trailer and a tables block written at the end
  uint64_t file_size() const { return file_size_; }
  uint64_t end_ns() const;                           // latest last_ns of all blocks

  // The byte behind the last whole block, or the file's size when it is sealed. Smaller than file_size() in a cut file.
  uint64_t readable_size() const { return readable_size_; }
  const std::vector<DamagedRange>& damage() const { return damage_; }

  // Looks for blocks appended since Open or the last Refresh. Returns how many there are.
  absl::StatusOr<size_t> Refresh();

 private:
  TraceFileReader() = default;

  UniqueFd fd_;
  std::string path_;
  TraceHeader header_;
  std::string marker_;
  std::vector<BlockEntry> blocks_;
  std::vector<ConnectionBlocks> connections_;
  std::vector<DamagedRange> damage_;
  uint64_t file_size_ = 0;
  uint64_t readable_size_ = 0;
  bool sealed_ = false;
  std::string raw_;
  std::string decoded_;
};

}  // namespace socktale

#endif  // SOCKTALE_PROTO_TRACE_FILE_READER_H_
