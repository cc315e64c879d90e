// SPDX-License-Identifier: Apache-2.0
//
// What every hook does around the real call:
//
//   INTERPOSE int shutdown(int fd, int how) noexcept {        // noexcept only where libc's header has it
//     CallScope call(Hook::shutdown, fd);                     // decides whether to record, notes the entry time
//     const int result = call.Real(real.shutdown, fd, how);   // the program's call; the return time
//     if (call.recording()) {
//       EventHead head = call.Head(result);                   // call, fd, times, result, errno
//       head.flags = static_cast<uint32_t>(how);
//       call.Write(head);
//     }
//     return result;                                          // errno as libc left it
//   }
//
// errno: nothing between Real() and the return changes it, because the shim calls the kernel with RawSyscall alone.
// Nothing is held across Real(): the thread may be cancelled in it, jump out of it, or never come back. There are no
// destructors with work to do, for they would not run then.
// Caller's memory: read it only when the kernel has proved it readable (see MayRead), and only the bytes that moved.
// Hooks are called in signal handlers: no malloc, stdio, locks, dlsym (poison.h, included last, sees to it).

#ifndef SOCKTALE_PRELOAD_CALL_SCOPE_H_
#define SOCKTALE_PRELOAD_CALL_SCOPE_H_

#include <errno.h>
#include <stdint.h>

#include <type_traits>

#include "preload/abi/hook.h"
#include "preload/arena_writer.h"
#include "preload/attach.h"
#include "preload/event_fields.h"
#include "preload/fd_table.h"
#include "preload/raw_syscall.h"
#include "preload/real.h"

// What looks at the hook's own frame and return address: to stand in the hook, and in functions that are part of it.
#define SOCKTALE_IN_HOOK __attribute__((always_inline)) inline

#define INTERPOSE extern "C" __attribute__((visibility("default")))

namespace socktale {

inline constexpr uint32_t kCallOfHook[kHooks] = {
#define HOOK(symbol, call) field::CALL_##call,
#include "preload/abi/hooks.def"
#undef HOOK
};

enum class Record {
  kAlways,        // calls that make, close, name or wait for descriptors, and those that only sockets have
  kByDescriptor,  // read, write and their like: only on descriptors whose data is recorded (--io)
};

// A call that the program asks of syscall(2), by its number: noted for the hook that does it, whose CallScope takes it
// before the real call (so nothing is held across that) and gives the kernel the number instead of calling libc. That
// way such a call is none that pthread_cancel ends, as the program has it.
struct ByNumber {
  uint32_t hook;  // of the hook meant, plus one; 0: none
  int32_t number;
  long words[6];  // the arguments as the program gave them
};
extern constinit __thread ByNumber by_number __attribute__((tls_model("initial-exec")));

// Whether a call on `fd` that is recorded by descriptor has nothing to do with us: the hook hands it on then, in a jump
// to libc's function, which is in `slot`.
template <typename Function>
SOCKTALE_IN_HOOK bool IsNotRecorded(int fd, Function& slot) {
  const uint8_t entry = fds::Get(fd);
  return __builtin_expect(by_number.hook == 0 && Recording() && slot != nullptr, 1) && entry != fds::kUnknown &&
         !fds::RecordsData(entry);
}

class CallScope {
 public:
  // A call that works on no descriptor, or on several.
  SOCKTALE_IN_HOOK explicit CallScope(Hook hook) : CallScope(hook, 0, kUnseen) {}

  // A call on a descriptor that need not be known for it: close, openat's directory.
  enum Unseen { kUnseen };
  SOCKTALE_IN_HOOK CallScope(Hook hook, int fd, Unseen) : hook_(hook), fd_(fd) {
    TakeNumber();
    if (__builtin_expect(Recording(), 1)) {
      Begin();
    } else {
      CountUnrecorded();
    }
  }

  // A call on `fd`. A descriptor that the shim never saw made is looked at first (CALL_FOUND). `fd` may be invalid.
  SOCKTALE_IN_HOOK CallScope(Hook hook, int fd, Record record = Record::kAlways) : hook_(hook), fd_(fd) {
    TakeNumber();
    if (__builtin_expect(!Recording(), 0)) {
      if (record == Record::kAlways || fds::RecordsData(fds::Get(fd))) CountUnrecorded();
      return;
    }
    uint8_t entry = fds::Get(fd);
    if (__builtin_expect(entry == fds::kUnknown, 0)) entry = fds::Find(fd);
    if (record == Record::kByDescriptor && !fds::RecordsData(entry)) return;
    Begin();
  }

  // A call that moves bytes from `other` to `fd`: recorded when the data of either is.
  enum Either { kEither };
  SOCKTALE_IN_HOOK CallScope(Hook hook, int fd, int other, Either) : hook_(hook), fd_(fd) {
    TakeNumber();
    if (__builtin_expect(!Recording(), 0)) {
      if (fds::RecordsData(fds::Get(fd)) || fds::RecordsData(fds::Get(other))) CountUnrecorded();
      return;
    }
    uint8_t to = fds::Get(fd);
    if (to == fds::kUnknown) to = fds::Find(fd);
    uint8_t from = fds::Get(other);
    if (from == fds::kUnknown) from = fds::Find(other);
    if (fds::RecordsData(to) || fds::RecordsData(from)) Begin();
  }

  // True: the hook has an event to write once the real call is back.
  bool recording() const { return recording_; }
  uint64_t start_ns() const { return start_ns_; }
  uint64_t end_ns() const { return end_ns_; }
  uint32_t call() const { return kCallOfHook[static_cast<uint32_t>(hook_)]; }
  int fd() const { return fd_; }

  // Calls libc's function with the program's arguments and notes the return time. slot: this hook's member of `real`.
  // Where this libc lacks the function the call fails with ENOSYS, as that of a kernel without it.
  template <typename Function, typename... Args>
  auto Real(Function& slot, Args... args) {
    using Result = decltype(slot(args...));
    if constexpr (std::is_integral_v<Result> && sizeof...(Args) <= 6) {
      if (__builtin_expect(number_ >= 0, 0)) {
        const Result result = static_cast<Result>(ToKernel(Arguments{{AsLong(args)...}, NarrowOnes<Args...>()}));
        if (recording_) end_ns_ = Now();
        return result;
      }
    }
    const Function function = ResolvedReal(slot, hook_);
    if (__builtin_expect(function == nullptr, 0)) {
      errno = ENOSYS;
      if (recording_) end_ns_ = Now();
      if constexpr (std::is_pointer_v<Result>) return Result{nullptr};
      if constexpr (std::is_integral_v<Result>) return static_cast<Result>(-1);
    } else if constexpr (std::is_void_v<Result>) {
      function(args...);
      if (recording_) end_ns_ = Now();
    } else {
      const Result result = function(args...);
      if (recording_) end_ns_ = Now();
      return result;
    }
  }

  // Fields 1 to 6: call, descriptor, times, result, and errno when the result is -1.
  EventHead Head(int64_t result) const {
    EventHead head;
    head.call = call();
    head.fd = fd_;
    head.start_ns = start_ns_;
    head.end_ns = end_ns_;
    head.result = result;
    if (result == -1) head.error = static_cast<uint32_t>(errno);
    return head;
  }

  // Takes back the note that the thread is in this call. An EventWriter of its event does it as well; a hook that comes
  // to write none says so here, or the call is told as left by a jump.
  void Leave() const { LeaveCall(call(), start_ns_); }

  // For a hook that leaves a call by number to libc's function, which does the same.
  SOCKTALE_IN_HOOK static void ForgetNumber(Hook hook) {
    if (__builtin_expect(by_number.hook != 0, 0)) (void)TakesNumber(hook, __builtin_return_address(0));
  }

  // Writes an event without fields beyond the head.
  void Write(const EventHead& head) const { WriteEvent(head); }

 private:
  struct Arguments {
    long values[6];   // zeros behind the last
    uint32_t narrow;  // bit i: values[i] has fewer bits than a word of the kernel's
  };

  template <typename... Args>
  static constexpr uint32_t NarrowOnes() {
    uint32_t bits = 0;
    uint32_t bit = 1;
    (((bits |= sizeof(Args) < sizeof(long) ? bit : 0), bit <<= 1), ...);
    return bits;
  }

  template <typename T>
  static long AsLong(T value) {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<long>(value);
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      return static_cast<long>(value);
    } else {
      return 0;  // (structures by value: no system call takes one)
    }
  }

  // Whether the hook that returns to `caller` is the one that the noted number is for; takes the note then.
  static bool TakesNumber(Hook hook, const void* caller);

  SOCKTALE_IN_HOOK void TakeNumber() {
    if (__builtin_expect(by_number.hook != 0, 0)) TakeNumberOfHook(__builtin_return_address(0));
  }
  void TakeNumberOfHook(const void* caller);
  // Out of line: tests/equivalence tells by this function's frame that the kernel was asked for the program.
  [[gnu::noinline]] long ToKernel(const Arguments& given) const;

  SOCKTALE_IN_HOOK void Begin() {
    recording_ = true;
    start_ns_ = Now();
    EnterCall(call(), fd_, start_ns_, reinterpret_cast<uintptr_t>(__builtin_dwarf_cfa()));
  }

  Hook hook_;
  bool recording_ = false;
  int fd_ = 0;
  int32_t number_ = -1;  // of the system call, when it was asked for by number
  long words_[6];        // set with it
  uint64_t start_ns_ = 0;
  uint64_t end_ns_ = 0;
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_CALL_SCOPE_H_
