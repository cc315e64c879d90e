// SPDX-License-Identifier: Apache-2.0
//
// Reads the input as a trace file, through to every field of every event. The library is built with checksums taken for
// right (SOCKTALE_FUZZING), else no change of the input would get past them.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/unique_fd.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"

namespace {

using namespace socktale;

// What must hold of any file.
void Check(bool holds) {
  if (!holds) std::abort();
}

void ReadEvents(absl::string_view events) {
  RunView run;
  EventView event;
  for (bool found = true; NextRun(events, run, found).ok() && found;) {
    absl::string_view bytes;
    for (bool more = true; NextEvent(run.events, bytes, more).ok() && more;) {
      if (!ParseEvent(bytes, run.base_ns, event).ok()) continue;
      PolledView polled;
      for (const absl::string_view part : event.polled) ParsePolled(part, polled).IgnoreError();
      DatagramView datagram;
      for (const absl::string_view part : event.datagrams) ParseDatagram(part, datagram).IgnoreError();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd file(memfd_create("trace_file_fuzz", MFD_CLOEXEC));
  Check(file.valid() && write(file.get(), data, size) == static_cast<ssize_t>(size));
  auto reader = TraceFileReader::Open("/proc/self/fd/" + std::to_string(file.get()));
  if (!reader.ok()) return 0;
  Check(reader->file_size() == size && reader->readable_size() <= size);
  const size_t blocks = reader->blocks().size();
  uint64_t end = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const BlockEntry& block = reader->blocks()[i];
    Check(block.offset() >= end && block.size() <= size - block.offset());
    end = block.offset() + block.size();
    const auto payload = reader->ReadBlock(i);
    Check(payload.ok() || absl::IsDataLoss(payload.status()));
    if (payload.ok() && block.kind() == BLOCK_KIND_EVENTS) ReadEvents(*payload);
  }
  for (const ConnectionBlocks& connection : reader->connections()) {
    for (const uint32_t block : connection.block()) Check(block < blocks);
  }
  bool found = false;
  Check(reader->ReadTables(&found).ok());
  Check(*reader->Refresh() == 0);
  uint64_t damaged_to = 0;
  for (const DamagedRange& range : reader->damage()) {
    Check(!range.what.empty() && range.offset >= damaged_to && range.size <= size - range.offset);
    damaged_to = range.offset;
  }
  return 0;
}
