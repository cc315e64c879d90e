// SPDX-License-Identifier: Apache-2.0
//
// The calls by which a program has the kernel refuse it others: prctl(PR_SET_SECCOMP) and seccomp. The shim gets ready
// for it (confinement.h) before the real call, for afterwards it may be too late. Other uses of prctl go straight
// through. Nothing is recorded here: no descriptor is concerned.

#include "preload/hooks/confine.h"

#include <linux/seccomp.h>
#include <stdarg.h>

#include "preload/call_scope.h"
#include "preload/confining.h"
#include "preload/poison.h"

namespace socktale {
namespace {

// filter: as given to the kernel, null for strict mode. real_call: () -> the program's call; -1: it failed.
// all_threads: a positive result is the number of a thread that the filter could not be put on, so it is on none.
template <typename RealCall>
auto Confine(const void* filter, bool all_threads, RealCall real_call) {
  const confinement::Confining confining(static_cast<const sock_fprog*>(filter));
  const auto result = real_call();
  if (result == -1 || (all_threads && result > 0)) confining.TakeBack();
  return result;
}

}  // namespace

long Seccomp(unsigned operation, unsigned flags, void* arguments) {
  const auto real_call = [&]() -> long {
    const long result = KernelCall(SYS_seccomp, operation, flags, RawPointer(arguments));
    if (result >= 0 || result < -4095) return result;
    errno = static_cast<int>(-result);
    return -1;
  };
  if (operation == SECCOMP_SET_MODE_STRICT) return Confine(nullptr, false, real_call);
  // (With a new listener a positive result is that: the two together go with another error for such a thread.)
  const bool all_threads =
      (flags & (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER)) == SECCOMP_FILTER_FLAG_TSYNC;
  if (operation == SECCOMP_SET_MODE_FILTER) return Confine(arguments, all_threads, real_call);
  return real_call();  // a question
}

INTERPOSE int prctl(int option, ...) noexcept {
  va_list list;
  va_start(list, option);
  const unsigned long b = va_arg(list, unsigned long);
  const unsigned long c = va_arg(list, unsigned long);
  const unsigned long d = va_arg(list, unsigned long);
  const unsigned long e = va_arg(list, unsigned long);
  va_end(list);
  const auto real_call = [&] { return ResolvedReal(real.prctl, Hook::prctl)(option, b, c, d, e); };
  if (option == PR_SET_SECCOMP && b == SECCOMP_MODE_STRICT) return Confine(nullptr, false, real_call);
  if (option == PR_SET_SECCOMP && b == SECCOMP_MODE_FILTER) {
    return Confine(reinterpret_cast<const void*>(c), false, real_call);
  }
  return real_call();
}

}  // namespace socktale
