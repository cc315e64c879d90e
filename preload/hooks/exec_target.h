// SPDX-License-Identifier: Apache-2.0
//
// What kind of program an exec is about to start: decides whether its environment may carry the shim. A library of the
// wrong class would make ld.so speak on the program's stderr, another libc might refuse to start at all.

#ifndef SOCKTALE_PRELOAD_HOOKS_EXEC_TARGET_H_
#define SOCKTALE_PRELOAD_HOOKS_EXEC_TARGET_H_

#include <limits.h>

namespace socktale {

enum class ExecTarget {
  kLoadable,  // dynamic, this machine and class, glibc's loader: give it the shim. Also what cannot be read or found:
              // then nothing is known against it, and mostly the exec fails
  kLoadableAsan,  // likewise, and its first library is gcc's libasan, which refuses to start behind another library:
                  // give it the shim and the option that takes it as it comes
  kDeaf,  // static, or set-user-id for this user: it does not load the shim, and hands the environment on as it got it
  kHostile,  // another class or machine, or another libc's loader: the shim's name must not reach its loader
};

inline bool IsLoadable(ExecTarget target) {
  return target == ExecTarget::kLoadable || target == ExecTarget::kLoadableAsan;
}

// Memory that does not have to be on the caller's stack, which may be a small one. Holds nothing between calls.
struct InspectScratch {
  char head[1024];  // of the file: ELF header and program headers of what linkers make; the kernel takes 256
                    // of a #! line
  alignas(8) char candidate[PATH_MAX];  // on PATH; then the program's dynamic section
};

// The program that execve(path) would start, through up to four levels of `#!`.
// directory: as for openat(); path: readable, NUL-terminated, as given to the call; scratch: to work in.
ExecTarget InspectTarget(int directory, const char* path, InspectScratch& scratch);

// As execvp(name) would find it: along PATH of this process's environment if name has no slash.
ExecTarget InspectTargetOnPath(const char* name, InspectScratch& scratch);

// What becomes of `target` where the shim cannot be read (after a chroot, as another user): kHostile instead of
// kLoadable, for ld.so would complain on the program's stderr.
ExecTarget InReach(ExecTarget target, const char* shim_path);

// Whether this process may read `path`, as its effective user. Being out of descriptors does not make it unreadable.
bool FileIsReadable(const char* path);

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_EXEC_TARGET_H_
