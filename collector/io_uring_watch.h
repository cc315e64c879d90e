// SPDX-License-Identifier: Apache-2.0
//
// Which traced processes use io_uring: what they do there passes every hook by, so the trace must say so.

#ifndef SOCKTALE_COLLECTOR_IO_URING_WATCH_H_
#define SOCKTALE_COLLECTOR_IO_URING_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>

#include "proto/trace.pb.h"

namespace socktale {

// Whether one of the process's first 1024 descriptors is an io_uring. False when its descriptors cannot be looked at.
bool UsesIoUring(pid_t pid);

// Looks at each process image soon after it began, then ever more rarely down to once a second: a ring is made when a
// program starts, and a look costs a system call for each open descriptor. A program that makes a ring by a system call
// instruction of its own, as liburing does, and ends between two looks is missed.
class IoUringWatch {
 public:
  // The image runs in process `pid` of the collector's namespace, or ended.
  void Began(uint32_t image, pid_t pid, uint64_t now_ns);
  void Ended(uint32_t image) { waiting_.erase(image); }

  // Takes the looks that are due, most of the time none. now_ns: of any clock, the same as for Began.
  void Look(uint64_t now_ns);

  // Adds a row for each process that was seen to use io_uring and has none yet.
  void AddMissing(Tables& tables) const;

 private:
  struct Waiting {
    pid_t pid = 0;
    uint64_t next_ns = 0;
    uint64_t interval_ns = 0;
  };

  std::map<uint32_t, Waiting> waiting_;  // by image
  uint64_t next_ns_ = UINT64_MAX;        // earliest of theirs
  std::set<uint32_t> users_;             // images
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_IO_URING_WATCH_H_
