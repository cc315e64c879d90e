// SPDX-License-Identifier: Apache-2.0
//
// The process images of a recording, from the slot that a shim claimed until that is free again: found, watched for
// their end, drained, told of, forgotten.

#ifndef SOCKTALE_COLLECTOR_PROCESS_IMAGES_H_
#define SOCKTALE_COLLECTOR_PROCESS_IMAGES_H_

#include <bitset>
#include <cstdint>
#include <map>
#include <vector>

#include "collector/aggregate/aggregator.h"
#include "collector/arena.h"
#include "collector/arena_reader.h"
#include "collector/clock.h"
#include "collector/exec_watch.h"
#include "collector/io_uring_watch.h"
#include "collector/process_watch.h"
#include "collector/unrecorded.h"
#include "preload/abi/arena_abi.h"
#include "proto/trace.pb.h"

namespace socktale {

class ProcessImages {
 public:
  // All outlive it.
  ProcessImages(Arena* arena, ArenaReader* reader, ProcessWatch* watch, UnrecordedPrograms* unrecorded,
                Aggregator* aggregator)
      : arena_(*arena),
        reader_(*reader),
        watch_(*watch),
        unrecorded_(*unrecorded),
        aggregator_(*aggregator),
        exec_watch_(arena->path()) {}

  // Finds images that attached since. In the order of their numbers, which is the order in which one process ran them:
  // a later image may stand in an earlier slot.
  void Find();

  // Finds what the shims did since: chunks first, then images, so that every chunk that is drained next is one of an
  // image that is known (its slot went live before its first chunk). thorough: whatever their counters say.
  void LookAround(bool thorough);

  // Images whose processes are gone.
  void CheckProcesses();
  // Threads that ended leave an open chunk behind; it is given back when the thread was missing at two looks. Those are
  // looked for that have written nothing since quiet_since_ns (CLOCK_MONOTONIC).
  void CheckThreads(uint64_t quiet_since_ns);
  // Programs that were executed past every hook: what they do is not recorded.
  void CheckPrograms();
  // Processes that make an io_uring. now_ns: CLOCK_MONOTONIC.
  void CheckIoUring(uint64_t now_ns) { io_uring_.Look(now_ns); }

  // Images that ended and are drained: tells the aggregator, frees their slots.
  void SettleEnded();
  // Whether some ended that are not settled.
  bool any_ended() const { return !ended_.empty(); }

  // Tells the aggregator of the calls that threads of unfinished images are in.
  void TellCallsInProgress() const;
  // And of the drops of images that live.
  void TellDrops() const;

  // Rows of the completeness statement that only the collector knows.
  void AddMissing(Tables& tables) const { io_uring_.AddMissing(tables); }

 private:
  // An image that ended, whose slot is free once its chunks are.
  struct EndedImage {
    uint32_t image = 0;
    bool process_gone = false;  // else it ended by exec
    uint64_t end_ns = 0;
    bool told = false;  // the aggregator knows
  };

  uint64_t Now() const { return MonotonicNs() - arena_.base_ns(); }
  bool MeetsStrangers();
  void TellCall(const ThreadInCallHint& hint) const;

  Arena& arena_;
  ArenaReader& reader_;
  ProcessWatch& watch_;
  UnrecordedPrograms& unrecorded_;
  Aggregator& aggregator_;
  IoUringWatch io_uring_;
  ExecWatch exec_watch_;

  std::map<uint32_t, uint32_t> slot_of_image_;   // images whose slot is not free yet
  std::bitset<abi::kMaxProcesses> known_slots_;  // theirs
  std::vector<EndedImage> ended_;
  uint32_t seen_images_ = 0;      // ArenaHeader::next_image when the slots were last looked through
  std::vector<WriterKey> quiet_;  // writers that were quiet, and whose threads were gone, at the last look
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_PROCESS_IMAGES_H_
