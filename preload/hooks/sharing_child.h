// SPDX-License-Identifier: Apache-2.0
//
// What clone() does around the real call when the child runs in this process's memory (CLONE_VM) and is no thread with
// variables of its own.

#ifndef SOCKTALE_PRELOAD_HOOKS_SHARING_CHILD_H_
#define SOCKTALE_PRELOAD_HOOKS_SHARING_CHILD_H_

#include <sched.h>
#include <stdint.h>

#include "preload/arena_writer.h"
#include "preload/attach.h"
#include "preload/hooks/process.h"

namespace socktale {

class SharingChild {
 public:
  // Before the call. flags: clone's, CLONE_VM among them.
  explicit SharingChild(uint64_t flags) {
    if ((flags & CLONE_VFORK) != 0 && (flags & CLONE_THREAD) == 0) {
      like_vfork_ = true;
      living_vforks.fetch_add(1, std::memory_order_relaxed);
    } else if ((flags & CLONE_SETTLS) == 0) {
      beside_ = true;
      ShareThread();
    }
  }

  // After it, in the parent. tid: the child's, negative when there is none.
  void Returned(int tid) const {
    if (like_vfork_) VforkChildIsGone();
    if (beside_) ThreadSharedWith(tid);
  }

 private:
  bool like_vfork_ = false;  // the caller waits until the child has left its memory
  bool beside_ = false;      // both run on the same thread-local variables
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_SHARING_CHILD_H_
