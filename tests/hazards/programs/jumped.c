// SPDX-License-Identifier: Apache-2.0
//
// jumped: makes a call again and again with the processor's trap flag set, and leaves it by siglongjmp behind its first
// instruction, its second, and so on to its last. Between these it makes the same call as usual. At last says how
// often, and how many of the calls that it left had done their work.

#include "step_out.h"

int main(void) {
  int pair[2];
  prepare_steps(pair);
  volatile uint32_t done = 0, n = 0;
  char word[32], bytes[32];
  for (volatile int finished = 0; !finished; ++n) {
    int size = snprintf(word, sizeof word, "left %u", n);
    steps = 0;
    leave_behind = n + 1;
    if (sigsetjmp(out, 1) == 0) {
      CHECK(STEPPED(send(pair[0], word, (size_t)size, 0)) == size);
      finished = 1;
    }
    done += recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) == size;
    size = snprintf(word, sizeof word, "usual %u", n);
    CHECK(send(pair[0], word, (size_t)size, 0) == size && recv(pair[1], bytes, sizeof bytes, 0) == size);
  }
  const int size = snprintf(word, sizeof word, "total %u %u", n, done);
  CHECK(send(pair[0], word, (size_t)size, 0) == size);
  CHECK(n > 5);
  say("done");
  return 3;
}
