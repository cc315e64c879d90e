// SPDX-License-Identifier: Apache-2.0
//
// A sleep from which traced programs can wake the collector, though all it has in common with them is memory: a thread
// waits on a futex there, and passes the call on to a descriptor that can be polled.

#ifndef SOCKTALE_COLLECTOR_WAKER_H_
#define SOCKTALE_COLLECTOR_WAKER_H_

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace socktale {

class Waker {
 public:
  // futex: ArenaHeader::collector_futex, mapped as long as the waker lives.
  explicit Waker(std::atomic<uint32_t>* futex) : futex_(*futex) {}
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Says that the collector sleeps. From now on fd() becomes readable when a program calls. Starts the thread where it
  // does not run yet: in this process, which a fork(2) may have made. An error (no thread or descriptor to be had)
  // means that nothing will wake the sleeper; it is given again, without another try, by each call until the next
  // fork(2).
  absl::Status Sleep();

  // To be polled for POLLIN between Sleep and Awake; -1: there is none.
  int fd() const { return event_.get(); }

  // Says that the collector is awake. Returns whether a program called since Sleep().
  bool Awake();

 private:
  absl::Status Start();
  static void* Run(void* self);
  void PassCallsOn();

  std::atomic<uint32_t>& futex_;
  std::atomic<bool> ending_{false};
  UniqueFd event_;
  pid_t started_in_ = 0;  // the process that `status_` tells of; 0: none
  absl::Status status_;
  pthread_t thread_{};
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_WAKER_H_
