// SPDX-License-Identifier: Apache-2.0
//
// The events of a trace file → aggregator, block by block: for files whose own tables are not there or not the last
// word.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_FILE_EVENTS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_FILE_EVENTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "collector/aggregate/aggregator.h"
#include "proto/trace_file_reader.h"

namespace socktale {

// Gives the events of blocks from..to-1 (positions in reader.blocks(), all of one trace) to the aggregator, and
// advances it with each block as far as the blocks behind it allow, so that of a long trace only what overlaps waits in
// memory. At the end the aggregator is advanced behind the last event. damaged: raised by the places that made no
// sense; they are passed over. until_ns: the aggregator is not advanced further, what takes effect from then on waits
// for more blocks. Errors are those of reading the file.
absl::Status AggregateBlocks(TraceFileReader& reader, size_t from, size_t to, Aggregator& aggregator, uint64_t& damaged,
                             uint64_t until_ns = UINT64_MAX);

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_FILE_EVENTS_H_
