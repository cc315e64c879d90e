// SPDX-License-Identifier: Apache-2.0
//
// Getting ready for a seccomp filter (confinement.h): what the shim will not be able to ask for afterwards is fetched
// before. Windows of the arena, facts on open descriptors, the place of a thread's number.

#ifndef SOCKTALE_PRELOAD_CONFINING_H_
#define SOCKTALE_PRELOAD_CONFINING_H_

#include <linux/filter.h>
#include <stdint.h>

#include "preload/confinement.h"

namespace socktale::confinement {

// What one thread is about to be put under. (Filters are a thread's own, but children and new threads inherit them, and
// often they are synchronized over all threads: the shim heeds them in all.)
class Confining {
 public:
  // Reads the filter; null, or one that cannot be read: strict mode, nothing is allowed. Fetches what will be needed.
  // given: as the program gave it to the kernel.
  explicit Confining(const sock_fprog* given);

  // Whether the clock can be read in the future without asking the kernel, or with its leave.
  bool clock_stays() const { return clock_stays_; }

  // The kernel refused: back to what was allowed before.
  void TakeBack() const;

 private:
  bool was_active_;
  uint64_t was_allowed_[kWords];
  bool clock_stays_ = true;
};

// The calling thread's number, by the kernel or else as libc keeps it; 0: cannot be known.
uint32_t ThreadNumber();

}  // namespace socktale::confinement

#endif  // SOCKTALE_PRELOAD_CONFINING_H_
