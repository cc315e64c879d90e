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
  // Stops the recording where the clock could not be read any more.
  // given: as the program gave it to the kernel.
  explicit Confining(const sock_fprog* given);

  // The kernel refused: back to what was before. Not when another thread has confined itself meanwhile.
  void TakeBack() const;

 private:
  Change change_ = {0, 0};  // after 0: none
  bool stopped_ = false;    // the recording
};

// In the parent, once a vfork child has left its memory: the child's filters are not the parent's.
void VforkChildIsGone();

// In a forked child: what a vfork child did, its own parent maybe, is nothing to take back here.
void ForgetVforkChild();

// The calling thread's number, by the kernel or else as libc keeps it; 0: cannot be known.
uint32_t ThreadNumber();

}  // namespace socktale::confinement

#endif  // SOCKTALE_PRELOAD_CONFINING_H_
