// SPDX-License-Identifier: Apache-2.0
//
// The environment of a program about to be started: what the traced program gave, with the shim first in LD_PRELOAD and
// our own variable as it was at attach, whatever the program did to either. For gcc's AddressSanitizer, ASAN_OPTIONS
// gets verify_asan_link_order=0 at its end. Order and all other entries stay; the given array and its strings are never
// written to.

#ifndef SOCKTALE_PRELOAD_HOOKS_CHILD_ENVIRONMENT_H_
#define SOCKTALE_PRELOAD_HOOKS_CHILD_ENVIRONMENT_H_

#include <stddef.h>

#include "preload/hooks/exec_target.h"

namespace socktale {

class ChildEnvironment {
 public:
  // Reads what has to change.
  // envp: as given to the call; may be null, which Linux takes for empty, and may be unreadable.
  // shim_path: what LD_PRELOAD must hold; attach_entry: "SOCKTALE_ATTACH=…". Empty when this process has no session.
  ChildEnvironment(char* const* envp, const char* shim_path, const char* attach_entry, ExecTarget target);

  // Bytes of memory that Build() needs, aligned for pointers. 0: nothing is to change (not attached, a target that
  // would not load the shim, or an array the kernel will refuse): pass the given envp on.
  size_t need() const { return need_; }

  // Whether a program started with the given array would load the shim and find the session: nothing need change.
  bool complete() const { return inject_ && attach_is_ours_ && shim_is_listed_; }

  // The new array, in `memory`, pointing into it and to the given strings. memory: need() bytes, alive until exec.
  char** Build(void* memory) const;

 private:
  struct Value {
    const char* text;  // after the '=', of the last entry of that name, which is the one ld.so takes; null: none
    size_t length;
  };

  size_t PreloadValue(char* out) const;
  bool ListsShim() const;
  size_t AsanValue(char* out) const;

  char* const* const envp_;
  const char* const shim_path_;
  const char* const attach_entry_;
  const bool inject_;  // else: take the shim out
  const bool asan_;    // libasan is to take the shim before it
  size_t entries_ = 0;
  size_t need_ = 0;
  Value preload_ = {nullptr, 0};
  Value asan_options_ = {nullptr, 0};
  bool has_attach_ = false;
  bool attach_is_ours_ = false;  // the last one, if there are several
  bool shim_is_listed_ = false;
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_CHILD_ENVIRONMENT_H_
