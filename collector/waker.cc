// SPDX-License-Identifier: Apache-2.0
#include "collector/waker.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "collector/errno_status.h"
#include "preload/abi/arena_abi.h"

namespace socktale {
namespace {

constexpr size_t kStackBytes = 64 << 10;

}  // namespace

Waker::~Waker() {
  if (started_in_ != getpid() || !status_.ok()) return;  // there is no thread: a fork(2) does not copy it
  ending_.store(true);
  // Once is enough, unless a traced program writes there what it likes.
  constexpr long kWaitNs = 1'000'000;
  timespec until;
  do {
    futex_.store(abi::kCollectorAway);
    syscall(SYS_futex, &futex_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += kWaitNs;
    if (until.tv_nsec >= 1'000'000'000) {
      until.tv_nsec -= 1'000'000'000;
      ++until.tv_sec;
    }
  } while (pthread_timedjoin_np(thread_, nullptr, &until) != 0);
}

absl::Status Waker::Sleep() {
  if (started_in_ != getpid()) {
    status_ = Start();
    started_in_ = getpid();
  }
  futex_.store(abi::kCollectorAsleep);
  return status_;
}

bool Waker::Awake() {
  // The thread may have yet to pass the call on.
  const bool called = futex_.exchange(abi::kCollectorAwake) == abi::kCollectorCalled;
  uint64_t calls;
  // Nothing to read, mostly; then nobody called.
  return (event_.valid() && read(event_.get(), &calls, sizeof calls) > 0) || called;
}

absl::Status Waker::Start() {
  // One of its own: that of the process which forked would be emptied by either of the two.
  event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_.valid()) return ErrnoStatus("eventfd");
  pthread_attr_t attributes;
  if (const int error = pthread_attr_init(&attributes); error != 0) return ErrnoStatus("pthread_attr_init", error);
  pthread_attr_setstacksize(&attributes, kStackBytes);  // refused where threads need more: then it is as large as ever
  // Signals are the main thread's: they are to interrupt its sleep.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, &attributes, Run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) return ErrnoStatus("cannot start a thread", error);
  return absl::OkStatus();
}

void* Waker::Run(void* self) {
  static_cast<Waker*>(self)->PassCallsOn();
  return nullptr;
}

void Waker::PassCallsOn() {
  while (!ending_.load()) {
    uint32_t seen = futex_.load();
    if (seen == abi::kCollectorCalled) {
      futex_.compare_exchange_strong(seen, abi::kCollectorAwake);
      const uint64_t call = 1;
      // Refused only when 2^64 calls have not been read yet: the sleeper is awake.
      (void)!write(event_.get(), &call, sizeof call);
      continue;
    }
    // Whoever sleeps next need not wake us for it: a call that comes while we sleep wakes us whatever stood here, and
    // one that came before makes this return at once.
    syscall(SYS_futex, &futex_, FUTEX_WAIT, seen, nullptr, nullptr, 0);
  }
}

}  // namespace socktale
