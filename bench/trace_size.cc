// SPDX-License-Identifier: Apache-2.0
//
// trace_size TRACE: what the events of a trace take, as written into its blocks and as stored there:
//   SIZE events=N raw_bytes=N stored_bytes=N

#include <cstdint>
#include <cstdio>

#include "proto/trace_file_reader.h"

namespace socktale {
namespace {

absl::Status Tell(const char* path) {
  absl::StatusOr<TraceFileReader> reader = TraceFileReader::Open(path);
  if (!reader.ok()) return reader.status();
  uint64_t events = 0, raw = 0, stored = 0;
  for (size_t i = 0; i < reader->blocks().size(); ++i) {
    const BlockEntry& block = reader->blocks()[i];
    if (block.kind() != BLOCK_KIND_EVENTS) continue;
    const absl::StatusOr<absl::string_view> payload = reader->ReadBlock(i);
    if (!payload.ok()) return payload.status();
    events += block.event_count();
    raw += payload->size();
    stored += block.size();
  }
  std::printf("SIZE events=%llu raw_bytes=%llu stored_bytes=%llu\n", static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(raw), static_cast<unsigned long long>(stored));
  return absl::OkStatus();
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "trace_size TRACE\n");
    return 2;
  }
  const absl::Status told = socktale::Tell(argv[1]);
  if (told.ok()) return 0;
  std::fprintf(stderr, "trace_size: %s\n", told.ToString().c_str());
  return 1;
}
