// SPDX-License-Identifier: Apache-2.0
//
// This process and its session: finding the arena when the program starts, after fork and after exec; going quiet.

#ifndef SOCKTALE_PRELOAD_ATTACH_H_
#define SOCKTALE_PRELOAD_ATTACH_H_

#include <stdint.h>
#include <sys/types.h>

#include <atomic>

namespace socktale {

enum Mode : uint32_t {
  kModeInert = 0,  // the constructor has not run yet
  kModeRecording = 1,
  kModeQuiet = 2,     // no session, or it ended
  kModeCounting = 3,  // the collector died, or StopRecording: calls are counted as drops
};
extern constinit std::atomic<uint32_t> process_mode;

// One load decides whether there is anything to do.
inline bool Recording() { return process_mode.load(std::memory_order_relaxed) == kModeRecording; }

// A call that would have been recorded went by while process_mode is not kModeRecording.
void CountUnrecorded();

// Records nothing from now on; calls are counted as drops by `cause` (abi::DropCause).
void StopRecording(uint32_t cause);

// After StopRecording, whose reason turned out to be none.
void ResumeRecording();

// In the child of fork: claims a process slot, writes CALL_ATTACHED. fork_start_ns: entry time of the fork, so that the
// child's story begins where its parent's splits. Called by fork's hook in the child; where fork was not seen (inside
// libc, a raw clone), the first event does it. Harmless when this process did not fork or is attached already.
void AttachAfterFork(uint64_t fork_start_ns);

// How many vfork children live that share this process's memory. Raised and lowered by vfork's wrapper (vfork.S).
extern constinit std::atomic<int32_t> living_vforks __asm__("socktale_living_vforks");

// The pid of the vfork child that the caller runs in, 0 when it runs in no such child. A system call only while
// living_vforks is not 0.
uint32_t VforkChildPid();

// The session's part of the environment, as this process was started with: for the environments of executed programs.
// "SOCKTALE_ATTACH=…", and the shim's own entry of LD_PRELOAD (a path). Empty strings when there is no session.
const char* AttachEntry();
const char* ShimPreload();

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_ATTACH_H_
