// SPDX-License-Identifier: Apache-2.0

#ifndef SOCKTALE_PRELOAD_HOOKS_PROCESS_H_
#define SOCKTALE_PRELOAD_HOOKS_PROCESS_H_

namespace socktale {

// In the parent, once a child that ran in its memory while it waited (vfork) has left that: lowers living_vforks, and
// takes back what the child's exec left there.
void VforkChildIsGone();

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_PROCESS_H_
