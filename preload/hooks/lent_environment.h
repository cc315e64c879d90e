// SPDX-License-Identifier: Apache-2.0
//
// The environment of the shells that system() and popen() start: libc takes `environ` for it, inside, where no hook
// stands between. When the program has taken the session's settings out of it they are lent for the time of the call:
// `environ` then points to a copy that has them.
//
// Calls in several threads at once share what is lent; the last one to come back takes it back. A program of one thread
// cannot tell. With more, one that reads the environment meanwhile finds two entries more, as if it had never taken
// them out; one that changes it keeps the change. What another thread may have found through `environ` is never
// unmapped, and not written to until the program's environment was another one eight times. A call that never comes
// back (cancelled, jumped out of) leaves the settings where they were lent, and so does a fork by another thread in the
// child, until that calls system() or popen() itself.

#ifndef SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_
#define SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_

namespace socktale {

struct EnvironmentRoom;

class LentEnvironment {
 public:
  // Before the real call. Does nothing when the settings are there, when there is no session, and when the shell would
  // not load the shim or could not live with it (confinement.h).
  LentEnvironment();

  // After it: `environ` is the program's again. errno stays.
  void TakeBack() const;

 private:
  EnvironmentRoom* room_ = nullptr;  // null: nothing was lent
};

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_HOOKS_LENT_ENVIRONMENT_H_
