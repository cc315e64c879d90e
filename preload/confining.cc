// SPDX-License-Identifier: Apache-2.0

#include "preload/confining.h"

#include <sys/mman.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "preload/arena_map.h"
#include "preload/arena_writer.h"
#include "preload/attach.h"
#include "preload/fd_table.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"
#include "preload/readable.h"

namespace socktale::confinement {

namespace {

// Every system call that the shim makes. One that is missing here is not made under a filter.
constexpr long kOurs[] = {
    SYS_close,       SYS_connect,    SYS_fcntl,         SYS_fstat,          SYS_futex,       SYS_getcwd,
    SYS_getdents64,  SYS_getegid,    SYS_geteuid,       SYS_getpeername,    SYS_getpid,      SYS_getppid,
    SYS_getsockname, SYS_getsockopt, SYS_gettid,        SYS_getuid,         SYS_kill,        SYS_tkill,
    SYS_lseek,       SYS_madvise,    SYS_mmap,          SYS_mremap,         SYS_munmap,      SYS_nanosleep,
    SYS_newfstatat,  SYS_openat,     SYS_ppoll,         SYS_prctl,          SYS_pread64,     SYS_prlimit64,
    SYS_read,        SYS_readlinkat, SYS_recvmsg,       SYS_rt_sigprocmask, SYS_sched_yield, SYS_sendto,
    SYS_sigaltstack, SYS_socket,     SYS_clock_gettime, SYS_faccessat2,
#if defined(SYS_stat)
    SYS_stat,
#endif
};

constexpr size_t kMostInstructions = BPF_MAXINSNS;
constexpr int kNumbersLookedAt = 1024;  // descriptors below it are looked at before a filter; others are seldom unknown

// ---- What is fetched before -------------------------------------------------------------------------------------

// Where libc's description of a thread, which the thread pointer points to, holds the thread's number: found by looking
// for it, in 4-byte words. 0: not found.
constinit std::atomic<uint32_t> thread_number_at{0};

#if defined(__x86_64__)
typedef volatile uint32_t __attribute__((may_alias)) Word;

uint32_t WordOfThread(uint32_t at) { return static_cast<Word*>(__builtin_thread_pointer())[at]; }

void LearnThreadNumber() {
  constexpr uint32_t kFirst = 4;        // behind the pointers to itself and to the thread-locals
  constexpr uint32_t kLast = 1024 / 4;  // glibc's description is longer, and musl has the number near the front
  const long number = RawSyscall(SYS_gettid);
  if (number <= 0 || thread_number_at.load(std::memory_order_relaxed) != 0) return;
  for (uint32_t at = kFirst; at < kLast; ++at) {
    if (WordOfThread(at) != static_cast<uint32_t>(number)) continue;
    thread_number_at.store(at, std::memory_order_relaxed);
    return;
  }
}

// Whether the vDSO reads the clock by itself, not by the system call, as it does where the processor's counter is not
// to be relied on. There is no asking; but the one costs several times the other.
bool ClockNeedsNoKernel() {
  uint64_t by_vdso = UINT64_MAX;
  uint64_t by_kernel = UINT64_MAX;
  for (int i = 0; i < 32; ++i) {
    timespec now;
    const uint64_t start = __rdtsc();
    Now();
    const uint64_t middle = __rdtsc();
    RawSyscall(SYS_clock_gettime, CLOCK_MONOTONIC, RawPointer(&now));
    const uint64_t end = __rdtsc();
    if (middle - start < by_vdso) by_vdso = middle - start;
    if (end - middle < by_kernel) by_kernel = end - middle;
  }
  return by_vdso < by_kernel / 4 * 3;
}
#else
uint32_t WordOfThread(uint32_t) { return 0; }
void LearnThreadNumber() {}
bool ClockNeedsNoKernel() { return true; }  // the counter of these processors is always read directly
#endif

void FetchBefore() {
  LearnThreadNumber();
  if (!Recording()) return;
  arena::MapAhead(CurrentSlot());
  for (int fd = 0; fd < kNumbersLookedAt; ++fd) {
    if (fds::Get(fd) == fds::kUnknown) fds::Find(fd);
  }
}

// What a vfork child of this thread did in its parent's memory: the parent takes it back.
struct ByVforkChild {
  Change change;  // from before the child's first filter to after its last; after 0: none
  bool stopped;
};
constinit __thread ByVforkChild by_vfork_child __attribute__((tls_model("initial-exec"))) = {{0, 0}, false};

// ---- The filter -------------------------------------------------------------------------------------------------

// The numbers of kOurs that the filter lets live, one bit each, into `bits`.
void Read(const sock_fprog* given, uint64_t* bits) {
  sock_fprog program;
  if (given == nullptr || !CopyIn(&program, given, sizeof program)) return;
  const size_t length = program.len;
  if (length == 0 || length > kMostInstructions) return;
  const size_t room = length * (sizeof(sock_filter) + sizeof(FilterState));
  const long memory =
      RawSyscall(SYS_mmap, 0, static_cast<long>(room), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory < 0 && memory > -4096) return;
  auto* const states = reinterpret_cast<FilterState*>(memory);
  auto* const copy = reinterpret_cast<sock_filter*>(states + length);
  if (CopyIn(copy, program.filter, length * sizeof *copy)) {
    for (const long number : kOurs) {
      if (LetsLive(copy, length, static_cast<uint32_t>(number), states))
        bits[number / 64] |= uint64_t{1} << number % 64;
    }
  }
  RawSyscall(SYS_munmap, memory, static_cast<long>(room));
}

}  // namespace

Confining::Confining(const sock_fprog* given) {
  uint64_t bits[kWords] = {};
  Read(given, bits);
  bool all = true;
  for (const long number : kOurs) {
    if ((bits[number / 64] >> number % 64 & 1) == 0) all = false;
  }
  if (all) return;  // nothing of ours is out of bounds
  const bool in_vfork_child = VforkChildPid() != 0;
  if ((bits[SYS_clock_gettime / 64] >> SYS_clock_gettime % 64 & 1) == 0) {
    // (Under a filter before this one it was found out already; the kernel cannot be asked any more.)
    const bool clock_stays = !Allows(SYS_clock_gettime) || ClockNeedsNoKernel();
    stopped_ = !clock_stays && Recording();
  }
  FetchBefore();
  // Without the time nothing can be told: what follows is counted.
  if (stopped_) StopRecording(abi::kDropConfined);
  change_ = Narrow(bits);
  if (!in_vfork_child) return;
  if (by_vfork_child.change.after == 0) by_vfork_child.change.before = change_.before;
  by_vfork_child.change.after = change_.after;
  by_vfork_child.stopped |= stopped_;
}

void Confining::TakeBack() const {
  if (change_.after == 0) return;
  const uint64_t left = confinement::TakeBack(change_);
  if (stopped_) ResumeRecording();
  if (left != 0 && by_vfork_child.change.after == change_.after) by_vfork_child.change.after = left;
}

void VforkChildIsGone() {
  if (__builtin_expect(by_vfork_child.change.after == 0, 1)) return;
  confinement::TakeBack(by_vfork_child.change);
  if (by_vfork_child.stopped) ResumeRecording();
  by_vfork_child = {};
}

void ForgetVforkChild() { by_vfork_child = {}; }

uint32_t ThreadNumber() {
  const long number = RawSyscall(SYS_gettid);
  if (number > 0) return static_cast<uint32_t>(number);
  const uint32_t at = thread_number_at.load(std::memory_order_relaxed);
  return at != 0 ? WordOfThread(at) : 0;
}

}  // namespace socktale::confinement
