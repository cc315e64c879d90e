// SPDX-License-Identifier: Apache-2.0
//
// Writes a .tale file: the header block, blocks of events as they come, tables, and at seal the index and the trailer.

#ifndef SOCKTALE_PROTO_TRACE_FILE_WRITER_H_
#define SOCKTALE_PROTO_TRACE_FILE_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "proto/block_codec.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"

namespace socktale {

// What one block of events holds, for its header.
struct EventBlockInfo {
  uint64_t first_ns = 0;  // entry time of the earliest event, ns since the trace began
  uint64_t last_ns = 0;   // return time of the latest
  uint64_t event_count = 0;
  std::vector<uint32_t> images;  // Run.image values in it, sorted, without duplicates
};

// One trace file being written. Each block reaches the file by one write; a failed or short write leaves the file cut
// back to the end of its last whole block, and the error says so (kResourceExhausted: disk full or file size limit;
// kUnavailable: anything else). The caller has SIGXFSZ ignored; by default it would end the process at the size limit.
//
// With TraceHeader.ring, only so many bytes of the latest blocks stay, besides the header: the place of older ones is
// given back to the file system, so that the part file has a hole behind its header, and is copied without it when
// sealed.
//
// While a writer (or a process forked from it) lives, the part file carries its flock(2): nobody else resumes it or
// writes over it.
class TraceFileWriter {
 public:
  // Creates `path` + kPartSuffix, mode 0600, and writes the header block. kAlreadyExists when `path` or the part file
  // exists and `overwrite` is false, or when a living recorder writes the part file. kInvalidArgument when `path` names
  // something that is no regular file, or a ring is wanted where the file system cannot give space back. kNotFound,
  // kPermissionDenied …: as open(2) says. The header's format is set here.
  static absl::StatusOr<TraceFileWriter> Create(const std::string& path, const TraceHeader& header, bool overwrite);

  // Opens a part file left by a killed recorder, cuts it back to its last whole block and goes on behind it.
  // path: without kPartSuffix. A part file that was sealed but not renamed loses its index and trailer, no tables.
  // kAlreadyExists when its recorder lives; kDataLoss when nothing can be read; else as TraceFileReader::Open.
  static absl::StatusOr<TraceFileWriter> Resume(const std::string& path);

  TraceFileWriter(TraceFileWriter&&) = default;
  TraceFileWriter& operator=(TraceFileWriter&&) = default;

  // Appends a block of events. events: an encoded `Events` message (i.e. concatenated `run` fields). compress: zstd -1,
  // kept only when it is smaller. Returns the number of the block's first event.
  absl::StatusOr<uint64_t> AppendEvents(absl::string_view events, const EventBlockInfo& info, bool compress);

  // Appends tables; the last ones in a file count. Large ones take a while: meanwhile, if set, is called now and then.
  absl::Status AppendTables(const Tables& tables, const std::function<void()>& meanwhile = nullptr);

  // Writes tables, index and trailer and renames the file to its final name. connections: for each connection the
  // block sequence numbers that hold its events. No call may follow. When the disk is full the part file stays, whole
  // up to its last block. When it cannot be renamed (kAlreadyExists: `path` exists by now and `overwrite` was false)
  // the part file stays, sealed and readable, and the error names it.
  absl::Status Seal(const Tables& tables, const std::vector<ConnectionBlocks>& connections);

  // Writes what is kept so far, with these tables, as a sealed trace of its own. kAlreadyExists: there is one; else as
  // Seal. Of one that could not be finished nothing stays.
  absl::Status Dump(const std::string& path, const Tables& tables,
                    const std::vector<ConnectionBlocks>& connections) const;

  const std::string& path() const { return path_; }              // the final name
  std::string part_path() const { return path_ + kPartSuffix; }  // where the bytes are until Seal
  uint64_t bytes_written() const { return size_; }
  uint64_t next_event() const { return next_event_; }        // number the next event will get
  uint64_t given_back() const;                               // events of blocks that the ring keeps no more
  uint64_t next_sequence() const { return next_sequence_; }  // sequence number the next block will get

  // The descriptor written to, for fork (a collector that goes on in the background keeps writing through it).
  int fd() const { return fd_.get(); }

 private:
  TraceFileWriter() = default;

  // Appends a block at the end of the file. header: without marker, sizes, checksums, sequence. raw: its payload.
  absl::Status AppendBlock(BlockHeader header, absl::string_view raw, bool compress);

  // Writes at the file's end, all or nothing; what: for the error's words.
  absl::Status Write(absl::string_view head, absl::string_view body, const std::string& what);

  // Gives back what is more than the ring is to hold.
  absl::Status TurnRing();

  // What Seal does but for the name.
  absl::Status Complete(const Tables& tables, const std::vector<ConnectionBlocks>& connections);

  // Copies the header and the blocks that are kept to a file of that name (flags: beside O_CREAT, as for open(2)).
  absl::StatusOr<TraceFileWriter> CopyTo(const std::string& file, int flags) const;

  // Waits until the bytes are where they stay, on file systems that accept what they may not be able to keep.
  absl::Status AskTheDisk();

  // Writes the finished file once more under its name, which leads to it no more. kNotFound: its folder is gone, too.
  absl::Status WriteAgain();

  // Gives the finished part file its final name.
  absl::Status Rename();

  std::string path_;
  UniqueFd fd_;
  bool overwrite_ = false;
  uint64_t ring_bytes_ = 0;   // 0: everything is kept
  uint64_t freed_until_ = 0;  // with a ring: what lies between the header block and here was given back
  std::string marker_;
  uint64_t size_ = 0;
  uint64_t next_event_ = 1;
  uint64_t next_sequence_ = 0;
  std::vector<BlockEntry> entries_;  // one per block, by position
  std::vector<uint64_t> sequences_;  // of the same blocks, ascending; with holes when a damaged part file was resumed
  PayloadCodec codec_;
  std::string compressed_;
};

}  // namespace socktale

#endif  // SOCKTALE_PROTO_TRACE_FILE_WRITER_H_
