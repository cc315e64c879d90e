// SPDX-License-Identifier: Apache-2.0
//
// From the arena to the trace file: takes Runs, writes them as blocks, and gives their chunks back once, and only once,
// they stand in the file.

#ifndef SOCKTALE_COLLECTOR_BLOCK_BUILDER_H_
#define SOCKTALE_COLLECTOR_BLOCK_BUILDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "collector/arena_reader.h"
#include "preload/abi/arena_abi.h"
#include "proto/trace_file_format.h"
#include "proto/trace_file_writer.h"

namespace socktale {

class BlockBuilder {
 public:
  // Called for each Run of a block that was written, with the block's sequence number, before its chunks are freed.
  using Sink = std::function<void(const RunView& run, uint64_t block)>;

  // All outlive the builder.
  BlockBuilder(ArenaReader* reader, TraceFileWriter* writer, Sink sink)
      : reader_(*reader), writer_(*writer), sink_(std::move(sink)) {
    events_.reserve(kMostAtOnce);
  }

  struct Options {
    bool everything = false;  // also what stands behind a missing chunk (at the end)
    bool compress = false;
    uint64_t now_ns = 0;                    // ns since the trace began; no event is later
    uint64_t most_file_bytes = UINT64_MAX;  // a file of this size gets no more blocks
  };

  // Takes all that is committed now and writes it. For each block, written is called when its chunks are given back,
  // told when the sink has had its runs, too. An error of the file leaves the chunks as they are: their bytes can still
  // be salvaged. kOutOfRange: the file has most_file_bytes, and there is more; else as TraceFileWriter::AppendEvents.
  absl::Status Drain(const Options& options, const std::function<void()>& written, const std::function<void()>& told);

  // Return time of the latest event written so far, ns since the trace began.
  uint64_t last_ns() const { return last_ns_; }

 private:
  absl::Status WriteBlock(const RunTotals& totals, bool compress, const std::function<void()>& written);

  // A block is full when it has its size, and a chunk more may have come by then.
  static constexpr size_t kMostAtOnce = kBlockTargetBytes + abi::kChunkBytes[abi::kSizeClasses - 1] + 1024;

  ArenaReader& reader_;
  TraceFileWriter& writer_;
  Sink sink_;
  std::string events_;
  absl::flat_hash_set<uint32_t> images_;
  std::vector<ArenaReader::Taken> taken_;
  uint64_t last_ns_ = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_BLOCK_BUILDER_H_
