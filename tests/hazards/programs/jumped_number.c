// SPDX-License-Identifier: Apache-2.0
//
// jumped_number: peeks at a datagram by syscall(2), again and again with the processor's trap flag set, and leaves that
// by siglongjmp behind its first instruction, its second, and so on to its last. Each time it then takes the datagram
// by libc's function of the same name: nothing of the call that was left may come into this one.

#include <sys/syscall.h>

#include "step_out.h"

int main(void) {
  int pair[2];
  prepare_steps(pair);
  CHECK(syscall(SYS_getpid) > 0);  // the name is bound: later steps are not the loader's
  volatile uint32_t n = 0;
  char word[32], bytes[32];
  for (volatile int finished = 0; !finished; ++n) {
    const int size = snprintf(word, sizeof word, "word %u", n);
    CHECK(send(pair[0], word, (size_t)size, 0) == size);
    steps = 0;
    leave_behind = n + 1;
    if (sigsetjmp(out, 1) == 0) {
      CHECK(STEPPED(syscall(SYS_recvfrom, pair[1], bytes, sizeof bytes, MSG_PEEK, NULL, NULL)) == size);
      finished = 1;
    }
    CHECK(recvfrom(pair[1], bytes, sizeof bytes, 0, NULL, NULL) == size && memcmp(bytes, word, (size_t)size) == 0);
    CHECK(recvfrom(pair[1], bytes, sizeof bytes, MSG_DONTWAIT, NULL, NULL) == -1);
  }
  CHECK(n > 5);
  say("done");
  return 3;
}
