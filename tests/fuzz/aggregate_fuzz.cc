// SPDX-License-Identifier: Apache-2.0
//
// The aggregator fed with bytes that somebody chose: an encoded message Events, as a block of a trace holds them. The
// tables may be nonsense then, but they name nothing that is not there and keep to their limits.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "collector/aggregate/aggregator.h"
#include "proto/event_view.h"

namespace {

using namespace socktale;

void Require(bool holds) {
  if (!holds) std::abort();
}

// Ids count from 1; 0 is none.
bool Names(uint32_t id, int size) { return id <= static_cast<uint32_t>(size); }
bool NamesOne(uint32_t id, int size) { return id != 0 && Names(id, size); }

void Check(const Tables& tables, const std::vector<ConnectionBlocks>& blocks) {
  const int processes = tables.process_size(), objects = tables.object_size(), lives = tables.life_size();
  for (const Process& process : tables.process()) Require(Names(process.parent(), processes));
  for (const DescriptorLife& life : tables.life()) {
    Require(NamesOne(life.process(), processes) && NamesOne(life.object(), objects) && Names(life.from_life(), lives));
    Require(life.generation() > 0 && (life.end() == LIFE_END_OPEN || life.end_ns() >= life.start_ns()));
  }
  for (const Object& object : tables.object()) {
    Require(Names(object.connection(), tables.connection_size()) && Names(object.accepted_from(), objects) &&
            Names(object.pair(), objects));
  }
  for (const Connection& connection : tables.connection()) {
    Require(connection.has_client() || connection.has_server());
    for (const Endpoint* end : {&connection.client(), &connection.server()}) {
      Require(Names(end->object(), objects) && Names(end->process(), processes));
    }
  }
  Require(blocks.size() == static_cast<size_t>(tables.connection_size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Limits limits = {.copied_lives = 300, .things = 2000, .peers = 5, .images = 2};
  Aggregator aggregator(limits);
  absl::string_view rest(reinterpret_cast<const char*>(data), size);
  uint64_t block = 1;
  RunView run;
  for (bool found = true; NextRun(rest, run, found).ok() && found; ++block) {
    // Some runs come with the time at which they were taken, and some are applied before the next one comes.
    const uint64_t now_ns = run.tid % 3 == 0 ? run.base_ns + 1'000'000 : UINT64_MAX;
    aggregator.Add(run, block, now_ns).IgnoreError();
    if (run.tid % 2 == 0) aggregator.Advance(run.base_ns);
    if (run.level == 3) aggregator.ProcessEnded(run.image, run.base_ns);
    if (run.level == 4) aggregator.ExitStatus(run.tid, 0, run.base_ns, run.thread_start_ns);
    if (run.level == 5) aggregator.NotRecorded(run.tid, Image(), "static", run.thread_start_ns);
    if (run.level == 6) aggregator.ThreadInCall(run.image, run.tid, CALL_RECV, 3, run.base_ns);
    if (run.level == 7) aggregator.Snapshot(run.base_ns);
  }
  aggregator.Advance(UINT64_MAX);
  const Tables tables = aggregator.Snapshot(1);
  Require(static_cast<size_t>(tables.process_size() + tables.thread_size() + tables.life_size() +
                              tables.object_size()) <= limits.things + 2);
  Check(tables, aggregator.BlocksOfConnections());
  return 0;
}
