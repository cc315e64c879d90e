// SPDX-License-Identifier: Apache-2.0
//
// seccomp(2), which libc has no function for: see confine.cc.

#ifndef SOCKTALE_PRELOAD_HOOKS_CONFINE_H_
#define SOCKTALE_PRELOAD_HOOKS_CONFINE_H_

namespace socktale {

// Arguments and result as seccomp(2) has them; -1 with errno set for a failure.
long Seccomp(unsigned operation, unsigned flags, void* arguments);

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_CONFINE_H_
