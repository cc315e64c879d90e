// SPDX-License-Identifier: Apache-2.0
//
// The environment of the shells that system() and popen() start: libc takes `environ` for it, inside, where no hook
// stands between. When the program has taken the session's settings out of it they are lent for the time of the call:
// `environ` then points to a copy that has them.
//
// A program of one thread cannot tell. With more, one that reads the environment meanwhile finds two entries more, as
// if it had never taken them out; one that changes it keeps the change. Nothing is freed that somebody may still read.
// A call that never comes back (cancelled, jumped out of) leaves the settings where they were lent.

#ifndef SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_
#define SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_

namespace socktale {

struct EnvironmentRoom;

class LentEnvironment {
 public:
  // Before the real call. Does nothing when the settings are there, when there is no session, and when the shell would
  // not load the shim.
  LentEnvironment();

  // After it: `environ` is the program's again. errno stays.
  void TakeBack() const;

 private:
  EnvironmentRoom* room_ = nullptr;  // null: nothing was lent
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_
