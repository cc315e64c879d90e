// SPDX-License-Identifier: Apache-2.0
//
// Runs a program under the shim as built, with an arena made here in the collector's place, and gives the events that
// it wrote: what a hook records, without anything between.

#ifndef SOCKTALE_TESTS_PRELOAD_SHIM_RUN_H_
#define SOCKTALE_TESTS_PRELOAD_SHIM_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "event.pb.h"

namespace socktale {

struct RecordedEvent {
  uint32_t image;
  uint32_t tid;
  uint32_t level;
  Event event;
};

struct ShimRun {
  int exit_status = -1;  // of the program; -1: it was killed by `signal`
  int signal = 0;
  std::string output;                 // its stdout and stderr
  uint64_t drops = 0;                 // by the arena's counters
  uint64_t dropped_bytes = 0;         // of their payload
  uint32_t collector_state = 0;       // abi::CollectorState at the end
  uint32_t collector_sleep = 0;       // abi::CollectorSleep at the end
  uint32_t images = 0;                // process images that attached
  std::string damage;                 // what of the arena could not be read; empty: nothing
  std::vector<RecordedEvent> events;  // thread by thread, each in order

  // Events of one call, of all images.
  std::vector<Event> Of(Call call) const;
};

// The arena as a test wants it.
struct ArenaSetup {
  uint32_t options = 0;  // abi::ArenaOption bits
  uint64_t payload_limit = UINT64_MAX;
  uint32_t collector_pid = 0;  // 0: this process, which does not drain and whose heart does not beat
  // Drains while the program runs, as the collector does: sealed chunks are read and given back, the heart beats.
  bool drain = false;
  bool asleep = false;       // the collector says that it sleeps
  uint32_t taken_slots = 0;  // process slots that others took, whose images are not counted yet or no more
};

// command: program and arguments; a name without a slash is a workload. environment: entries for the program beside the
// shim's own two; LD_PRELOAD among them is the user's.
ShimRun RunUnderShim(std::vector<std::string> command, std::vector<std::string> environment = {"PATH=/usr/bin:/bin"},
                     const ArenaSetup& setup = {});

// A workload under the shim, which is expected to succeed. options: abi::ArenaOption bits.
ShimRun Traced(const std::string& workload, uint32_t options = 0);

// Of `events`, those that the predicate is true of.
template <typename Predicate>
std::vector<Event> Those(std::vector<Event> events, Predicate predicate) {
  std::erase_if(events, [&](const Event& event) { return !predicate(event); });
  return events;
}

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_SHIM_RUN_H_
